#!/usr/bin/env bash
# One guest of a lab: a directory of its own, and a QEMU while it runs.
#
#   guest.sh make  LABDIR LAB NAME   disks, keys, and the archive that says who it is
#   guest.sh start LABDIR LAB NAME   QEMU, until the guest can be reached
#   guest.sh stop  LABDIR LAB NAME   no QEMU
#   guest.sh remove LABDIR LAB NAME  and no directory
#   guest.sh end   LABDIR LAB        the same of all guests, and of the lab
#
# What else there is to know comes in the environment, from main.tf. All that a
# lab holds lies below LABDIR, so that `end` needs to know nothing of its guests:
# it undoes an apply that was killed, too.
set -euo pipefail
export LC_ALL=C PATH=$PATH:/usr/sbin:/sbin
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR
. "$here/common.sh"
umask 077
qemu="qemu-system-x86_64"
ready_within=900 # seconds; a guest that is emulated on a busy machine is slow

# running prints the process of a guest's QEMU. A pid alone may be another's by
# now; only our QEMU was started with this pid file.
running() {
	local pid
	pid=$(cat "$1/qemu.pid" 2>/dev/null) && [ -n "$pid" ] || return 1
	tr '\0' '\n' 2>/dev/null <"/proc/$pid/cmdline" | grep -qxF -- "$1/qemu.pid" || return 1
	echo "$pid"
}

stop() {
	local pid
	pid=$(running "$1") || return 0
	kill "$pid" 2>/dev/null || true
	for _ in $(seq 50); do
		running "$1" >/dev/null || return 0
		sleep 0.1
	done
	kill -KILL "$pid" 2>/dev/null || true
	for _ in $(seq 50); do
		running "$1" >/dev/null || return 0
		sleep 0.1
	done
	fail 5 "QEMU of $1 (process $pid) does not end; end it, then run this again"
}

# alone keeps others of the lab out; without a lab there is nothing to lock.
alone() {
	[ -d "$labdir" ] || fail 5 "$labdir is gone: the lab was destroyed meanwhile; apply again"
	exec 9>"$labdir/lock"
	flock -w 120 9 || fail 5 "another has held $labdir/lock for two minutes; see what it does (fuser $labdir/lock), then run this again"
	# Who waited may hold the lock of a lab that is gone.
	[ "$labdir/lock" -ef /dev/fd/9 ] || fail 5 "$labdir is gone: the lab was destroyed meanwhile; apply again"
}

make() {
	want qemu-img:qemu-utils ssh-keygen:openssh-client cpio:cpio
	local image
	image=$("$here/image.sh" "$IMAGE")
	alone
	stop "$dir"
	rm -rf "$dir"
	mkdir -p "$dir/guest"
	# The image itself, not its name: a cache that is cleared or made anew must
	# not change what lies under a guest's own writes.
	for file in root.img vmlinuz initrd; do
		ln "$image/$file" "$dir/$file" 2>/dev/null || cp --sparse=always "$image/$file" "$dir/$file"
	done
	qemu-img create -q -f qcow2 -b root.img -F raw "$dir/root.qcow2"
	truncate -s "${DISK_GB}G" "$dir/data.img"
	[ "$DISK_TYPE" = sparse ] || fallocate -l "${DISK_GB}G" "$dir/data.img" ||
		fail 5 "no room for a disk of $DISK_GB GB in $dir; make it smaller, or its disk_type sparse"

	if [ -n "$SSH_PUBLIC_KEY" ]; then
		echo "$SSH_PUBLIC_KEY" >"$dir/guest/authorized_keys"
	else
		[ -e "$labdir/id_ed25519" ] || ssh-keygen -q -t ed25519 -N '' -C "etcdlab-$lab" -f "$labdir/id_ed25519"
		cp "$labdir/id_ed25519.pub" "$dir/guest/authorized_keys"
	fi
	chmod 644 "$dir/guest/authorized_keys"
	ssh-keygen -q -t ed25519 -N '' -C "$name" -f "$dir/guest/ssh_host_ed25519_key"
	cut -d' ' -f1,2 "$dir/guest/ssh_host_ed25519_key.pub" >"$dir/host_key.pub"
	echo "$name" >"$dir/guest/hostname"
	{
		echo "127.0.0.1 localhost"
		echo "$HOSTS"
	} >"$dir/guest/hosts"
	tr -d - </proc/sys/kernel/random/uuid >"$dir/guest/machine-id"
	chmod 644 "$dir"/guest/{hostname,hosts,machine-id}
}

# acceleration is kvm only where a kernel was seen to run with it: /dev/kvm may be
# there and run nothing.
acceleration() {
	local known
	known=${XDG_CACHE_HOME:-$HOME/.cache}/etcdlab/terraform/kvm-$(cat /proc/sys/kernel/random/boot_id)
	[ -w /dev/kvm ] || { echo tcg; return; }
	if [ ! -e "$known" ]; then
		if timeout -k 1 8 $qemu -accel kvm -cpu host -m 256 -nodefaults -no-user-config -display none -no-reboot \
			-kernel "$dir/vmlinuz" -initrd "$dir/initrd" -append "console=ttyS0 quiet etcdlab.probe" \
			-serial stdio </dev/null 2>/dev/null | grep -q 'etcdlab: the kernel runs'; then
			echo kvm >"$known"
		else
			echo tcg >"$known"
		fi
	fi
	cat "$known"
}

