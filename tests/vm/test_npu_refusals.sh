#!/bin/sh
# SPDX-License-Identifier: MIT
# What the commands say when the system is not as they need it: no driver, no
# node, no permission, no room. Prints TAP.
# shellcheck disable=SC2016 # ok evaluates what stands in single quotes
work=$(mktemp -d)
# shellcheck source=tests/tap.sh
. "$(dirname "$0")/../tap.sh"
cd "$work" || exit 1
chmod 755 .

# refused WORDS COMMAND...: status 1, one line that says WORDS.
refused() {
	words=$1 status=0
	shift
	"$@" >out 2>err </dev/null || status=$?
	cat err
	[ $status = 1 ] && [ "$(wc -l <err)" = 1 ] && grep -q -e "$words" err
}

# As a user who is nobody; words without blanks.
nobody() { su nobody -s /bin/sh -c "cd $work && exec $*"; }

node=/dev/accel/accel0
mkdir nobodys
chown nobody nobodys
/usr/lib/npu/unit/prog_tool make p.npu 1024
/usr/lib/npu/unit/prog_tool onnx m.onnx
cp p.npu secret.npu
cp m.onnx secret.onnx
chmod 600 secret.npu secret.onnx

chmod 600 $node
ok 'no permission on the node' refused "$node: permission denied; join the group that owns it" \
	nobody npu info
ok 'nor when it is named' refused "$node: permission denied" nobody npu run --device $node p.npu
chmod 666 $node
ok 'with permission' nobody npu run p.npu
ok 'a model that may not be read' refused 'secret.npu: Permission denied' nobody npu run secret.npu
ok 'an ONNX model that may not be read' refused 'secret.onnx: .*Permission denied' \
	nobody npu run secret.onnx
ok 'npuc: a model that may not be read' refused 'secret.onnx: .*Permission denied' \
	nobody npuc secret.onnx -o nobodys/s.npu
ok 'dis: a program that may not be read' refused 'secret.npu: Permission denied' \
	nobody npu dis secret.npu
ok 'an input that may not be read' refused 'secret.npu: Permission denied' \
	nobody npu run p.npu --input secret.npu
ok 'an output that may not be written' refused 'y.npy: cannot be written: Permission denied' \
	nobody npu run p.npu --output y.npy
ok 'npuc: an output that may not be written' refused 's.npu: cannot be written: Permission denied' \
	nobody npuc m.onnx -o s.npu
ok 'none of them left a file' eval '[ -z "$(ls nobodys)" ] && [ ! -e y.npy ] && [ ! -e s.npu ]'
chmod 600 $node

# A disk of one page: it holds a small file, and not another one beside it.
mkdir disk
mount -t tmpfs -o size=4k tmpfs disk
echo before >disk/y.npy
cp disk/y.npy before
ok 'no room for an output' refused 'disk/y.npy: cannot be written: No space left' \
	npu run p.npu --output disk/y.npy
ok 'npuc: no room for a program' refused 'disk/y.npy: cannot be written: No space left' \
	npuc m.onnx -o disk/y.npy
ok 'the file that was there is whole, and alone' eval 'cmp disk/y.npy before && [ "$(ls disk)" = y.npy ]'
umount disk

mv $node $node.away
ok 'no node' refused 'accel0: no such device; load the driver (modprobe npu)' npu info
ok 'nor when it is named' refused "$node: no such device" npu run --device $node p.npu
mv $node.away $node
rmmod npu
ok 'no driver' refused 'accel0: no such device; load the driver (modprobe npu)' npu run p.npu
modprobe npu
ok 'the driver is back' npu run p.npu
cd /
rm -rf "$work"
plan
