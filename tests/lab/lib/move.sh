# The words of stories about the two workers of a move, driven by job files that the story writes itself.
# shellcheck shell=bash

# shellcheck source=lib/story.sh
. "$LAB_LIB/story.sh"

MOVE_NET=10.1.0 # the network that moves go over: management's
move_id=0

# Where things are in a host: the helper, and the jobs of this story.
move_setup() {
    local h
    for h in h1 h2; do
        on $h 'mkdir -p /etc/xhad /run/moves && rm -f /run/moves/*
            ln -sf $(ls /usr/libexec/xhad/xhad-xen /usr/local/libexec/xhad/xhad-xen 2>/dev/null | head -n 1) /run/xhad-xen
            printf "%064d\n" 1 >/etc/xhad/cluster.key && chmod 600 /etc/xhad/cluster.key'
    done
}

move_uuid() { # NAME
    local n=${1##*[!0-9]}
    [[ $1 = p* ]] && n=$((n + 100))
    printf '5eed0000-0000-4000-8000-0000000000%02x' "$n"
}

# move_job HOST FILE VERB NAME DOMID MORE: writes a job; MORE goes into its "move"
move_job() {
    on "$1" "rm -f /run/moves/$2.*; cat >/run/moves/$2.job <<'J'
{\"v\":1,\"id\":$((++move_id)),\"verb\":\"$3\",\"uuid\":\"$(move_uuid "$4")\",\"name\":\"$4\",\"domid\":$5,\"deadline_ms\":300000,\"move\":{\"id\":9,\"key_file\":\"/etc/xhad/cluster.key\"$6}}
J"
}
# move_begin HOST FILE: starts its worker
move_begin() {
    on "$1" "/run/xhad-xen work /run/moves/$2.job >/run/moves/$2.out 2>/run/moves/$2.log </dev/null & echo \$! >/run/moves/$2.pid"
}
move_done() { on "$1" "test -e /run/moves/$2.done"; }
move_result() { on "$1" "jq -r .result /run/moves/$2.done" 2>/dev/null || echo none; }
move_says() { on "$1" "jq -r .message /run/moves/$2.done; tail -n 3 /run/moves/$2.log" 2>/dev/null | sed 's/^/            | /'; }
move_data() { on "$1" "jq -r '.data.$3' /run/moves/$2.done"; }
move_listens() { on "$1" "grep -q listening /run/moves/$2.out"; }
move_port() { on "$1" "sed -n 's/.*\"listening\",\"done\":\\([0-9]*\\).*/\\1/p' /run/moves/$2.out | head -n 1"; }

# move_start FROM TO NAME [MORE]: both workers begin
move_start() {
    move_job "$2" in receive "$3" -1 ",\"bind\":\"$MOVE_NET.${2#h}\""
    move_begin "$2" in
    expect_eventually 60 "the receiver listens" move_listens "$2" in
    move_job "$1" out migrate "$3" "$(on "$1" "xl domid $3")" \
        ",\"host\":\"$MOVE_NET.${2#h}\",\"port\":$(move_port "$2" in)${4:-}"
    move_begin "$1" out
}
move_ends() { # FROM TO
    expect_eventually 300 "both workers have ended" eval "move_done $1 out && move_done $2 in"
}

# move_order HOST NAME VERB: what the cluster would order: resume or destroy
move_order() {
    move_job "$1" order "$3" "$2" "$(on "$1" "xl domid $2")" ''
    on "$1" "/run/xhad-xen work /run/moves/order.job >/dev/null 2>&1"
}
# The verdict that the source's and the target's words allow, carried out: exactly one runs then.
move_verdict() { # FROM TO NAME
    if [ "$(move_result "$2" in)" = ok ]; then
        note "verdict: it goes to $2"
        move_order "$1" "$3" destroy
        move_order "$2" "$3" resume
    elif [ "$(move_result "$1" out)" != refused ]; then
        note "verdict: it stays at $1"
        move_order "$1" "$3" resume
    else
        note "no verdict is needed: it runs on at $1"
    fi
}
# Domains with the guest's UUID that could run now: neither paused nor suspended.
running_copies() { # NAME
    local h n=0
    for h in h1 h2; do
        host_alive $h || continue
        n=$((n + $(on $h "xl list -v | awk '/$(move_uuid "$1")/ && \$5 !~ /[ps]/' | wc -l")))
    done
    echo $n
}
copies() { on "$1" "xl list -v | grep -c '$(move_uuid "$2")'" || true; }

# Hosts know each other by ssh, as stock xl wants it. From FIRST to SECOND.
ssh_setup() {
    on "$2" 'mkdir -p /run/sshd /root/.ssh && ssh-keygen -A >/dev/null && pgrep -x sshd >/dev/null || /usr/sbin/sshd'
    on "$1" 'mkdir -p /root/.ssh; test -e /root/.ssh/id_ed25519 || ssh-keygen -q -t ed25519 -N "" -f /root/.ssh/id_ed25519
        echo "Host *\n StrictHostKeyChecking no\n LogLevel ERROR" >/root/.ssh/config'
    on "$1" 'cat /root/.ssh/id_ed25519.pub' | host_sh -i -t 30 "$2" 'cat >/root/.ssh/authorized_keys; chmod 700 /root /root/.ssh'
    expect_eventually 20 "$1 reaches $2 by ssh" on "$1" "ssh $2 true"
}
tx_bytes() { on "$1" 'cat /sys/class/net/eth0/statistics/tx_bytes'; }

move_clean() {
    local h
    for h in h1 h2; do
        host_alive $h || continue
        on $h 'for f in /run/moves/*.pid; do [ -e "$f" ] && kill -9 $(cat $f); done 2>/dev/null
            for d in $(xl list | awk "NR > 2 { print \$2 }"); do xl destroy $d; done
            pgrep -x sshd >/dev/null && kill $(pgrep -o -x sshd); pgrep -x xl >/dev/null && kill $(pgrep -x xl)
            rm -rf /run/moves /etc/xhad/cluster.key' >/dev/null 2>&1 || true
    done
}
story_at_end+=(move_clean)
