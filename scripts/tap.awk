# SPDX-License-Identifier: MIT
# Counts TAP: reads programs' output, each between "#@ program NAME" and "#@ exit N",
# names what failed, and ends with the line "totals PASSED FAILED SKIPPED".
# A program fails as a whole when it ends badly without saying so, or when it
# does not run as many tests as it planned.

function fail(what) {
	failed++
	bad++
	print "not ok: " program ": " what
}

/^#@ program / {
	program = $3
	plan = -1
	run = bad = bailed = 0
}

/^1\.\.[0-9]+/ {
	plan = substr($1, 4) + 0
	if (plan == 0)
		skipped++
}

/^ok( |$)/ {
	run++
	if (toupper($0) ~ /# *(SKIP|XFAIL)/)
		skipped++
	else
		passed++
}

/^not ok( |$)/ {
	run++
	if (toupper($0) ~ /# *(SKIP|TODO)/)
		skipped++
	else
		fail($0)
}

/^Bail out!/ {
	fail($0)
}

/^#@ exit / {
	if (plan < 0 && !bad)
		fail("no plan; exit status " $3)
	else if (plan >= 0 && run != plan && !bad)
		fail(run " tests run of " plan " planned; exit status " $3)
	else if ($3 != 0 && !bad && plan != 0)
		fail("exit status " $3)
	program = ""
}

END {
	if (program != "")
		fail("did not end")
	print "totals", passed + 0, failed + 0, skipped + 0
}