start() {
	want $qemu:qemu-system-x86 cpio:cpio
	alone
	[ -e "$dir/root.qcow2" ] || fail 5 "guest $name has no disk in $dir; destroy and apply again"
	stop "$dir"
	# Until when it lives, on its own clock; `timeout` below sees to it as well.
	cat >"$dir/guest/config" <<-END
		control_mac=$CONTROL_MAC
		private_mac=$PRIVATE_MAC
		private=$PRIVATE_ADDRESS/24
		deadline=$(($(date +%s) + TTL_SECONDS))
	END
	echo "$START" >"$dir/starts"
	cp "$dir/initrd" "$dir/initrd.guest"
	(cd "$dir" && find guest | cpio --quiet -o -H newc -R 0:0) >>"$dir/initrd.guest"

	local accel cpu forward="" pair began pid
	accel=$(acceleration)
	# A small processor boots sooner than a large one; these are the extensions
	# that TLS and checksums use.
	cpu=host
	[ "$accel" = kvm ] || cpu=qemu64,+ssse3,+sse4.1,+sse4.2,+popcnt,+aes,+pclmulqdq,+rdrand
	for pair in $FORWARD; do
		forward+=",hostfwd=tcp:127.0.0.1:${pair%:*}-10.0.2.15:${pair#*:}"
	done
	rm -f "$dir/qemu.pid" "$dir/console.log"
	# A reset of the guest is a boot of the same QEMU: with its disks as they are.
	setsid timeout -k 10 "$((TTL_SECONDS + 60))" $qemu \
		-name "etcdlab-$lab.$name" -pidfile "$dir/qemu.pid" \
		-nodefaults -no-user-config -display none -machine q35,usb=off,smbus=off,sata=off \
		-accel "$accel" -cpu "$cpu" -smp "$CPUS" -m "${MEMORY_MB}M" \
		-kernel "$dir/vmlinuz" -initrd "$dir/initrd.guest" \
		-append "console=ttyS0 quiet loglevel=4 panic=1 reboot=t net.ifnames=0 random.trust_cpu=on ${KERNEL_ARGS:-}" \
		-chardev "file,id=console,path=$dir/console.log,append=on" -serial chardev:console \
		-drive "file=$dir/root.qcow2,format=qcow2,if=virtio,discard=unmap" \
		-drive "file=$dir/data.img,format=raw,if=virtio,discard=unmap,werror=report,rerror=report" \
		-netdev "user,id=control,restrict=on$forward" -device "virtio-net-pci,netdev=control,romfile=,mac=$CONTROL_MAC" \
		-netdev "socket,id=private,mcast=$PRIVATE_GROUP,localaddr=127.0.0.1" -device "virtio-net-pci,netdev=private,romfile=,mac=$PRIVATE_MAC" \
		-device virtio-rng-pci </dev/null >"$dir/qemu.log" 2>&1 9>&- &
	pid=$!
	disown
	exec 9>&-

	began=$SECONDS
	until grep -qs 'etcdlab: the guest is ready' "$dir/console.log"; do
		if ! kill -0 "$pid" 2>/dev/null; then
			grep -q 'host forwarding' "$dir/qemu.log" 2>/dev/null &&
				fail 5 "guest $name: a port of the lab is taken ($(grep -o "127.0.0.1:[0-9]*" "$dir/qemu.log" | head -n1)); set another slot (now $SLOT)"
			tail -n 5 "$dir/qemu.log" "$dir/console.log" >&2 2>/dev/null || true
			fail 5 "QEMU of guest $name ended before the guest was up; its last words are above"
		fi
		! grep -qs "Kernel panic" "$dir/console.log" ||
			fail 5 "the kernel of guest $name panics; see $dir/console.log"
		[ $((SECONDS - began)) -lt $ready_within ] ||
			fail 5 "guest $name was not up within $ready_within s; what it said is in $dir/console.log"
		sleep 0.2
	done
	say "guest $name is up after $((SECONDS - began)) s ($accel)"
}

command=${1:?} labdir=${2:?} lab=${3:?} name=${4:-}
dir=$labdir/$name
case "$command" in
make | start) "$command" ;;
stop)
	if [ -d "$labdir" ]; then
		alone
		stop "$dir"
	fi
	;;
remove)
	if [ -d "$labdir" ]; then
		alone
		stop "$dir"
		rm -rf "$dir"
	fi
	;;
end)
	if [ -d "$labdir" ]; then
		alone
		for dir in "$labdir"/*/; do
			stop "${dir%/}"
		done
		rm -rf "$labdir"
	fi
	;;
*) fail 2 "usage: guest.sh make|start|stop|remove|end LABDIR LAB [NAME]" ;;
esac
