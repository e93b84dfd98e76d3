#!/bin/sh
# SPDX-License-Identifier: MIT
# ONNX's backend tests on the first node. Prints TAP.
exec /usr/lib/npu/suite/suite.sh "$(command -v npu)" /usr/lib/npu/suite /data/onnx-testdata ''
