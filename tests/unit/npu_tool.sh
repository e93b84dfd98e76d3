#!/bin/sh
# SPDX-License-Identifier: MIT
# The npu command from outside, on this machine and in the guest.
#
#	npu_tool.sh NPU PROG_TOOL [DEVICE]
#
# Prints TAP.
# shellcheck disable=SC2016 # ok evaluates what stands in single quotes
set -u
npu=$(realpath "$1") prog_tool=$(realpath "$2") device=${3-sim}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# shellcheck source=tests/tap.sh
. "$(dirname "$0")/../tap.sh"
cd "$work" || exit 1

# says STATUS PATTERN NPU-ARGUMENT...: the status, and PATTERN in what it prints;
# an error is one line.
says() {
	want=$1 pattern=$2 got=0
	shift 2
	"$npu" "$@" >out 2>err </dev/null || got=$?
	cat out err
	[ "$got" = "$want" ] || { echo "status $got, not $want"; return 1; }
	cat out err | grep -q -e "$pattern" || { echo "no '$pattern'"; return 1; }
	if [ "$want" = 0 ]; then
		[ ! -s err ]
	else
		[ "$(grep -c '^npu: ' err)" = 1 ] && [ "$(wc -l <err)" = 1 ]
	fi
}

# Eight floats 0 .. 7, and what the program makes of them.
printf '\0\0\0\0\0\0\200\77\0\0\0\100\0\0\100\100\0\0\200\100\0\0\240\100\0\0\300\100\0\0\340\100' >x.bin
ok 'make programs' eval '"$prog_tool" make p.npu 8 && "$prog_tool" fault f.npu'

ok 'help' says 0 'usage: npu' --help
for command in info run suite dis; do
	ok "$command --help" says 0 "usage: npu $command" $command --help
	ok "$command with an unknown option" says 2 'no option --nonsense' $command --nonsense
done
ok 'no command' says 2 'no command'
ok 'unknown command' says 2 'no command "fly"' fly
ok 'info' says 0 'capabilities  fp32' info --device "$device"
ok 'info tells sizes' eval \
	'grep -q "^array         16 rows x 32 columns" out && grep -q "SPM 8388608 bytes" out'
ok 'info of a missing device' says 1 'modprobe npu' info --device /dev/accel/accel63
ok 'info of something else' says 1 '/dev/null: not an NPU' info --device /dev/null
ok 'info of no device at all' says 1 'neither a path' info --device fpga
ok 'info with too much' says 2 'too much' info x
ok 'info without a full disk' eval '! "$npu" info --device "$device" >/dev/full'

run() { "$npu" run --device "$device" "$@"; }
says_run() {
	run_status=$1 run_pattern=$2
	shift 2
	says "$run_status" "$run_pattern" run --device "$device" "$@"
}
ok 'run on a pattern' says_run 0 'filled with a pattern' p.npu
ok 'run on plain elements' says_run 0 'output    "y" f32 \[8\]: y.npy' p.npu --input x.bin --output y.npy
ok 'run into another format' says_run 0 'y.pb' p.npu --input x=x.bin --output y=y.pb
ok 'the same result' eval 'tail -c 32 y.npy >a && tail -c 32 y.pb >b && cmp a b'
# y = 2 x + 1 + 0.5 i = 1, 3.5, 6, ... 18.5
printf '\0\0\200\77\0\0\140\100\0\0\300\100\0\0\10\101\0\0\60\101\0\0\130\101\0\0\200\101\0\0\224\101' >want.bin
ok 'the right result' cmp a want.bin

mkdir good bad empty relu
cp x.bin good/input_0.bin
cp y.pb good/output_0.pb
cp x.bin bad/output_0.bin
cp x.bin relu/input_0.bin
cp x.bin relu/output_0.bin
ok 'check' says_run 0 'max error 0, relative 0: ok' p.npu --check good
ok 'check finds an error' says_run 1 '8 of 8 elements differ; the worst, \[7\], is 18.5, expected 7' \
	p.npu --check bad --input x.bin
