#!/bin/sh
# SPDX-License-Identifier: MIT
# The mission's networks as ONNX files, compiled and run on the first node. Prints TAP.
exec /usr/lib/npu/unit/npu_models.sh "$(command -v npu)" "$(command -v npuc)" \
	/usr/lib/npu/unit/net_tool ''
