# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Fetches the packages of versions from Debian's archive into the cache, with a
# private apt configuration: this machine's own sources, lists and installed
# packages are neither changed nor used. Sourced after lib.sh and, by who wants
# another than the base, after archive is set:
#   base     what the device and the guest are made of
#   testing  test data that is only there; without it, all else still works
# Its functions want the lock of one of the cache's parts.

# shellcheck source=scripts/versions
. "$top/scripts/versions"

archive=${archive:-base}
apt_dir=$cache/apt/$archive

private_apt() {
	local tool=$1
	shift
	"$tool" -q -o Dir::Etc::SourceList="$apt_dir/archive.sources" \
		-o Dir::Etc::SourceParts=- -o Dir::Etc::Preferences=/dev/null \
		-o Dir::Etc::PreferencesParts="$apt_dir/none" \
		-o Dir::State::Lists="$apt_dir/lists" -o Dir::Cache="$apt_dir/cache" \
		-o Dir::State::Status="$apt_dir/status" \
		-o APT::Sandbox::User= -o APT::Architecture=amd64 -o APT::Architectures=amd64 \
		-o Acquire::Retries=3 -o Acquire::Languages=none -o APT::Get::List-Cleanup=0 "$@"
}

# The address from which this machine takes Debian itself.
archive_uri() {
	# shellcheck disable=SC2016 # apt-get expands these names, not the shell
	apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 2>/dev/null |
		awk -v release="$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)" \
			'$2 == release && $3 == "main" { print $1; exit }'
}

# archive_source TYPE URI SUITE [FIELD]
archive_source() {
	printf '%s\n' "Types: $1" "URIs: $2" "Suites: $3" "Components: main" \
		"Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg" ${4:+"$4"} ""
}

# archive_sources URI: what is taken from where.
archive_sources() {
	case $archive in
	base)
		archive_source deb "$1" bookworm-backports
		archive_source deb-src "$1" trixie
		;;
	testing)
		# Its lists are out of date after a week, on mirrors that lag sooner; they
		# are signed all the same, and the files have sums in versions.
		archive_source deb "$1" forky "Check-Valid-Until: no"
		;;
	esac
}

declare -A suites=([base]="bookworm-backports and trixie" [testing]=forky)

# Brings the private package lists up to date, at most once a day.
refresh_lists() {
	local uri
	uri=$(archive_uri)
	[ -n "$uri" ] || die "found no Debian archive in this machine's apt configuration"
	if [ -n "$(find "$apt_dir/fresh" -mtime -1 2>/dev/null)" ] &&
		archive_sources "$uri" | cmp -s - "$apt_dir/archive.sources"; then
		return
	fi
	mkdir -p "$apt_dir/none" "$apt_dir/lists/partial" "$apt_dir/cache/archives/partial"
	: >"$apt_dir/status"
	archive_sources "$uri" >"$apt_dir/archive.sources"
	slow "reading the package lists of ${suites[$archive]}" "$logs/apt-update.log" \
		update_lists
}

update_lists() {
	local fd
	exec {fd}>"$apt_dir/lock"
	flock "$fd"
	private_apt apt-get update -o APT::Update::Error-Mode=any
	touch "$apt_dir/fresh"
}

# versions_of PACKAGE: the versions the archive has (src:NAME for a source), newest last.
versions_of() {
	local kind=Packages
	[ "${1#src:}" = "$1" ] || kind=Sources
	private_apt apt-cache madison "${1#src:}" |
		awk -F ' *[|] *' -v kind="$kind" 'index($3, kind) { print $2 }' | sort -V
}

# resolve PACKAGE VERSION SERIES: VERSION if the archive has it, else the newest of SERIES.
resolve() {
	local found
	if versions_of "$1" | grep -qxF -e "$2"; then
		echo "$2"
		return
	fi
	found=$(versions_of "$1" | grep -F -e "$3" | tail -n 1)
	[ -n "$found" ] || die "the archive has neither ${1#src:} $2 nor another $3*"
	note "the archive no longer has ${1#src:} $2; taking $found of the same series"
	echo "$found"
}

# check_sum FILE PACKAGE VERSION LOCKED: FILE is the very one of the lock file.
check_sum() {
	[ "$3" = "$4" ] || return 0
	echo "${sha256[$2]} $1" | sha256sum --quiet -c - ||
		die "$1 is not the file that scripts/versions describes"
}

# check_integrity FILE PACKAGE INTEGRITY: the same for packages of npm.
check_integrity() {
	local sum
	sum=$(echo "${3#sha512-}" | base64 -d | od -An -v -tx1 | tr -d ' \n')
	echo "$sum $1" | sha512sum --quiet -c - ||
		die "$2 is not the file that scripts/versions describes"
}

# fetch_deb PACKAGE VERSION LOCKED DIR: downloads one package and unpacks it in DIR.
fetch_deb() {
	local tmp=$scratch/fetch
	mkdir "$tmp"
	(cd "$tmp" && private_apt apt-get download "$1=$2")
	check_sum "$tmp"/*.deb "$1" "$2" "$3"
	dpkg-deb -x "$tmp"/*.deb "$4"
	rm -rf "$tmp"
}

# fetch_source PACKAGE VERSION LOCKED DIR: the same for a source package; DIR is made.
fetch_source() {
	local tmp=$scratch/fetch
	mkdir "$tmp"
	(cd "$tmp" && private_apt apt-get source --download-only "$1=$2")
	check_sum "$tmp"/*.dsc "$1" "$2" "$3"
	dpkg-source --no-check --no-copy -x "$tmp"/*.dsc "$4"
	rm -rf "$tmp"
}