ok 'check with a tolerance' says_run 0 ': ok' p.npu --check bad --input x.bin --atol 12
ok 'check of nothing' says_run 1 'no output_0.pb' p.npu --check empty
ok 'check of a missing directory' says_run 1 'no output_0.pb' p.npu --check missing
ok 'counters' says_run 0 '3 jobs, 18 descriptors' p.npu --repeat 3 --counters
ok 'counters of memory' grep -Eq '[1-9][0-9]* bytes read, 96 bytes written, 0 faults' out
ok 'counters of time' grep -Eq '[1-9][0-9]* cycles modelled' out
ok 'fault' says_run 1 'MMU_UNMAPPED.*node "bad", Conv' f.npu

ok 'make an ONNX model' "$prog_tool" onnx m.onnx
ok 'run an ONNX model' says_run 0 'max error 0, relative 0: ok' m.onnx --check relu
ok 'run a damaged ONNX model' eval 'head -c 60 m.onnx >d.onnx && says_run 1 d.onnx d.onnx'
ok 'run with a bad binding' says_run 1 'dimension "N"' m.onnx --bind N=x

# A suite: relu of what is not negative is right, expected -1 of it is wrong.
mkdir -p s/node/test_good/test_data_set_0 s/node/test_bad/test_data_set_0
"$npu" run m.onnx --device "$device" --input relu/input_0.bin --output good.pb >log
for name in good bad; do cp good.pb s/node/test_$name/test_data_set_0/input_0.pb; done
cp good.pb s/node/test_good/test_data_set_0/output_0.pb
cp m.onnx s/node/test_good/model.onnx
cp m.onnx s/node/test_bad/model.onnx
head -c 32 /dev/zero >zero.bin
"$npu" run m.onnx --device "$device" --input zero.bin --output s/node/test_bad/test_data_set_0/output_0.pb >log

suite() {
	suite_status=$1 suite_pattern=$2
	shift 2
	says "$suite_status" "$suite_pattern" suite --device "$device" "$@"
}
verdict() { "$npu" suite --device "$device" "$@" >out 2>err; }
ok 'suite' suite 0 '^pass  *node/test_good$' s --filter test_good
ok 'suite counts' suite 0 '1 passed, 0 failed, 0 unsupported, 0 excluded' s --filter test_good
ok 'suite has counters' suite 0 '1 jobs, [1-9][0-9]* descriptors' s --filter test_good
ok 'suite fails' eval '! verdict s && grep -qx "FAIL  *node/test_bad: set 0: .*\[1, 3\] is 7, expected 0; 7 of 8 elements differ" out'
ok 'suite by TAP' eval '! verdict s --tap && grep -q "^not ok 1 node/test_bad" out && grep -qx "ok 2 node/test_good" out && grep -qx 1..3 out'
ok 'suite in brief' eval '! verdict s --brief && ! grep -q test_good out && grep -q test_bad out'
echo 'test_bad random # by nature' >list
ok 'suite with an exclusion' suite 0 '^excluded  *node/test_bad: random' s --exclude list
ok 'suite counts exclusions' suite 0 '1 excluded (random 1)' s --exclude list
echo 'test_good random' >>list
ok 'suite with an exclusion that passes' eval '! verdict s --exclude list && grep -q "^STALE  *node/test_good" out'
printf 'test_bad random\ntest_none random\n' >list
ok 'suite with an exclusion of nothing' eval '! verdict s --exclude list && grep -q "names test_none, which is no test" err'
ok 'suite with a filtered exclusion of nothing' suite 0 'pass' s --exclude list --filter 'test_good'
ok 'suite with a wrong result that is called unsupported' eval 'echo "test_bad later" >known; ! verdict s --unsupported known && grep -q "^FAIL  *node/test_bad" out'
ok 'suite writes a table' eval '! verdict s --table t.md --csv t.csv && grep -q "| Relu 1/2 |" t.md'
ok 'suite writes CSV' eval 'grep -q "^node,test_good,Relu,pass,,1," t.csv && grep -q "^node,test_bad,Relu,fail,,0,.*expected 0" t.csv'
mkdir -p u/test_op/test_data_set_0
sed 's/Relu/Rely/' m.onnx >u/test_op/model.onnx
cp good.pb u/test_op/test_data_set_0/input_0.pb
cp good.pb u/test_op/test_data_set_0/output_0.pb
ok 'suite with an unsupported operator' suite 0 '^unsupported  *u/test_op: .*Rely' u
ok 'suite with an expected one' eval 'echo "test_op operator" >known; suite 0 "1 unsupported" u --unsupported known'
ok 'suite with an unexpected one' eval ': >known; ! verdict u --unsupported known'
ok 'suite with a model that is cut off' eval 'head -c 60 m.onnx >u/test_op/model.onnx; ! verdict u && grep -q "^FAIL.*not an ONNX model" out'
ok 'suite without an input' eval 'cp m.onnx u/test_op/model.onnx; rm u/test_op/*/input_0.pb; ! verdict u && grep -q "FAIL.*no tensor for" out'
ok 'suite without data' eval 'rm -r u/test_op/test_data_set_0; ! verdict u && grep -q "FAIL.*no test_data_set_0" out'
ok 'suite with a bad tolerance' says 2 'tolerance much is not a number' suite --rtol much s
ok 'suite without a directory' says 2 'a directory with tests' suite
ok 'suite of a missing directory' suite 1 'No such file' missing
ok 'suite on no device' eval '! "$npu" suite s --device sim,acc_bytes=4096 --csv no.csv >out 2>err && [ ! -s out ] && [ ! -e no.csv ] && [ "$(wc -l <err)" = 1 ]'
ok 'suite of nothing' suite 1 'no test called' good
ok 'suite with a bad list' eval 'echo only >list; suite 1 "list:1: wants" s --exclude list'
ok 'suite with a list twice' eval 'printf "a b\na c\n" >list; suite 1 "names a twice" s --exclude list'
ok 'suite without a list' suite 1 'No such file' s --exclude missing

