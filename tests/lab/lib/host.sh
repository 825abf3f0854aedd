# Hosts: power on, power off, hang, partition, and commands in them.
# shellcheck shell=bash

lab_hosts() { cat "$LAB_STATE/hosts" 2>/dev/null || die "the lab is not up (lab up)"; }

host_dir() { # HOST: its directory in the state, after a check that there is such a host
    local n hosts
    n=$(host_number "$1") || exit 1
    hosts=$(lab_hosts) || exit 1
    [ "$n" -le "$hosts" ] || die "this lab has $hosts host(s), there is no $1"
    echo "$LAB_STATE/$1"
}

host_alive() { proc_alive "$LAB_STATE/$1/qemu.pid" >/dev/null; }

host_nics() { # N: QEMU's arguments for the host's network cards
    local n=$1 i mtu
    local -A mtus=([repl]=9000)
    for i in "${!LAB_NETS[@]}"; do
        mtu=${mtus[${LAB_NETS[i]}]:-1500}
        echo "-netdev stream,id=n$i,addr.type=unix,addr.path=$LAB_STATE/h$n-${LAB_NETS[i]}.sock,server=off"
        echo "-device virtio-net-pci,netdev=n$i,disable-legacy=on,iommu_platform=on,romfile=,host_mtu=$mtu,mac=52:54:00:00:0$i:0$n"
    done
}

