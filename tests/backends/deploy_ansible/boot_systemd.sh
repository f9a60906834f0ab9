#!/bin/sh
# A systemd of its own, as the first process of namespaces of its own, over a copy-on-write view of this machine's files: what it does stays in there.
# boot_systemd.sh FOLDER GROUP SOURCE=TARGET...: FOLDER is empty; GROUP names its control group; the folder SOURCE is seen as TARGET, and is not a copy. Run by: unshare --mount
# --pid --uts --ipc --fork --kill-child.
set -e
base=$1
group=$2
shift 2
root=$base/root
mount --make-rprivate /
mount -t tmpfs tmpfs "$base"
mkdir "$base/groups" "$base/upper" "$base/work" "$root"
# Its control groups are below one of its own.
mount -t cgroup2 cgroup2 "$base/groups"
mkdir "$base/groups/$group"
echo 0 > "$base/groups/$group/cgroup.procs"
umount "$base/groups"
mount -t overlay overlay -o "lowerdir=/,upperdir=$base/upper,workdir=$base/work" "$root"
for pair in "$@"; do
  mkdir -p "$root${pair#*=}"
  mount --bind "${pair%%=*}" "$root${pair#*=}"
done
mount -t proc proc "$root/proc"
# Settings of the kernel are everybody's.
mount --bind "$root/proc/sys" "$root/proc/sys"
mount -o remount,bind,ro "$root/proc/sys"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for device in null zero full random urandom tty; do
  : > "$root/dev/$device"
  mount --bind "/dev/$device" "$root/dev/$device"
done
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
mount -t tmpfs tmpfs "$root/dev/shm"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
rm -f "$root/etc/fstab"
for unit in kmod-static-nodes systemd-binfmt systemd-firstboot systemd-modules-load systemd-random-seed systemd-remount-fs systemd-sysctl \
  systemd-timesyncd systemd-tmpfiles-setup systemd-tmpfiles-setup-dev systemd-udev-trigger systemd-udevd systemd-update-utmp; do
  ln -sf /dev/null "$root/etc/systemd/system/$unit.service"
done
for unit in avahi-daemon.socket dev-hugepages.mount dev-mqueue.mount sys-fs-fuse-connections.mount sys-kernel-debug.mount sys-kernel-tracing.mount; do
  ln -sf /dev/null "$root/etc/systemd/system/$unit"
done
mkdir -p "$root/mnt/before"
exec unshare --cgroup sh -c '
  set -e
  mount -t cgroup2 cgroup2 "$1/sys/fs/cgroup"
  cd "$1"
  pivot_root . mnt/before
  exec chroot . /bin/sh -c "umount -l /mnt/before; exec env -i container=other PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --system --unit=basic.target"
' sh "$root"
