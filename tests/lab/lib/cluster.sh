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

cluster_end() {
    local h i
    for ((i = 1; i <= $(lab_hosts); i++)); do
        h=h$i
        host_alive "$h" || continue
        on "$h" 'for p in $(pgrep -x corosync); do kill -9 $p; done; rm -rf /etc/corosync/* /var/lib/corosync/*' \
            >/dev/null 2>&1 || true
    done
}
story_at_end+=(cluster_end)
