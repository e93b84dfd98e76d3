# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# The kernel's source package in the cache, for the debug kernel and for its
# checkpatch.pl. Sourced after lib.sh.

# shellcheck source=scripts/apt.sh
. "$top/scripts/apt.sh"

# Sets source_dir, with the source in it; holds the lock linux-source from now on.
get_source() {
	local version
	lock linux-source
	source_dir=$cache/linux-source-$kernel_version
	[ ! -d "$source_dir" ] || return 0
	need_space "$cache" 3000
	refresh_lists
	version=$(resolve linux-source-6.12 "$kernel_version" "$kernel_series")
	source_dir=$cache/linux-source-$version
	[ -d "$source_dir" ] ||
		slow "fetching the source of kernel $version" "$logs/linux-source.log" unpack_source "$version"
}

unpack_source() {
	fetch_deb linux-source-6.12 "$1" "$kernel_version" "$scratch/deb"
	mkdir "$scratch/source"
	tar -C "$scratch/source" --strip-components=1 -xf "$scratch/deb"/usr/src/linux-source-6.12.tar.xz
	mv -T "$scratch/source" "$source_dir"
	rm -rf "$scratch/deb"
}