# y = Reshape(x [N, 4], s [2]): N is open, and s decides about a shape. s is 4, 2.
printf '\10\10B\2\20\15\72C\12\22\12\1x\12\1s\22\1y\42\7Reshape\22\1gZ\24\12\1x\22\17\12\15\10\1\22\11\12\3\22\1N\12\2\10\4Z\17\12\1s\22\12\12\10\10\7\22\4\12\2\10\2b\3\12\1y' >r.onnx
printf '\10\2\20\7\112\20\4\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0' >s.pb
ok 'run with an open dimension' says_run 1 'dimension 0 is "N"; bind it with N=NUMBER' r.onnx
ok 'run with an open shape' says_run 1 '("s") depends on the data of a run' r.onnx --bind N=2
ok 'run bound by inputs' says_run 0 'output    "y" f32 \[4, 2\]' r.onnx --input x=good.pb --input s=s.pb --output r.pb
ok 'run bound by inputs, right' eval 'tail -c 32 r.pb >a && tail -c 32 good.pb >b && cmp a b'
ok 'run bound by the order of inputs' says_run 0 'output    "y" f32 \[4, 2\]' r.onnx --input good.pb --input s.pb
ok 'run bound by a shape' says_run 0 'input     "x" f32 \[2, 4\]: no file' r.onnx --shape x=2x4 --input s=s.pb
ok 'run with a shape that is wrong' says_run 1 'dimension 1 is 4, but 5 in what is given' r.onnx --shape x=2x5 --input s=s.pb
ok 'run with a shape of nothing' says_run 1 'has no input "z"' r.onnx --shape z=2
ok 'run with an input of nothing' says_run 1 'has no input "z"' r.onnx --shape x=2x4 --input s=s.pb --input z=s.pb
ok 'run with no shape' says_run 1 '"2y4" is not a shape' r.onnx --shape x=2y4
ok 'run with half a shape' says_run 2 'is not like x=1x3' r.onnx --shape x
ok 'run with a shape of a program' says_run 1 'shape is for ONNX models' p.npu --shape x=8
ok 'run with a missing file to bind' says_run 1 'none.pb: No such file' r.onnx --input x=none.pb --input s=s.pb

