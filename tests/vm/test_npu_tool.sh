#!/bin/sh
# SPDX-License-Identifier: MIT
# The npu command on the first node. Prints TAP.
exec /usr/lib/npu/unit/npu_tool.sh "$(command -v npu)" /usr/lib/npu/unit/prog_tool ''
