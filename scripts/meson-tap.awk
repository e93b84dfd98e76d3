# SPDX-License-Identifier: MIT
# Turns meson's testlog.json, a line for each test, into what tap.awk reads. A
# test that does not speak TAP counts as one, by meson's verdict.

# The text between two marks; in JSON a quote inside a string is escaped, so a
# mark that has a bare quote is never part of the text.
function between(first, last,    from, rest) {
	from = index($0, first)
	if (!from)
		return ""
	rest = substr($0, from + length(first))
	return substr(rest, 1, index(rest, last) - 1)
}

{
	name = between("\"name\": \"", "\"")
	result = between("\"result\": \"", "\"")
	text = "\n" between("\"stdout\": \"", "\", \"result\": ")
	gsub(/\\n/, "\n", text)
	gsub(/\\"/, "\"", text)
	gsub(/ /, "_", name)
	good = result == "OK" || result == "EXPECTEDFAIL"
	print "#@ program " name
	if (text ~ /\n1\.\.[0-9]/)
		print text
	else if (result == "SKIP")
		print "1..0 # SKIP"
	else
		print "1..1\n" (good ? "ok 1 " : "not ok 1 ") name
	print "#@ exit " (good || result == "SKIP" ? 0 : 1)
}
