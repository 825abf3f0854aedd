#!/bin/bash
# gate.sh: the network gate in a real kernel. Debian's has sch_plug and the rest as modules, but the kernel of the machine
# that is built on may be any other. So the lab's kernel is booted in a small QEMU machine (no Xen, one processor, an
# initial file system in memory), where gate-story runs on devices of its own; TAP comes over the serial line.
#
# GATE_HERE=yes runs the story in a network namespace of this machine instead, for those whose kernel has it all.
# shellcheck source=tests/tap.sh
. "${XHA_SRC:?}/tests/tap.sh"
set -u
PATH=$PATH:/usr/sbin:/sbin
story=${XHA_BUILD:?}/tests/gate/gate-story
patience=300 # seconds, on a busy machine; it takes about 30

[ -z "${XHA_SHORT:-}" ] || {
    echo "1..0 # SKIP not told when XHA_SHORT is set"
    exit 0
}
if [ "${GATE_HERE:-}" = yes ]; then
    # shellcheck disable=SC2016 # expanded within
    exec unshare -nm sh -c 'mount -t sysfs s /sys && exec "$0"' "$story"
fi

LAB_DIR=$XHA_SRC/tests/lab
LAB_LIB=$LAB_DIR/lib
export LAB_DIR LAB_LIB
# shellcheck source=tests/lab/lib/base.sh
. "$LAB_LIB/base.sh"
# shellcheck source=tests/lab/lib/image.sh
. "$LAB_LIB/image.sh"
die() {
    echo "1..1"
    echo "not ok 1 - $*"
    exit 1
}
need_programs qemu-system-x86:qemu-system-x86_64 squashfs-tools:unsquashfs busybox-static:busybox cpio:cpio \
    kmod:modprobe iproute2:tc

T=$(mktemp -d "${TMPDIR:-/tmp}/xhad-gate.XXXXXX")
trap 'rm -rf "$T"' EXIT

# The lab's image, built when it is not there; `lab run` holds this lock for long, so it is taken only then.
LAB_BASE=$LAB_CACHE/base/$(image_key)
if [ ! -e "$LAB_BASE/done" ]; then
    mkdir -p "$LAB_CACHE"
    exec 9>"$LAB_CACHE/lock"
    flock 9
    image_base
    flock -u 9
fi
kernel=$(cat "$LAB_BASE/kernel-version")

# Programs with the libraries that they load.
add_programs() { # PATH...
    local p lib
    for p in "$@"; do
        cp -L "$p" "$T/root/bin/"
        ldd "$p" | grep -oE '/[^ ]+' | while read -r lib; do
            mkdir -p "$T/root${lib%/*}"
            cp -Ln "$lib" "$T/root$lib"
        done
    done
}

mkdir -p "$T"/root/{bin/box,lib,lib64,proc,sys,dev,tmp}
{
    unsquashfs -q -n -d "$T/image" "$LAB_BASE/dom0.sqsh" usr/lib/modules &&
        ln -s usr/lib "$T/image/lib" &&
        modules_copy "$T/image" "$kernel" "$T/root" ifb bridge tun sch_plug sch_ingress cls_matchall act_mirred &&
        add_programs "$(command -v busybox)" "$(command -v dash)" "$(command -v ip)" "$(command -v tc)" "$(command -v bridge)" "$story" &&
        ln -s dash "$T/root/bin/sh" &&
        install -m 755 "$XHA_SRC/tests/gate/init" "$T/root/init" &&
        (cd "$T/root" && find . | cpio -o -H newc --quiet -R 0:0) >"$T/initrd"
} >"$T/log" 2>&1 || die "the machine's file system cannot be packed: $(tail -n 3 "$T/log" | tr '\n' ' ')"

timeout -k 5 "$patience" qemu-system-x86_64 -accel tcg -cpu max -smp 1 -m 256 -nodefaults -display none -no-reboot \
    -serial stdio -kernel "$LAB_BASE/vmlinuz" -initrd "$T/initrd" -append "console=ttyS0 quiet panic=-1" \
    </dev/null >"$T/console" 2>"$T/log"
status=$?
# Whatever the firmware and the kernel say besides is shown when there was no whole story.
tr -d '\r' <"$T/console" | sed -n 's/^.*\(TAP-BEGIN\)$/\1/;/^TAP-BEGIN$/,/^TAP-END$/p' | grep -v '^TAP-' >"$T/tap"
cat "$T/tap"
if ! grep -q '^TAP-END' <(tr -d '\r' <"$T/console"); then
    sed 's/^/# /' "$T/log" "$T/console" | tr -d '\r' | tail -n 40
    echo "Bail out! the story was not told to its end (QEMU's status is $status)"
    exit 1
fi
! grep -qE '^(not ok|Bail out)' "$T/tap"
