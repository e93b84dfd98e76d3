# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# What the scripts of this directory share: where things are, messages, locks
# and the running of slow steps. Sourced, never run.

# shellcheck disable=SC2034 # the scripts that source this file use them
{
	top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
	cache=${NPU_CACHE:-$HOME/.cache/npu}
	logs=$cache/logs
	vm_dir=$top/build/vm
	jobs=${NPU_JOBS:-$(nproc)}
}

note() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }

die() {
	note "$@"
	exit 1
}

# No failure without a word.
trap 'note "line $LINENO failed: $BASH_COMMAND"' ERR

# Runs a command as root: directly, or through sudo.
as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo "$@"
	else
		die "needs root for: $*; run it as root or install sudo"
	fi
}

lock_fds=()

# lock NAME: holds the cache's lock NAME until this script ends, with an empty
# directory $scratch for what is not complete yet.
lock() {
	local fd
	mkdir -p "$cache" 2>/dev/null || die "cannot create the cache $cache (NPU_CACHE names another place)"
	exec {fd}>"$cache/$1.lock"
	flock -n "$fd" || {
		note "waiting for another run that holds $cache/$1.lock"
		flock "$fd"
	}
	lock_fds+=("$fd")
	scratch=$cache/$1.tmp
	rm -rf "$scratch"
	mkdir "$scratch"
}

# need_space DIR MIB: one clear line instead of a failure halfway.
need_space() {
	local free_mib
	mkdir -p "$1"
	free_mib=$(($(stat -f -c '%a * %S' "$1") / 1048576))
	[ "$free_mib" -ge "$2" ] ||
		die "$1 has $free_mib MiB free, this step needs $2 MiB; free some or set NPU_CACHE"
}

# last_words LOG [CHARS]: the last thing a log says, on one short line.
last_words() {
	tail -c 400 "$1" 2>/dev/null | tr '\r' '\n' | grep -v '^ *$' | tail -n 1 | cut -c 1-"${2:-70}"
}

# Reports on a log while the process PARENT lives: a moving line on a
# terminal, else a line every 15 s.
watch_log() {
	local parent=$1 log=$2 start=$SECONDS last=$SECONDS fd
	# A lock ends with the script, not with this watcher's last sleep.
	for fd in "${lock_fds[@]}"; do exec {fd}>&-; done
	while sleep 1 && [ -d "/proc/$parent" ]; do
		if [ -t 2 ]; then
			printf '\r\033[K  %3d s  %s' $((SECONDS - start)) "$(last_words "$log")" >&2
		elif [ $((SECONDS - last)) -ge 15 ]; then
			last=$SECONDS
			printf '  %3d s  %s\n' $((SECONDS - start)) "$(last_words "$log")" >&2
		fi
	done
}

# Ctrl-c in a slow step: what it did so far is taken up, or done again, next time.
interrupted() {
	trap - INT TERM HUP
	note "interrupted: $slow_what; run it again and it goes on from there"
	kill -"$1" $$
}

# slow WHAT LOG COMMAND...: says WHAT, runs COMMAND with its output in LOG and
# shows progress; a failure shows the end of the log and ends the script.
# COMMAND may be a function; it runs in a subshell with errexit on.
slow() {
	local what=$1 log=$2 start=$SECONDS monitor rc
	shift 2
	mkdir -p "${log%/*}"
	: >"$log"
	note "$what"
	watch_log $$ "$log" &
	monitor=$!
	slow_what=$what
	trap 'interrupted INT' INT
	trap 'interrupted TERM' TERM
	trap 'interrupted HUP' HUP
	set +e
	(
		set -e
		"$@"
	) >>"$log" 2>&1 </dev/null
	rc=$?
	set -e
	trap - INT TERM HUP
	kill "$monitor" 2>/dev/null
	wait "$monitor" 2>/dev/null || true
	[ ! -t 2 ] || printf '\r\033[K' >&2
	if [ "$rc" != 0 ]; then
		tail -n 20 "$log" | sed 's/^/  /' >&2
		die "failed: $what: $(last_words "$log" 200); exit $rc, all of it in $log"
	fi
	[ $((SECONDS - start)) -lt 5 ] || note "done in $((SECONDS - start)) s: $what"
}
