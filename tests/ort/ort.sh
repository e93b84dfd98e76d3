# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# ONNX Runtime for the scripts beside this file: its library from npm, its headers from
# Debian (100 MB), into the cache once. Sets $ort to where they are.
# shellcheck disable=SC2034 # apt.sh uses it
archive=testing
# shellcheck source=scripts/apt.sh
. "$top/scripts/apt.sh"

fetch_ort() {
	mkdir "$scratch/npm" "$scratch/ort"
	(cd "$scratch/npm" && npm pack --loglevel error --cache "$scratch/npm/cache" "$ort_package") ||
		die "npm cannot fetch $ort_package; is there a network?"
	check_integrity "$scratch"/npm/*.tgz "$ort_package" "$ort_integrity"
	tar -xzf "$scratch"/npm/*.tgz -C "$scratch/npm"
	cp "$scratch"/npm/package/bin/napi-v*/linux/x64/libonnxruntime.so.1 "$scratch/ort/"
	fetch_deb libonnxruntime-dev "$1" "$ort_headers_version" "$scratch/deb"
	cp -r "$scratch/deb/usr/include/onnxruntime" "$scratch/ort/include"
	mv -T "$scratch/ort" "$cache/ort-${ort_package##*@}"
}

get_ort() {
	local version
	ort=$cache/ort-${ort_package##*@}
	[ ! -d "$ort" ] || return 0
	need_space "$cache" 600
	lock ort
	refresh_lists
	version=$(resolve libonnxruntime-dev "$ort_headers_version" "$ort_headers_series")
	slow "fetching ONNX Runtime (100 MB)" "$logs/ort.log" fetch_ort "$version"
	rm -rf "${scratch:?}"
}

# Build $1/ort_run, which needs $ort in LD_LIBRARY_PATH.
build_ort_run() {
	"${CC:-cc}" -O2 -Wall -Wextra -I "$ort/include" -o "$1/ort_run" "$top/tests/ort/ort_run.c" \
		"$top/examples/face/picture.c" -L "$ort" -l:libonnxruntime.so.1 -lpng -lm
}
