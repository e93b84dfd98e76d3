#!/bin/sh
# SPDX-License-Identifier: MIT
# Golden dumps: each NAME.kir is compiled with the options of its first line
# ("# npuc OPTIONS"), and what npuc prints is compared with NAME.expect.
#
#	golden.sh NPUC DIRECTORY [--update]
set -u

npuc=$(realpath "$1") || exit 1
dir=$(realpath "$2") || exit 1
update=${3:-}
failed=0
out=$(mktemp) || exit 1
trap 'rm -f "$out"' EXIT

for kir in "$dir"/*.kir; do
	expect=${kir%.kir}.expect
	options=$(sed -n '1s/^# npuc//p' "$kir")
	# The options are words of our own files.
	# shellcheck disable=SC2086
	(cd "$dir" && "$npuc" $options "${kir##*/}") > "$out" 2>&1
	echo "exit status $?" >> "$out"
	if [ "$update" = --update ]; then
		cp "$out" "$expect"
	elif ! diff -u "$expect" "$out"; then
		echo "FAIL ${kir##*/}"
		failed=1
	fi
done
exit $failed
