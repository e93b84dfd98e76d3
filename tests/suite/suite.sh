#!/bin/sh
# SPDX-License-Identifier: MIT
# ONNX's backend tests by npu suite, on this machine and in the guest.
#
#	suite.sh NPU LISTS DATA DEVICE [OPTION...]
#
# LISTS has exclude.txt and unsupported.txt; DATA '' is what scripts/data fetched.
# Prints TAP.
set -u
npu=$1 lists=$2 data=$3 device=$4
shift 4
[ -n "$data" ] || data=${NPU_CACHE:-$HOME/.cache/npu}/onnx-testdata
if [ ! -d "$data/node" ]; then
	echo "1..0 # SKIP no ONNX backend tests in $data; run scripts/data"
	exit 0
fi
exec "$npu" suite "$data/node" "$data/simple" "$data/pytorch-converted" "$data/pytorch-operator" \
	--device "$device" --exclude "$lists/exclude.txt" --unsupported "$lists/unsupported.txt" \
	--tap "$@"