# Why these flags: QEMU 7.2 mishandles SMAP for a PV dom0 and RDTSCP for a PVH guest; with Xen's lazy FPU
# switching, vector registers leak between dom0 and guests under emulation; a PV dom0 needs the DMA API for
# virtio; -no-reboot turns a reboot of the machine (panic, self-fence) into QEMU's end.
host_start() { # HOST
    local host=$1 n d memory nics luns
    n=$(host_number "$host")
    d=$LAB_STATE/$host
    mkdir -p "$d"
    rm -f "$d"/*.sock
    [ -e "$d/disk.img" ] || cp --sparse=always "$LAB_BASE/disk.img" "$d/disk.img"
    memory=$(cat "$LAB_STATE/memory")
    mapfile -t nics < <(host_nics "$n" | tr ' ' '\n')
    mapfile -t luns < <(host_luns | tr ' ' '\n')
    printf '\n==== power on, %(%F %T)T ====\n' -1 >>"$d/console.log"
    proc_start "$d/qemu.pid" "$d/qemu.log" qemu-system-x86_64 -name "xhad-lab-$host" \
        -accel tcg,thread=multi -cpu max,-smap,-rdtscp -smp 1 -m "$memory" -nodefaults -display none -no-reboot \
        -chardev "socket,id=con,path=$d/console.sock,server=on,wait=off,logfile=$d/console.log,logappend=on" \
        -serial chardev:con -qmp "unix:$d/qmp.sock,server=on,wait=off" \
        -kernel "$LAB_BASE/xen" \
        -append "com1=115200,8n1 console=com1 dom0_mem=1000M,max:1000M loglvl=warning guest_loglvl=warning bootscrub=0 spec-ctrl=eager-fpu=1 $(cat "$LAB_STATE/xen-cmdline")" \
        -initrd "$LAB_BASE/vmlinuz console=hvc0 quiet panic=1 lab.host=$n,$LAB_BOOT/dom0.img" \
        -drive "file=$LAB_BASE/dom0.sqsh,format=raw,if=none,id=d0,readonly=on,file.locking=off" \
        -device virtio-blk-pci,drive=d0,disable-legacy=on,iommu_platform=on \
        -drive "file=$d/disk.img,format=raw,if=none,id=d1,cache=unsafe,discard=unmap" \
        -device virtio-blk-pci,drive=d1,disable-legacy=on,iommu_platform=on \
        "${luns[@]}" \
        -device virtio-serial-pci,disable-legacy=on,iommu_platform=on \
        -chardev "socket,id=lab,path=$d/port.sock,server=on,wait=off" -device virtserialport,chardev=lab,name=lab \
        -chardev "socket,id=power,path=$d/power.sock,server=on,wait=off" \
        -device virtserialport,chardev=power,name=power \
        "${nics[@]}"
    proc_start "$d/mux.pid" "$d/mux.log" "$LAB_TOOLS/labtool" mux "$d/port.sock" "$d/sh.sock"
    XHA_LAB_STATE=$LAB_STATE XHA_LAB_CACHE=$LAB_CACHE proc_start "$d/power.pid" "$d/power.log" \
        "$LAB_TOOLS/labtool" power "$d/power.sock" "$host" "$LAB_DIR/lab" "$LAB_STATE"
}

# A LUN is a disk that all hosts have, as /dev/vdc and /dev/vdd.
host_luns() {
    local lun
    for lun in 1 2; do
        [ -e "$LAB_STATE/lun$lun.img" ] || truncate -s 64M "$LAB_STATE/lun$lun.img"
        echo "-drive file=$LAB_STATE/lun$lun.img,format=raw,if=none,id=lun$lun,cache=writeback,file.locking=off"
        echo "-device virtio-blk-pci,drive=lun$lun,share-rw=on,disable-legacy=on,iommu_platform=on"
    done
}

# Wait until the host's agent has said hello.
host_wait() { # HOST SECONDS
    local d=$LAB_STATE/$1 until
    until=$(($(now_ms) + $2 * 1000))
    while [ ! -S "$d/sh.sock" ]; do
        if ! host_alive "$1"; then
            tail -n 20 "$d/console.log" "$d/qemu.log" >&2
            die "$1 went down while it booted: see $d/console.log"
        fi
        [ "$(now_ms)" -lt "$until" ] || die "$1 is not ready after $2 s: see $d/console.log"
        sleep 0.1
    done
}

host_off() { # HOST: the power cut
    proc_end "$LAB_STATE/$1/qemu.pid" KILL
    proc_end "$LAB_STATE/$1/mux.pid"
    proc_end "$LAB_STATE/$1/power.pid"
}

# What the lab's fence agent asks for: on and status answer at once, off when it is off.
host_power() { # HOST on|off|status
    local i
    host_dir "$1" >/dev/null
    case $2 in
    off) host_off "$1" ;;
    on)
        host_alive "$1" || {
            LAB_IN_STORY=yes setsid "$LAB_DIR/lab" start "$1" </dev/null >>"$LAB_STATE/$1/power-on.log" 2>&1 9>&- &
            for ((i = 0; i < 400; i++)); do
                ! host_alive "$1" || return 0
                sleep 0.05
            done
            return 1
        }
        ;;
    status) if host_alive "$1"; then echo on; else echo off; fi ;;
    esac
}

# How the power switch of HOST answers from now on.
host_fence() { # HOST ok|fail|hang|slow [SECONDS]
    local d
    d=$(host_dir "$1")
    case $2 in
    ok | fail | hang) echo "$2" >"$d/power-mode" ;;
    slow) echo "slow ${3:-5}" >"$d/power-mode" ;;
    *) die "usage: lab fence HOST ok|fail|hang|slow [SECONDS]" ;;
    esac
}

host_sh() { # [-i] [-t SECONDS] HOST COMMAND...
    local options=() d
    while [[ ${1:-} = -* ]]; do
        options+=("$1")
        [ "$1" = -t ] && { options+=("$2"); shift; }
        shift
    done
    [ $# -ge 2 ] || die "usage: lab sh [-i] [-t SECONDS] HOST COMMAND..."
    d=$(host_dir "$1") || return 255
    shift
    "$LAB_TOOLS/labtool" exec "${options[@]}" "$d/sh.sock" "$@"
}

host_push() { # FILE HOST:PATH
    local file=$1 host=${2%%:*} path=${2#*:} mode
    [[ $2 == *:/* ]] || die "usage: lab push FILE HOST:/PATH"
    [ -f "$file" ] || die "no file $file"
    mode=$(stat -c %a "$file")
    host_sh -i "$host" "cat >'$path.lab-push' && chmod $mode '$path.lab-push' && mv '$path.lab-push' '$path'" <"$file"
}

host_pull() { # HOST:PATH FILE
    local host=${1%%:*} path=${1#*:}
    [[ $1 == *:/* ]] || die "usage: lab pull HOST:/PATH FILE"
    host_sh "$host" "cat '$path'" >"$2"
}

# Bring a program tree (made with `make install DESTDIR=TREE`) into a host. The guest agent in it is
# put into the guests' initial file system, behind the lab's own: the kernel unpacks one after the other.
host_install() { # TREE HOST
    local tree=$1 host=$2 agent w
    [ -d "$tree" ] || die "no directory $tree to install from"
    tar -C "$tree" --owner=0 --group=0 -cf - . | host_sh -i "$host" "tar -C / --no-overwrite-dir -xf - && ldconfig"
    echo "$tree" >"$LAB_STATE/$host/tree"
    agent=$(find "$tree" -path '*/sbin/xha-guest' -type f | head -n 1)
    [ -n "$agent" ] || return 0
    if LC_ALL=C grep -q -a 'ld-linux' "$agent"; then
        say "lab: $agent is not static: the guests beat with the lab's own program instead"
        return 0
    fi
    w=$(mktemp -d "$LAB_STATE/agent.XXXXXX")
    install -D -m 755 "$agent" "$w/usr/sbin/xha-guest"
    pack_cpio "$w" |
        host_sh -i "$host" "cat /guest/base.img - >/guest/new.img && mv /guest/new.img /guest/initrd.img"
    rm -rf "$w"
}

# The directory to install from: the one given, or made from the build directory in XHA_BUILD.
install_tree() { # [TREE]: printed, or nothing
    if [ -n "${1:-}" ]; then
        echo "$1"
    elif [ -n "${XHA_BUILD:-}" ]; then
        rm -rf "$LAB_STATE/tree"
        make -C "$XHA_BUILD" -s install DESTDIR="$LAB_STATE/tree" >"$LAB_STATE/install.log" 2>&1 ||
            die "make install in $XHA_BUILD failed: see $LAB_STATE/install.log"
        echo "$LAB_STATE/tree"
    fi
}

