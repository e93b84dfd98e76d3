#!/bin/sh
# SPDX-License-Identifier: MIT
# npu-mission is the judge of make run: it accepts what is right, and what is wrong
# in any way is a failure that it names. mission.sh NPU-MISSION. Prints TAP.
# shellcheck disable=SC2016 # ok evaluates what stands in single quotes
set -u
mission=$(realpath "$1")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# shellcheck source=tests/tap.sh
. "$(dirname "$0")/../tap.sh"
cd "$work" || exit 1
images=8

reference() { "$mission" reference --images "${2:-$images}" --only "$1" "$work"; }
run() { "$mission" run --device sim --images "$images" --only "$1" "$work"; }

# refused STATUS WORDS COMMAND...
refused() {
	want=$1 words=$2 got=0
	shift 2
	"$@" >out 2>&1 || got=$?
	cat out
	[ "$got" = "$want" ] && grep -q -e "$words" out
}

# wrong NET BYTE TEXT: the expectation has TEXT there; the run says so.
wrong() {
	cp "$1.probabilities" kept
	printf '%b' "$3" | dd of="$1.probabilities" bs=1 seek="$2" conv=notrunc status=none
	refused 1 "^$1.*FAILED" run "$1"
	status=$?
	mv kept "$1.probabilities"
	return $status
}

for net in cnn rnn attention; do
	ok "$net: no reference yet" refused 1 'run npu-mission reference first' run $net
	ok "$net: reference" reference $net
	ok "$net: the NPU agrees" run $net
	ok "$net: the table says so" eval '"$mission" run --device sim --images $images --only $net . |
		grep -q "^$net *$images *100.00% .* ok$"'
	# The lowest bit of an exponent: half or twice the probability, of the last class of the last image.
	ok "$net: another probability" wrong $net $((4 * 10 * images - 2)) '\0000'
	ok "$net: not a number" wrong $net 0 '\0000\0000\0300\0177'
done
ok 'a reference of fewer images' eval 'reference cnn 7 && refused 1 "not the reference" run cnn'
ok 'a reference of more images' eval 'reference cnn 9 && refused 1 "not the reference" run cnn'
ok 'another network'"'"'s reference' eval 'reference cnn && cp rnn.probabilities cnn.probabilities &&
	refused 1 "^cnn.*FAILED" run cnn'
ok 'no images' refused 1 'nowhere.idx' "$mission" run --device sim --data nowhere.idx "$work"
ok 'no such network' refused 2 'cnn, rnn and attention' "$mission" run --only gpt "$work"
ok 'no such device' refused 1 'no such device' "$mission" run --device /dev/accel/accel63 --images 1 "$work"
ok 'no room for the reference' refused 1 'nowhere/cnn.probabilities' \
	"$mission" reference --images 1 --only cnn nowhere
plan
