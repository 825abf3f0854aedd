# Builds the slow part of what a lab host boots from, all of it from Debian packages by name: dom0's root, Xen, the
# kernel and its modules. Kept in the cache under base/KEY, where KEY is a hash of all that went in: this
# file, the names of the packages and their newest versions.
#
# Needs no root where mmdebstrap can work without (its unshare mode wants the package uidmap, a line for the
# user in /etc/subuid, and user namespaces allowed).
# shellcheck shell=bash

LAB_XEN_VERSION=4.17
LAB_PACKAGES=(
    mount hostname iproute2 kmod procps bridge-utils busybox-static strace e2fsprogs
    "xen-utils-$LAB_XEN_VERSION" xenstore-utils zstd
    jq libuv1 libjansson4 libconfig9 libzstd1 libxxhash0 libgnutls30 liblz4-1
    openssh-server openssh-client
    corosync libcpg4 libvotequorum8 libcmap4 libexpat1
)
LAB_DOM0_MODULES=(
    virtio_pci virtio_blk virtio_net virtio_console squashfs overlay ext4 loop nbd tun tls bridge
    xen-evtchn xen-gntdev xen-gntalloc xen-privcmd xenfs xen-netback xen-blkback xen_wdt
    sch_plug sch_ingress sch_netem ifb act_mirred cls_matchall
)
LAB_GUEST_MODULES=(xen-netfront xen-blkfront xenfs xen-evtchn xen-privcmd xen_wdt)

hash_of() { sha256sum | cut -c1-16; }

# The newest of what the archive has; a new version makes a new image.
image_linux() {
    apt-cache depends linux-image-amd64 2>/dev/null |
        sed -n 's/.*Depends: \(linux-image-[0-9][^ ]*-amd64\)$/\1/p' | head -n 1
}

image_key() {
    {
        cat "$LAB_LIB/image.sh"
        apt-cache policy "${LAB_PACKAGES[@]}" "xen-hypervisor-$LAB_XEN_VERSION-amd64" "$(image_linux)" |
            grep -E '^[^ ]|Candidate:'
    } | hash_of
}

# modules_copy FROM KERNEL TO MODULE...: the modules with all that they need, and their tables
modules_copy() {
    local from=$1 kv=$2 to=$3 m
    shift 3
    for m in "$@"; do
        modprobe -d "$from" -S "$kv" --show-depends "$m" 2>/dev/null | awk '/^insmod/ { print $2 }'
    done | awk '!seen[$0]++' | while read -r m; do
        mkdir -p "$to/$(dirname "${m#"$from"}")"
        cp "$m" "$to/${m#"$from"}"
    done
    mkdir -p "$to/lib/modules/$kv"
    cp "$from/lib/modules/$kv"/modules.{builtin,order} "$to/lib/modules/$kv/"
    depmod -b "$to" "$kv" 2>/dev/null
}

image_base() { # sets LAB_BASE
    local key w linux kv
    need_programs qemu-system-x86:qemu-system-x86_64 mmdebstrap:mmdebstrap squashfs-tools:mksquashfs \
        busybox-static:busybox cpio:cpio kmod:modprobe xz-utils:xz gcc:gcc e2fsprogs:mkfs.ext4
    [ "$UID" = 0 ] || need_programs uidmap:newuidmap
    linux=$(image_linux)
    [ -n "$linux" ] || die "apt knows no linux-image-amd64: run apt-get update on Debian 12 first"
    key=$(image_key)
    LAB_BASE=$LAB_CACHE/base/$key
    [ ! -e "$LAB_BASE/done" ] || return 0

    say "lab: no image in the cache: building it (once, about a minute) in $LAB_BASE"
    w=$LAB_BASE.tmp
    rm -rf "$w" "$LAB_BASE"
    mkdir -p "$w/debs" "$w/x" "$w/extra/guest"
    progress "downloading Xen and $linux"
    (cd "$w/debs" && apt-get download "xen-hypervisor-$LAB_XEN_VERSION-amd64" "$linux") >"$w/log" 2>&1 ||
        die "the download failed: see $w/log"
    progress "unpacking them"
    for d in "$w"/debs/*.deb; do dpkg -x "$d" "$w/x"; done
    kv=${linux#linux-image-}
    echo "$kv" >"$w/kernel-version"
    depmod -b "$w/x" "$kv"
    gunzip -c "$w/x/boot/xen-$LAB_XEN_VERSION-amd64.gz" >"$w/xen"
    cp "$w/x/boot/vmlinuz-$kv" "$w/vmlinuz"
    image_vmlinux "$w/vmlinuz" "$w/extra/guest/vmlinux"
    modules_copy "$w/x" "$kv" "$w/extra" "${LAB_DOM0_MODULES[@]}"
    modules_copy "$w/x" "$kv" "$w/guest" "${LAB_GUEST_MODULES[@]}"
    modules_copy "$w/x" "$kv" "$w/early" virtio_pci virtio_blk squashfs overlay
    mkdir "$w/extra/usr" && mv "$w/extra/lib" "$w/extra/usr/lib" # where /lib leads to in Debian
    tar -C "$w/extra" --owner=0 --group=0 -cf "$w/extra.tar" guest usr
    progress "installing dom0's packages"
    image_root "$w"
    truncate -s 4G "$w/disk.img"
    mkfs.ext4 -q -F -E lazy_itable_init=1,lazy_journal_init=1 "$w/disk.img"
    rm -rf "$w/debs" "$w/x" "$w/extra" "$w/extra.tar"
    touch "$w/done"
    mv "$w" "$LAB_BASE"
    # The one before stays, for whoever goes back and forth between two versions.
    find "$LAB_CACHE/base" -mindepth 1 -maxdepth 1 -printf '%T@ %p\n' | sort -rn | tail -n +3 | cut -d' ' -f2- |
        while read -r old; do rm -rf "$old"; done
    progress "image ready: $(du -h "$LAB_BASE/dom0.sqsh" | cut -f1)"
}

# libxl's own XZ decompression fails now and then in a small dom0, so guests boot the plain ELF file.
image_vmlinux() { # VMLINUZ VMLINUX
    local at
    at=$(LC_ALL=C grep -aboP -m1 '\xfd7zXZ\x00' "$1" | head -n 1 | cut -d: -f1)
    [ -n "$at" ] || die "$1 holds no XZ stream"
    tail -c "+$((at + 1))" "$1" | xz -dcq --single-stream >"$2" || true
    [ "$(head -c 4 "$2" | tail -c 3)" = ELF ] || die "$1 could not be decompressed"
}

image_root() { # WORKDIR
    local w=$1 packages
    packages=$(IFS=,; echo "${LAB_PACKAGES[*]}")
    mmdebstrap --variant=essential --include="$packages" --customize-hook="tar-in $w/extra.tar /" \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' "$LAB_SUITE" "$w/root.tar" >>"$w/log" 2>&1 ||
        die "mmdebstrap failed: see $w/log (as an ordinary user it needs the package uidmap and /etc/subuid)"
    progress "packing dom0's root"
    mksquashfs - "$w/dom0.sqsh" -tar -comp lz4 -noappend -quiet -no-progress <"$w/root.tar" >>"$w/log" 2>&1 ||
        die "mksquashfs failed: see $w/log"
    rm "$w/root.tar"
}
