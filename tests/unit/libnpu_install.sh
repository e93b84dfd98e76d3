#!/bin/bash
# SPDX-License-Identifier: MIT
# shellcheck disable=SC2016 # sh -c expands it
# The library as an application finds it: libnpu_install.sh SOURCE BUILD. Prints TAP.
set -u
source=$1 build=$2

# shellcheck source=tests/tap.sh
. "$(dirname "$0")/../tap.sh"

ok 'examples build against the installed library' "$source/scripts/examples" "$build"
stage=$build/stage
pc=$(find "$stage" -name npu.pc)
lib=$(dirname "$(dirname "$pc")")
ok 'all of it is installed' \
	find "$stage"/usr/local/include/npu/npu{,_graph,_models}.h "$lib"/libnpu.so{,.0} \
	"$stage"/usr/local/bin/{npu,npuc} "$stage"/usr/local/share/man/man1/{npu,npuc}.1* \
	"$stage"/usr/local/lib/udev/rules.d/60-npu.rules
ok 'headers stand alone' sh -c '
	for header; do
		echo "#include <${header##*/}>" | cc -std=c11 -Wall -Wextra -Wpedantic -Werror \
			-I"${header%/*}" -fsyntax-only -x c - || exit 1
		! command -v c++ >/dev/null ||
		echo "#include <${header##*/}>" | c++ -Wall -Wextra -Werror \
			-I"${header%/*}" -fsyntax-only -x c++ - || exit 1
	done' sh "$stage"/usr/local/include/npu/*.h
ok 'the example is linked with the installed library, by its name alone' sh -c '
	readelf -d "$0" >"$0.dynamic" || exit 1
	grep -q "NEEDED.*libnpu.so.0" "$0.dynamic" && ! grep -E "RPATH|RUNPATH" "$0.dynamic"
	' "$build/examples/hello"
ok 'the example runs on the in-process device' \
	env LD_LIBRARY_PATH="$lib" "$build/examples/hello" sim
ok 'the installed command runs' env LD_LIBRARY_PATH="$lib" "$stage/usr/local/bin/npu" info --device sim
plan
