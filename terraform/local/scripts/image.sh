#!/usr/bin/env bash
# Makes the guests' image from Debian's packages, once, and prints its directory:
# kernel, initrd and root.img. It is kept in the user's cache under a hash of all
# that it is made from. Usage: image.sh debian-12
set -euo pipefail
export LC_ALL=C PATH=$PATH:/usr/sbin:/sbin
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR
. "$here/common.sh"

declare -A suites=([debian-12]=bookworm)
suite=${suites[${1:-}]:-} || true
[ -n "$suite" ] || fail 2 "no image is called \"${1:-}\"; there is: ${!suites[*]}"

# What a member needs, and what the agent's faults use.
packages=(
	systemd-sysv udev kmod openssh-server iproute2 nftables procps
	linux-image-cloud-amd64 busybox-static
	e2fsprogs xfsprogs btrfs-progs dmsetup
)
# What the first seconds of a boot need, before the root is there.
modules=(virtio_pci virtio_blk virtio_net ext4)
size=4G # of the root, sparse

key=$({
	echo "$suite $size ${packages[*]} ${modules[*]}"
	cat "$here/image.sh" "$here/image/"*
} | sha256sum | cut -c1-16)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/etcdlab/terraform
image=$cache/$1-$key
mkdir -p "$cache"
exec 9>"$cache/lock"
flock -n 9 || { say "waiting for another that makes an image"; flock 9; }
if [ -e "$image/root.img" ]; then
	echo "$image"
	exit 0
fi

want mmdebstrap:mmdebstrap mke2fs:e2fsprogs cpio:cpio modprobe:kmod
as_root=()
if [ "$(id -u)" != 0 ]; then
	want fakeroot:fakeroot newuidmap:uidmap
	as_root=(fakeroot)
fi
work=$(mktemp -d "$cache/making.XXXXXX")
trap 'rm -rf "$work"' EXIT
# What one left who was killed: the lock says that there is no other.
find "$cache" -maxdepth 1 -name 'making.*' ! -path "$work" -exec rm -rf {} +

# This machine's own sources, where it is the same Debian, and its way to them.
sources=()
# shellcheck source=/dev/null
if (. /etc/os-release && [ "$ID $VERSION_CODENAME" = "debian $suite" ]); then
	for file in /etc/apt/sources.list /etc/apt/sources.list.d/debian.sources; do
		[ -s "$file" ] && sources+=("$file")
	done
fi
apt-config dump | grep -E '^Acquire::(https?|Retries|Check-)' >"$work/apt.conf" || true
echo 'Acquire::Languages "none";' >>"$work/apt.conf"

say "making $1 from Debian's packages, once; this takes some minutes"
# INITRD: the kernel's package is to make none, for ours is smaller.
# What is written is thrown away if this is cut short, so dpkg need not sync.
INITRD=No mmdebstrap --variant=minbase --aptopt="$work/apt.conf" --dpkgopt=force-unsafe-io \
	--dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
	--dpkgopt='path-exclude=/usr/share/locale/*' \
	--include="$(IFS=,; echo "${packages[*]}")" \
	"$suite" "$work/root.tar" "${sources[@]}" >"$work/log" 2>&1 9>&- ||
	{ tail -n 20 "$work/log" >&2; fail 3 "mmdebstrap could not make $1; its last lines are above"; }

"${as_root[@]}" "$here/image/pack" "$work" "$size" "${modules[@]}" >"$work/log" 2>&1 9>&- ||
	{ tail -n 20 "$work/log" >&2; fail 5 "could not pack $1; the last lines are above"; }
mkdir "$work/image"
mv "$work/vmlinuz" "$work/initrd" "$work/root.img" "$work/image/"
mv "$work/image" "$image"
say "made $image"
echo "$image"