ok 'no model' says 2 'one model' run --device "$device"
ok 'missing model' says_run 1 'none.npu: No such file' none.npu
ok 'missing ONNX model' says_run 1 'none.onnx: No such file' none.onnx
ok 'a directory for a model' says_run 1 'empty: Is a directory' empty
ok 'a device for a model' says_run 1 'null: not a regular file' /dev/null
: >none.npu
ok 'an empty model' says_run 1 'none.npu: not a program' none.npu
mv none.npu none.onnx
ok 'an empty ONNX model' says_run 1 'none.onnx: ' none.onnx
ok 'missing input' says_run 1 'none.bin: No such file' p.npu --input none.bin
ok 'a directory for an input' says_run 1 'empty: not a regular file' p.npu --input empty
ok 'input with another name' says_run 1 'has no input "z"' p.npu --input z=x.bin
ok 'output with another name' says_run 1 'has no output "z"' p.npu --output z=x.bin
ok 'too many inputs' says_run 1 'has 1 inputs, 2 files' p.npu --input x.bin --input x.bin
ok 'repeat of nothing' says_run 2 'positive' p.npu --repeat 0
ok 'an option without its value' says_run 2 'needs a value' p.npu --rtol
ok 'bad tolerance' says_run 2 'tolerance -1' p.npu --rtol -1
ok 'input that is too short' eval 'head -c 31 x.bin >s.bin && says_run 1 "31 bytes, but .x. has 32" p.npu --input s.bin'
ok 'input that is too long' eval 'cat x.bin x.bin >s.bin && says_run 1 "64 bytes, but .x. has 32" p.npu --input s.bin'
ok 'input of another shape' eval 'sed "s/(8, *)/(2,4)/" y.npy >s.npy && ! cmp -s s.npy y.npy &&
	says_run 1 "shape .2, 4., which is not that of .x." p.npu --input s.npy'
ok 'input that is cut off' eval 'head -c 150 y.npy >s.npy && says_run 1 "s.npy: the file is cut off" p.npu --input s.npy'
ok 'output without a place' says_run 1 'cannot be written: No such file' p.npu --output /nonexistent/y.npy

# full FILE COMMAND...: a failure for want of room that leaves FILE as it was, and nothing new.
full() {
	file=$1
	shift
	cp "$file" before
	find . >files
	"$@" || return 1
	cmp "$file" before && find . | cmp - files
}
ok 'no room for an output' says_run 1 'full: cannot be written: No space left' p.npu --output /dev/full
: >out
: >err
ok 'an output that may not grow' full y.npy eval \
	'why=$(ulimit -f 0; exec "$npu" run --device "$device" p.npu --output y.npy 2>&1 >/dev/null)
	[ $? = 1 ] && [ "$why" = "npu: y.npy: cannot be written: File too large" ]'
ok 'output over the model' full p.npu says_run 1 'p.npu: is the model' p.npu --output ./p.npu
ok 'output over an input' full x.bin says_run 1 'x.bin: is an input' p.npu --input x.bin --output y=x.bin
ok 'two outputs in one file' says_run 1 'z.npy: is to hold two outputs' p.npu --output z.npy --output z.npy

ok 'dis' says 0 'program "affine", format 0.' dis p.npu
ok 'dis names nodes' eval 'grep -q "node \"plus\" (Add)" out && grep -q "^MAP" out && grep -q "^END" out'
ok 'dis assembles to the same' eval '"$npu" dis p.npu | "$prog_tool" asm p.npu'
ok 'dis of something else' says 1 'not a program file' dis x.bin
ok 'dis of a missing file' says 1 'No such file' dis missing.npu
ok 'dis of nothing' says 2 'one program file is needed' dis
ok 'dis of a directory' says 1 'not a regular file' dis .

size=$(wc -c <p.npu)
damaged() {
	for at in 0 3 8 16 20 100 200 $((size / 2)) $((size - 1)); do
		head -c "$at" p.npu >d.npu
		says 1 d.npu dis d.npu || return 1
		says_run 1 d.npu d.npu || return 1
		cp p.npu d.npu
		printf '\132' | dd of=d.npu bs=1 seek="$at" conv=notrunc 2>/dev/null
		says_run 1 d.npu d.npu || return 1
	done
}
ok 'damaged programs' damaged
plan
