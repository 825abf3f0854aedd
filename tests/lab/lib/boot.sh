# Builds the quick part of what a lab host boots from, out of this directory, and keeps it in the cache:
#
#   tools/KEY/  labtool, the agent of the hosts, the program of the guests: change with src/
#   boot/KEY/   the two small initial file systems, dom0's and the guests': change with dom0/, guest/ and the base
#
# shellcheck shell=bash

image_tools() { # sets LAB_TOOLS
    local key w static=gcc flags=(-std=gnu11 -D_GNU_SOURCE -O2 -Wall -Wextra -Wshadow -Wstrict-prototypes)
    local src=$LAB_DIR/src
    ! command -v musl-gcc >/dev/null || static=musl-gcc
    key=$(cat "$LAB_LIB/boot.sh" "$src"/* "$LAB_DIR"/../../xhad/base/{watch,text}.[ch] | hash_of)
    LAB_TOOLS=$LAB_CACHE/tools/$key
    [ ! -e "$LAB_TOOLS/done" ] || return 0
    progress "compiling the lab's tools"
    w=$LAB_TOOLS.$$
    mkdir -p "$w"
    gcc "${flags[@]}" -o "$w/labtool" "$src"/{labtool,frame,mux,exec,wire,qmp,power}.c
    "$static" -static -s "${flags[@]}" -o "$w/agent" "$src"/{agent,frame}.c
    "$static" -static -s "${flags[@]}" -o "$w/guest" "$src/guest.c"
    "$static" -static -s "${flags[@]}" -o "$w/fence_xhalab" "$src/fence_xhalab.c"
    gcc "${flags[@]}" -I"$LAB_DIR/../.." -o "$w/holdwatch" "$src/holdwatch.c" "$LAB_DIR"/../../xhad/base/{watch,text}.c
    touch "$w/done"
    mv -T "$w" "$LAB_TOOLS" 2>/dev/null || rm -rf "$w"
}

pack_cpio() { # DIR
    (cd "$1" && find . | LC_ALL=C sort | cpio -o -H newc --quiet -R 0:0)
}

image_boot() { # sets LAB_BOOT
    local key w r
    image_base
    image_tools
    key=$({ echo "$LAB_BASE $LAB_TOOLS"; cat "$LAB_LIB"/dom0/* "$LAB_LIB"/guest/* "$LAB_LIB/boot.sh"; } | hash_of)
    LAB_BOOT=$LAB_CACHE/boot/$key
    [ ! -e "$LAB_BOOT/done" ] || return 0
    progress "packing the initial file systems"
    w=$LAB_BOOT.tmp
    rm -rf "$w"
    mkdir -p "$w"/guest/{bin,proc,sys,dev,run,usr/sbin} "$w"/dom0/{bin,proc,sys,dev,mnt,ro,rw,lab/guest}
    r=$w/guest
    cp -r "$LAB_BASE/guest/." "$r/"
    cp "$(command -v busybox)" "$r/bin/busybox"
    cp "$LAB_TOOLS/guest" "$r/bin/guest"
    install -m 755 "$LAB_LIB/guest/init" "$r/init"
    pack_cpio "$r" >"$w/guest.img" # not compressed: that saves time at each of many starts
    r=$w/dom0
    cp -r "$LAB_BASE/early/." "$r/"
    cp "$(command -v busybox)" "$r/bin/busybox"
    install -m 755 "$LAB_LIB/dom0/early-init" "$r/init"
    install -m 755 "$LAB_LIB/dom0/init" "$LAB_LIB/dom0/guest-config" "$LAB_LIB/dom0/vif-lab" "$LAB_TOOLS/agent" \
        "$LAB_TOOLS/fence_xhalab" "$r/lab/"
    cp "$w/guest.img" "$r/lab/guest/base.img"
    pack_cpio "$r" | gzip -1n >"$w/dom0.img"
    rm -rf "$w/guest" "$w/dom0"
    touch "$w/done"
    rm -rf "$LAB_BOOT"
    mv "$w" "$LAB_BOOT"
}
