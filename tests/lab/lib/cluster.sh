# The words of stories about clusters. Sourced by a story instead of story.sh or xhad.sh.
# shellcheck shell=bash

# shellcheck source=lib/xhad.sh
. "$LAB_LIB/xhad.sh"

# The emulated hosts are slow and share two processors: with this, a token has five seconds to come round.
LAB_DETECTION=12

# cluster_up N: corosync on h1 to hN, as `xl-ha cluster` sets it up, link 0 on the management network and link 1 on
# that of replication; until each of them has quorum and sees all
cluster_up() {
    local n=$1 i hosts=() w
    w=$(mktemp)
    for ((i = 1; i <= n; i++)); do hosts+=("h$i=10.1.0.$i,10.3.0.$i"); done
    # dom0 has no syslog
    on h1 "xl-ha cluster init --detection $LAB_DETECTION lab ${hosts[*]} >/dev/null
        sed -i 's|to_syslog: yes|to_syslog: no\n    to_logfile: yes\n    logfile: /var/log/corosync.log|' /etc/corosync/corosync.conf"
    on h1 'xl-ha cluster bundle' >"$w"
    for ((i = 2; i <= n; i++)); do
        host_push "$w" "h$i:/run/lab.bundle"
        on "h$i" 'xl-ha cluster join /run/lab.bundle >/dev/null; rm /run/lab.bundle'
    done
    rm "$w"
    for ((i = 1; i <= n; i++)); do corosync_start "h$i" & done
    wait
    for ((i = 1; i <= n; i++)); do expect_eventually 90 "h$i has quorum, and sees $n hosts" sees "h$i" "$n"; done
}

# With the settings that are there, as after a boot.
corosync_start() { # HOST
    on "$1" 'mkdir -p /var/lib/corosync && corosync >/run/corosync.out 2>&1 || { cat /run/corosync.out; exit 1; }'
}

sees() { # HOST N: it has quorum with N hosts
    on "$1" "corosync-quorumtool -s" 2>/dev/null |
        awk -v n="$2" '/^Quorate:/ { q = $2 } /^Nodes:/ { m = $2 } END { exit !(q == "Yes" && m == n) }'
}

# The devices of h1 to hN for xhad.conf, as arguments of xhad_start.
fence_devices() { # N [LINE]
    local i devices=''
    for ((i = 1; i <= $1; i++)); do
        devices+="${devices:+, }{ host = \"h$i\"; agent = \"fence_xhalab\"; plug = \"h$i\"; ${2:-} }"
    done
    echo "fence = ( $devices );"
}

# What the power switches were asked for, and said: lines "SECONDS FROM ID VERB HOST asked|ok|failed"
power_log() { cat "$LAB_STATE/power.log" 2>/dev/null; }
power_asked() { # HOST VERB: how often, of anybody
    power_log | awk -v h="$1" -v v="$2" '$4 == v && $5 == h && $6 == "asked"' | wc -l
}

# ---- xhad on it ----

lab_tool() { "$LAB_DIR/lab" "$@"; }

LAB_MOVE_NET=10.3.0 # the network that moves go over: replication's

# What xhad.conf says in every story; a story adds lines of its own.
cluster_lines=('cluster = true;' "detection = $LAB_DETECTION.0;" 'address = "";')

# cluster_begin N: corosync and xhad on h1 to hN, until all are in, quorate and settled. Moves go over the network of
# replication, so that it can be cut without the cluster's being cut.
cluster_begin() {
    local n=$1 i
    step "corosync and xhad start on $n hosts"
    cluster_up "$n"
    on h1 'xl-ha cluster bundle' >"$LAB_STATE/cluster.bundle"
    for ((i = 1; i <= n; i++)); do cluster_xhad "h$i"; done
    expect_eventually 120 "$n hosts are in, quorate and settled" cluster_whole "$n"
}
cluster_xhad() { # HOST
    xhad_start "$1" "${cluster_lines[@]/address = \"\"/address = \"$LAB_MOVE_NET.${1#h}\"}"
}
# A host that was switched on again has lost what was in /etc.
cluster_again() { # HOST
    host_push "$LAB_STATE/cluster.bundle" "$1:/run/lab.bundle"
    on "$1" 'xl-ha cluster join /run/lab.bundle >/dev/null; rm /run/lab.bundle'
    corosync_start "$1"
    cluster_xhad "$1"
}
cluster_whole() { # N: each of h1 to hN says that N hosts are in
    local i
    for ((i = 1; i <= $1; i++)); do
        on "h$i" "xl-ha cluster status --json | jq -e '.xhad | .quorate and .synced and .settled' >/dev/null &&
            [ \$(xl-ha hosts --json | jq '[.[] | select(.state == \"in\" and .member)] | length') = $1 ]" || return 1
    done
}
host_state_is() { # ASKED HOST STATE
    [ "$(on "$1" "xl-ha hosts --json | jq -r '.[] | select(.name == \"$2\") | .state'")" = "$3" ]
}
host_gone() { # ASKED HOST: it is lost, or proven to be off
    host_state_is "$1" "$2" lost || host_state_is "$1" "$2" fenced
}

runs_on() { # ASKED GUEST HOST: the cluster says so, and so does Xen there
    [ "$(field "$1" "$2" host)" = "$3" ] && [ "$(field "$1" "$2" state)" = running ] && guest_runs "$3" "$2"
}
here() { # HOST GUEST: how many domains of that name this host has
    on "$1" "xl list | grep -c '^$2 ' || true"
}
copies() { # GUEST: ... all hosts that have power
    local n=0 i
    for ((i = 1; i <= $(lab_hosts); i++)); do
        ! host_alive "h$i" || n=$((n + $(here "h$i" "$1")))
    done
    echo $n
}
one_copy() { [ "$(copies "$1")" = 1 ]; }
not_here() { [ "$(here "$1" "$2")" = 0 ]; }
answers_to() { # HOST GUEST: over the guests' network
    guest_answer "$1" "$2" | grep -q "^$2 "
}
elsewhere() { # HOST GUEST OLDBOOT: it has booted anew there
    runs_on "$1" "$2" "$1" && is_new "$1" "$2" "$3"
}
running() { [ "$(field "$1" "$2" state)" = running ]; } # ASKED GUEST
powerless() { ! host_alive "$1"; }

cluster_end() {
    local h i
    for ((i = 1; i <= $(lab_hosts); i++)); do
        h=h$i
        host_alive "$h" || continue
        on "$h" 'for p in $(pgrep -x corosync); do kill -9 $p; done; rm -rf /etc/corosync/* /var/lib/corosync/* /etc/xhad/cluster.key' \
            >/dev/null 2>&1 || true
    done
}
story_at_end+=(cluster_end)
