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
mkdir "$dir/directory" "$dir/directory.kir" "$dir/directory.npu"
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
refuse 'directory: cannot be written: Is a directory' "$kir" -o "$dir/directory"
refuse 'Is a directory' "$dir/directory.kir"
refuse 'Is a directory' "$dir/directory.npu"
refuse 'not a regular file' "$dir/directory"
refuse 'one model is needed'
refuse 'one model is needed' "$kir" "$kir"
refuse 'unrecognized option' --fast "$kir"
refuse 'requires an argument' "$kir" -o

# Outputs that cannot be, or must not be, written: what is there stays as it is.
cp "$kir" "$dir/model.kir"
: > "$dir/out"
: > "$dir/err"
: > "$dir/before"
find "$dir" | sort > "$dir/before"
refuse 'full: cannot be written: No space left' "$kir" -o /dev/full
[ -c /dev/full ] || complain "/dev/full is no device any more"
refuse 'model.kir: is the input' "$dir/model.kir" -o "$dir/./model.kir"
cmp "$kir" "$dir/model.kir" || complain "the input was written over"
why=$( (ulimit -f 0; exec "$npuc" "$kir" -o "$dir/a.npu") 2>&1)
[ $? -eq 1 ] || complain "a file that may not grow: $?"
[ "$why" = "npuc: $dir/a.npu: cannot be written: File too large" ] || complain "$why"
cmp "$dir/a.npu" "$dir/b.npu" || complain "a failed write touched its output"
find "$dir" | sort | cmp - "$dir/before" || complain "files are left behind"
refuse 'irectory' "$dir/none.npu/"
printf 'no model' > "$dir/text.onnx"
refuse 'not an ONNX model' "$dir/text.onnx"
refuse 'unknown field' --target lanes=4 "$kir"
refuse 'not a number' --target rows=many "$kir"
refuse 'out of range' --target spm=16 "$kir"
exit $failed
