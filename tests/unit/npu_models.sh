#!/bin/sh
# SPDX-License-Identifier: MIT
# The mission's networks through the commands: compiled by npuc, and straight
# from the ONNX file, judged by the reference.
#
#	npu_models.sh NPU NPUC NET_TOOL DEVICE [TARGET]
#
# TARGET is what npuc compiles for. Prints TAP.
# shellcheck disable=SC2016 # ok evaluates what stands in single quotes
set -u
npu=$(realpath "$1") npuc=$(realpath "$2") net_tool=$(realpath "$3") device=$4 target=${5:-}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# shellcheck source=tests/tap.sh
. "$(dirname "$0")/../tap.sh"
cd "$work" || exit 1

run() { "$npu" run --device "$device" "$@"; }
compile() { "$npuc" ${target:+--target "$target"} "$@"; }

# refused FILE WORDS COMMAND...: fails, says WORDS in one line, leaves no FILE.
refused() {
	file=$1 words=$2
	shift 2
	if "$@" >out 2>err; then echo "accepted: $*"; return 1; fi
	cat err
	[ "$(wc -l <err)" = 1 ] && grep -q -e "$words" err && [ ! -e "$file" ]
}

# Three jobs, work in every counter, no fault.
counted() {
	awk '/^counters/ { jobs = $2; descriptors = $4; macs = $6 }
		/bytes read/ { read = $1; written = $4; faults = $7 }
		/cycles modelled/ { cycles = $1 }
		END { exit !(jobs == 3 && descriptors > 3 && macs > 1000 && read > 9408 &&
			written >= 360 && faults == 0 && cycles > 1000) }' "$1"
}

# The prediction of the reference, but one element.
spoil() {
	mkdir -p wrong
	cp "$1/input_0.bin" wrong/
	{
		head -c 68 "$1/output_0.bin"
		printf '\0\0\200\277'
		tail -c +73 "$1/output_0.bin"
	} >wrong/output_0.bin
}

for net in cnn rnn attention; do
	ok "$net: make" "$net_tool" $net 3 .
	ok "$net: npuc wants the batch" refused none.npu 'bind it with N=NUMBER' \
		compile $net.onnx -o none.npu
	ok "$net: npuc" compile $net.onnx --bind N=3 -o $net.npu
	ok "$net: run the program" eval "run $net.npu --check $net --rtol 0 --output program.bin \
		--repeat 3 --counters >counters && cat counters"
	ok "$net: counters" counted counters
	ok "$net: run the ONNX model" run $net.onnx --bind N=3 --check $net --rtol 0 \
		--output onnx.bin
	ok "$net: the same bits" cmp program.bin onnx.bin
	ok "$net: a result of the right size" eval '[ "$(wc -c <onnx.bin)" = 120 ]'
	spoil $net
	ok "$net: one wrong element is found and named" refused none \
		'wrong/output_0.bin: 1 of 30 elements differ; the worst, \[1, 7\], is .*, expected -1' \
		run $net.npu --check wrong
	ok "$net: dis" eval "'$npu' dis $net.npu | grep -q '# input  \"images\" f32 \[3, 28, 28'"
	rm -f program.bin onnx.bin counters
done
ok 'another batch' run cnn.onnx --bind N=1
ok 'dimensions of a program' refused none 'compiled already' run cnn.npu --bind N=3
plan
