# `lab run`: stories one after another on shared hosts. A host that a story leaves dirty is switched off and on.
# shellcheck shell=bash

LAB_RESULTS=${XHA_LAB_RESULTS:-/tmp/xhad-lab-results-$UID}

story_header() { # FILE KEY
    sed -n "s/^# $2: *//p" "$1" | head -n 1
}

# The Xen command lines that a story is to be told under: one for each line "xen:", or the default one.
story_xens() { # FILE
    if grep -q '^# xen:' "$1"; then sed -n 's/^# xen: *//p' "$1"; else echo; fi
}

# What is wrong with a host before a story, or nothing. One command for all: each costs time in there.
host_dirt() { # HOST
    local said
    host_alive "$1" || { echo "it is off" && return; }
    ! "$LAB_TOOLS/labtool" qmp "$LAB_STATE/$1/qmp.sock" query-status | grep -q '"paused"' ||
        { echo "it is paused" && return; }
    said=$(host_sh -t 30 "$1" 'xl list | tail -n +3
        pgrep -a "^xhad" ; pgrep -a -x xl; pgrep -a -x corosync; ls /run/xhad/watchdog 2>/dev/null
        ls -A /var/lib/xhad /etc/xhad/domains 2>/dev/null | grep -v -e : -e "^$"' 2>&1) || true
    echo "${said//$'\n'/; }"
}

# Make all hosts as they were after their boot, where they are not. They go off first, all of them: what is left of a
# story on one host would fence another one while it boots.
hosts_fresh() { # TREE
    local i dirt dirty=()
    for ((i = 1; i <= $(lab_hosts); i++)); do
        dirt=$(host_dirt "h$i")
        [ -n "$dirt" ] || continue
        say "lab: h$i is not clean ($dirt): power cycle"
        dirty+=("h$i")
    done
    for i in "${dirty[@]}"; do host_off "$i"; done
    for i in "${dirty[@]}"; do
        rm -f "$LAB_STATE/$i/disk.img"
        host_start "$i"
    done
    for i in "${dirty[@]}"; do
        host_wait "$i" 180
        [ -z "$1" ] || host_install "$1" "$i"
    done
}

# Everything that may tell why a story failed.
story_evidence() { # NAME DIR
    local i h
    for ((i = 1; i <= $(lab_hosts); i++)); do
        h=h$i
        cp "$LAB_STATE/$h/console.log" "$2/$h-console.log"
        host_alive "$h" || continue
        host_sh -t 60 "$h" 'xl list; xl dmesg | tail -n 50; dmesg | tail -n 50; ps axf; xenstore-ls -f' \
            >"$2/$h-state.txt" 2>&1 || true
        host_sh -t 60 "$h" 'tar -czf - /var/log /run/xhad /var/lib/xhad/journal /etc/xhad 2>/dev/null' \
            >"$2/$h-files.tar.gz" 2>/dev/null || true
    done
}

# Run one story. Its output goes to the terminal and to a file.
story_run() { # FILE XEN TREE
    local file=$1 xen=$2 tree=$3 name hosts i dir status=0
    name=$(basename "$file")${xen:+ ($xen)}
    hosts=$(story_header "$file" hosts)
    if lab_is_up && [ "$xen" != "$(cat "$LAB_STATE/xen-cmdline")" ]; then lab_down; fi
    if ! lab_is_up || [ "$(lab_hosts)" -lt "${hosts:-1}" ]; then
        lab_up --hosts "${hosts:-1}" --xen-cmdline "$xen" ${tree:+--install "$tree"}
    fi
    hosts_fresh "$tree"
    rm -f "$LAB_STATE"/h?/power-mode
    "$LAB_TOOLS/labtool" ask "$LAB_STATE/wire.sock" show | grep ' cut ' | while read -r net way _; do
        wire_ask join "${way:1:1}" "${way:5:1}" "$net"
    done

    dir=$LAB_RESULTS/${name// /}
    rm -rf "$dir"
    mkdir -p "$dir"
    say "== $name: $(story_header "$file" tells)"
    LAB_IN_STORY=yes LAB_TOOLS=$LAB_TOOLS LAB_XEN=$xen bash -euo pipefail "$file" 9>&- 2>&1 | tee "$dir/story.txt" || status=1
    if [ $status -ne 0 ]; then
        story_evidence "$name" "$dir"
        say "== $name FAILED: consoles, logs and the story are in $dir"
    else
        say "== $name passed"
    fi
    return $status
}

# lab run [--quick] [--keep] [--install TREE] NAME...|all
lab_run() {
    local quick=no keep=no tree='' names=() files=() f xen passed=0 failed=() began
    began=$(now_ms)
    while [ $# -gt 0 ]; do
        case $1 in
        --quick) quick=yes ;;
        --keep) keep=yes ;;
        --install) tree=${2:-} && shift ;;
        -*) die "lab run knows no option $1" ;;
        ./* | /*) names+=("$1") ;;
        all) names+=("$LAB_DIR"/scenario/*) ;;
        *) names+=("$LAB_DIR/scenario/$1") ;;
        esac
        shift
    done
    [ ${#names[@]} -gt 0 ] || die "usage: lab run [--quick] [--keep] [--install TREE] SCENARIO...|all"
    # Stories that need the same lab stand together, the ones with fewer hosts first: a lab can grow.
    for f in "${names[@]}"; do
        [ -f "$f" ] || die "there is no story $f"
        [ $quick = no ] || [ "$(story_header "$f" quick)" = yes ] || continue
        while read -r xen; do
            files+=("$xen|$(story_header "$f" hosts)|$f")
        done < <(story_xens "$f")
    done
    mapfile -t files < <(printf '%s\n' "${files[@]}" | sort -t'|' -s -k1,1 -k2,2n)
    flock -n 9 || die "another lab run or lab up is at work"
    ! lab_is_up || keep=yes
    trap 'say "lab: interrupted"; [ '$keep' = yes ] || lab_down; exit 130' INT TERM
    image_boot
    mkdir -p "$LAB_RESULTS"
    if [ -n "${XHA_BUILD:-}" ] && [ -z "$tree" ]; then
        tree=$LAB_RESULTS/tree
        rm -rf "$tree"
        make -C "$XHA_BUILD" -s install DESTDIR="$tree" >"$LAB_RESULTS/install.log" 2>&1 ||
            die "make install in $XHA_BUILD failed: see $LAB_RESULTS/install.log"
        unset XHA_BUILD
    fi
    for f in "${files[@]}"; do
        if story_run "${f##*|}" "${f%%|*}" "$tree"; then passed=$((passed + 1)); else failed+=("${f##*/}"); fi
    done
    [ $keep = yes ] || lab_down
    echo "lab: $passed passed, ${#failed[@]} failed${failed:+ (${failed[*]})}, $((($(now_ms) - began) / 1000)) s"
    [ ${#failed[@]} -eq 0 ]
}
