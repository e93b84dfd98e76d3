#!/bin/sh
# SPDX-License-Identifier: MIT
# npuc as a command: exit status, one line of message, output whole or not at all.
#
#	npuc.sh NPUC DIRECTORY-WITH-KIR
set -u

npuc=$1
kir=$2/shared_consts.kir
bad=$2/refuse_ir.kir
dir=$(mktemp -d) || exit 1
trap 'chmod -R u+w "$dir"; rm -rf "$dir"' EXIT
failed=0

complain() {
	echo "FAIL $*"
	failed=1
}

# refuse TEXT ARGUMENTS...: npuc fails with one line that says TEXT.
refuse() {
	text=$1
	shift
	"$npuc" "$@" > "$dir/out" 2> "$dir/err" && complain "accepted: $*"
	grep -q -- "$text" "$dir/err" || complain "no '$text' from: $* ($(cat "$dir/err"))"
	[ "$(wc -l < "$dir/err")" -eq 1 ] || complain "not one line from: $*"
}

accept() {
	"$npuc" "$@" > "$dir/out" 2> "$dir/err" || complain "refused: $* ($(cat "$dir/err"))"
}

accept "$kir" -o "$dir/a.npu"
accept "$kir" -o "$dir/b.npu"
cmp "$dir/a.npu" "$dir/b.npu" || complain "the same input gives other bytes"
accept --verify "$dir/a.npu"
accept --report "$dir/a.npu"
grep -q 'constants 512' "$dir/out" || complain "the report lacks the constants"
accept --help

# A refused model leaves an older program as it was, and nothing else behind.
refuse 'not written whole' "$bad" -o "$dir/b.npu"
cmp "$dir/a.npu" "$dir/b.npu" || complain "a failed compilation touched its output"
[ "$(find "$dir" -type f | wc -l)" -eq 4 ] || complain "files are left behind"

head -c 200 "$dir/a.npu" > "$dir/cut.npu"
refuse 'cut off' --verify "$dir/cut.npu"
tr '\000' '\001' < "$dir/a.npu" > "$dir/damaged.npu"
refuse 'npuc' --verify "$dir/damaged.npu"
: > "$dir/empty.npu"
refuse 'not a program file' --verify "$dir/empty.npu"
refuse 'No such file' "$dir/none.kir"
refuse 'No such file' "$dir/none.onnx"
refuse 'No such file' "$kir" -o "$dir/none/a.npu"
refuse 'irectory' "$dir/none.npu/"
printf 'no model' > "$dir/text.onnx"
refuse 'not an ONNX model' "$dir/text.onnx"
refuse 'unknown field' --target lanes=4 "$kir"
refuse 'not a number' --target rows=many "$kir"
refuse 'out of range' --target spm=16 "$kir"
exit $failed