wire_ask() { "$LAB_TOOLS/labtool" ask "$LAB_STATE/wire.sock" "$@"; }

# lab cut|join HOST HOST [--one-way] [--net NET]
wire_set() { # VERB HOST HOST [OPTION...]
    local verb=$1 a b both=yes net=all
    shift
    [ $# -ge 2 ] || die "usage: lab $verb HOST HOST [--one-way] [--net mgmt|guests|repl]"
    host_dir "$1" >/dev/null
    host_dir "$2" >/dev/null
    a=$(host_number "$1")
    b=$(host_number "$2")
    shift 2
    while [ $# -gt 0 ]; do
        case $1 in
        --one-way) both=no ;;
        --net) net=${2:-} && shift ;;
        *) die "lab $verb knows no option $1" ;;
        esac
        shift
    done
    wire_ask "$verb" "$a" "$b" "$net" || exit 1
    [ $both = no ] || wire_ask "$verb" "$b" "$a" "$net" || exit 1
}

lab_is_up() { proc_alive "$LAB_STATE/wire.pid" >/dev/null; }

lab_down() {
    local p
    [ -d "$LAB_STATE" ] || return 0
    for p in "$LAB_STATE"/h?/qemu.pid; do [ ! -e "$p" ] || proc_end "$p" KILL; done
    for p in "$LAB_STATE"/h?/{mux,power}.pid "$LAB_STATE/wire.pid"; do [ ! -e "$p" ] || proc_end "$p"; done
    rm -rf "$LAB_STATE"
}

# A lab that is up grows by the hosts that it lacks, and gets the tree anew.
# lab up [--hosts N] [--install TREE] [--memory MIB] [--xen-cmdline WORDS]
lab_up() {
    local hosts=1 tree='' memory=2560 xen='' i
    while [ $# -gt 0 ]; do
        case $1 in
        --hosts) hosts=${2:-} && shift ;;
        --install) tree=${2:-} && shift ;;
        --memory) memory=${2:-} && shift ;;
        --xen-cmdline) xen=${2:-} && shift ;;
        *) die "lab up knows no option $1" ;;
        esac
        shift
    done
    [[ $hosts = [1-3] ]] || die "a lab has 1 to 3 hosts"
    if lab_is_up; then
        [ "$xen" = "$(cat "$LAB_STATE/xen-cmdline")" ] ||
            die "a lab is up with another Xen command line: lab down first"
        [ "$hosts" -ge "$(lab_hosts)" ] || hosts=$(lab_hosts)
    elif [ -d "$LAB_STATE" ]; then
        say "lab: clearing what a dead lab left in $LAB_STATE"
        lab_down
    fi
    [ "${#LAB_STATE}" -le 70 ] || die "the path $LAB_STATE is too long for sockets: set XHA_LAB_STATE"
    image_boot
    mkdir -p "$LAB_STATE"
    chmod 700 "$LAB_STATE" || true
    [ -O "$LAB_STATE" ] || die "$LAB_STATE belongs to somebody else: set XHA_LAB_STATE"
    echo "$hosts" >"$LAB_STATE/hosts"
    echo "$memory" >"$LAB_STATE/memory"
    echo "$xen" >"$LAB_STATE/xen-cmdline"
    echo "$LAB_TOOLS" >"$LAB_STATE/tools"
    tree=$(install_tree "$tree") || exit 1
    lab_is_up || proc_start "$LAB_STATE/wire.pid" "$LAB_STATE/wire.log" \
        "$LAB_TOOLS/labtool" wire "$LAB_STATE" 3 "${LAB_NETS[@]}"
    for ((i = 0; i < 100; i++)); do
        [ ! -S "$LAB_STATE/wire.sock" ] || break
        sleep 0.02
    done
    for ((i = 1; i <= hosts; i++)); do
        host_alive "h$i" || {
            progress "powering on h$i"
            host_start "h$i"
        }
    done
    for ((i = 1; i <= hosts; i++)); do
        host_wait "h$i" 180
        progress "h$i is ready"
        [ -z "$tree" ] || {
            host_install "$tree" "h$i"
            progress "xhad is installed in h$i"
        }
    done
}

lab_status() {
    local i h state
    lab_is_up || {
        [ ! -d "$LAB_STATE" ] && echo "no lab" || echo "a dead lab's leftovers in $LAB_STATE (lab down clears them)"
        return 1
    }
    for ((i = 1; i <= $(lab_hosts); i++)); do
        h=h$i
        state=off
        if host_alive "$h"; then
            state=booting
            [ ! -S "$LAB_STATE/$h/sh.sock" ] || state=ready
            "$LAB_TOOLS/labtool" qmp "$LAB_STATE/$h/qmp.sock" query-status | grep -q '"paused"' && state=paused
        fi
        echo "$h $state"
    done
    wire_ask show | grep ' cut ' || true
}
