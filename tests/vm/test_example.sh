#!/bin/sh
# SPDX-License-Identifier: MIT
# The example, built against the installed library, on the real device. Prints TAP.
echo 1..1
if /usr/lib/npu/examples/hello; then
	echo "ok 1 hello"
else
	echo "not ok 1 hello"
fi
