# shellcheck shell=sh
# SPDX-License-Identifier: MIT
# TAP for the shell scripts of tests/: sourced, on this machine and in the guest.
# A script ends with plan.

tap_count=0

# ok NAME COMMAND...: one test, passed if COMMAND succeeds; what it prints is
# shown if it does not.
ok() {
	tap_name=$1 tap_log=$(mktemp)
	shift
	tap_count=$((tap_count + 1))
	if "$@" >"$tap_log" 2>&1; then
		echo "ok $tap_count $tap_name"
	else
		echo "not ok $tap_count $tap_name"
		sed 's/^/# /' "$tap_log"
	fi
	rm -f "$tap_log"
}

plan() {
	echo "1..$tap_count"
}
