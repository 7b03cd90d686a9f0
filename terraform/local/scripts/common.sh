# shellcheck shell=bash
# What the scripts share: to be sourced.

say() { echo "etcdlab: $*" >&2; }

# fail ends the script with a code of etcdlab's: 2 what was asked for, 3 what this
# machine lacks, 5 what went wrong.
fail() {
	local code=$1
	shift
	say "$*"
	exit "$code"
}

# want names what is missing of command:package.
want() {
	local pair missing=""
	for pair in "$@"; do
		command -v "${pair%%:*}" >/dev/null || missing+=" ${pair#*:}"
	done
	[ -z "$missing" ] || fail 3 "this machine lacks Debian packages:$missing (apt-get install$missing)"
}
