#!/bin/bash
# SPDX-License-Identifier: MIT
# What libnpu.so exports is what its headers declare, no more and no less:
# libnpu_symbols.sh LIBRARY HEADER... Prints TAP.
set -eu
library=$1
shift
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

nm -D --defined-only "$library" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' | sort -u >"$work/exported"
# Without comments, a name before a parenthesis is a declared function.
for header in "$@"; do
	"${CC:-cc}" -fpreprocessed -dD -E -P "$header"
done | grep -v '^#' | grep -oE '\bnpu_[a-z0-9_]+ *\(' | tr -d ' (' | sort -u >"$work/declared"


# none N NAME FILE: a test that holds if the file is empty.
none() {
	if [ -s "$3" ]; then
		echo "not ok $1 $2"
		sed 's/^/# /' "$3"
	else
		echo "ok $1 $2"
	fi
}

echo 1..2
[ -s "$work/declared" ] || echo "no declarations" >>"$work/declared"
comm -13 "$work/exported" "$work/declared" >"$work/missing"
comm -23 "$work/exported" "$work/declared" >"$work/extra"
none 1 'every declared function is there' "$work/missing"
none 2 'nothing else is there' "$work/extra"
