#!/usr/bin/env bash
# Installs what a make target needs and this machine lacks: deps.sh demo|vm|test
#
# As root on Debian and its kin it installs packages; elsewhere it says what to
# install. What is missing without root is not fatal: the process provider and
# the tests that want it need root anyway, and Docker brings its own.
# Exit codes: 0 go on; 2 usage; 3 the machine lacks something.
set -euo pipefail
cd "$(dirname "$0")/.."

# command:package, for each group.
demo="mkfs.ext4:e2fsprogs losetup:mount"
case "$(uname -m)" in
aarch64 | arm64) vm="mkfs.ext4:e2fsprogs qemu-system-aarch64:qemu-system-arm" ;;
*) vm="mkfs.ext4:e2fsprogs qemu-system-x86_64:qemu-system-x86" ;;
esac
test="$demo mkfs.xfs:xfsprogs mkfs.btrfs:btrfs-progs ip:iproute2"
oldest_go=1.26

say() { echo "deps: $*" >&2; }

check_go() {
	local found
	if ! command -v go >/dev/null; then
		say "no go command; install Go $oldest_go or later from https://go.dev/dl"
		exit 3
	fi
	# In this directory, so that go may switch to the toolchain of go.mod.
	found=$(go env GOVERSION) || exit 3
	found=${found#go}
	found=${found%%[!0-9.]*}
	if [ "$(printf '%s\n' "$oldest_go" "$found" | sort -V | head -n1)" != "$oldest_go" ]; then
		say "go is $found; install Go $oldest_go or later from https://go.dev/dl"
		exit 3
	fi
}

# missing prints the packages of commands that are not there.
missing() {
	local pair
	for pair in "$@"; do
		# Root's tools may be outside of a user's PATH.
		PATH=$PATH:/usr/sbin:/sbin command -v "${pair%%:*}" >/dev/null || echo "${pair#*:}"
	done | sort -u
}

# try runs a command up to three times; its output is shown only if it fails.
try() {
	local log attempt
	log=$(mktemp)
	for attempt in 1 2 3; do
		if "$@" >"$log" 2>&1; then
			rm -f "$log"
			return 0
		fi
		[ "$attempt" = 3 ] || sleep $((attempt * 5))
	done
	cat "$log" >&2
	rm -f "$log"
	return 1
}

install() {
	local options=(-qq -y -o Acquire::Retries=3 -o DPkg::Lock::Timeout=120)
	export DEBIAN_FRONTEND=noninteractive
	say "installing $*"
	try apt-get "${options[@]}" update || say "apt-get update failed; trying with the lists there are"
	try apt-get "${options[@]}" install --no-install-recommends "$@" && return 0
	say "could not install $*"
	exit 3
}

# have_kernel says whether guests have a kernel to boot: apt will fetch one when
# a lab wants it (images/guest does that, as whoever asks), or this machine's own
# will do.
have_kernel() {
	local kernel
	command -v apt-cache >/dev/null && apt-cache show linux-image-cloud-"$(dpkg --print-architecture)" >/dev/null 2>&1 && return 0
	for kernel in /boot/vmlinuz-*; do
		[ -r "$kernel" ] && [ -e "/lib/modules/${kernel#/boot/vmlinuz-}/modules.builtin" ] && return 0
	done
	return 1
}

# refresh_lists makes apt know its packages, without which it can fetch none.
refresh_lists() {
	[ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 0
	try apt-get -qq -o Acquire::Retries=3 update || say "apt-get update failed; trying with the lists there are"
}

engine_answers() { timeout 10 docker version >/dev/null 2>&1; }

# start_docker starts an engine that is installed and does not run. Without one
# the tests that want it skip, so that nothing here is fatal.
start_docker() {
	command -v dockerd >/dev/null && command -v docker >/dev/null || return 0
	[ -z "${DOCKER_HOST:-}" ] || return 0
	engine_answers && return 0
	say "starting Docker"
	if [ -d /run/systemd/system ]; then
		timeout 60 systemctl start docker >/dev/null 2>&1 || true
	else
		timeout 60 service docker start >/dev/null 2>&1 || true
	fi
	for _ in $(seq 20); do
		engine_answers && return 0
		sleep 1
	done
	say "Docker did not start; its tests will be skipped"
}

case "${1:-}" in
demo) wanted=$demo ;;
vm) wanted=$vm ;;
test) wanted=$test ;;
*)
	echo "usage: hack/deps.sh demo|vm|test" >&2
	exit 2
	;;
esac

check_go
[ "$(uname -s)" = Linux ] || exit 0
# shellcheck disable=SC2086 # the words are wanted apart
packages=$(missing $wanted | tr '\n' ' ')
if [ -n "${packages% }" ]; then
	if [ "$(id -u)" != 0 ]; then
		say "to use the providers process and vm, install as root: $packages"
	elif ! command -v apt-get >/dev/null; then
		say "install what Debian calls: $packages"
		exit 3
	else
		# shellcheck disable=SC2086
		install $packages
	fi
fi
if [ "$1" = test ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
	# shellcheck disable=SC2086
	packages=$(missing $vm | tr '\n' ' ')
	# shellcheck disable=SC2086 # in a shell of its own, which it may end
	[ -z "${packages% }" ] || (install $packages) || say "tests that want QEMU will be skipped"
fi
if [ "$1" != demo ] && ! have_kernel; then
	refresh_lists
	have_kernel || say "no kernel for guests: apt knows no linux-image-cloud package, and /boot has none that can be read with its modules; name one with --kernel"
fi
if [ "$1" = test ] && [ "$(id -u)" = 0 ]; then
	start_docker
fi
