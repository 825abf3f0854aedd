# The words of stories about xhad. Sourced by a story instead of story.sh.
# shellcheck shell=bash

# shellcheck source=lib/story.sh
. "$LAB_LIB/story.sh"

xhad_hosts=()

# xhad_start HOST [LINE...]: settings, an alarm hook that takes notes, the daemon; until it answers
xhad_start() {
    local host=$1
    shift
    xhad_hosts+=("$host")
    on "$host" "mkdir -p /etc/xhad/domains /etc/xhad/alarm.d
        printf '#!/bin/sh\nenv | grep ^XHA | tr \"\\\\n\" \" \" >>/var/log/alarms\necho >>/var/log/alarms\n' >/etc/xhad/alarm.d/10-note
        chmod 755 /etc/xhad/alarm.d/10-note
        printf '%s\n' $(printf "'%s' " "$@") >/etc/xhad/xhad.conf"
    xhad_again "$host"
}

# Start the daemon once more, with the settings that are there.
xhad_again() { # HOST
    on "$1" 'xhad -f </dev/null >>/var/log/xhad.log 2>&1 &'
    expect_eventually 15 "xhad answers on $1" ha "$1" version
}

# Only the daemon itself dies: what it runs goes on.
xhad_kill() { # HOST
    on "$1" 'kill -9 $(cat /run/xhad/pid)'
}

ha() { # HOST ARGUMENT...
    local host=$1
    shift
    on "$host" "xl-ha $*"
}

# protect [--take-over] HOST GUEST LINE...: a policy with these lines, quick to judge
protect() {
    local host guest line lines=() d options=()
    [ "$1" != --take-over ] || { options+=("$1") && shift; }
    host=$1 guest=$2
    shift 2
    for d in "config = \"/etc/xen/$guest.cfg\";" 'heartbeat_timeout = 6;' 'backoff_min = 1;'; do
        [[ " $*" == *" ${d%% *} = "* ]] || lines+=("$d")
    done
    for line in "${lines[@]}" "$@"; do echo "$line"; done |
        host_sh -i -t 30 "$host" "cat >/etc/xhad/domains/$guest.conf"
    ON_LIMIT=180 ha "$host" protect "${options[@]}" "/etc/xhad/domains/$guest.conf" >/dev/null
}
ready() { # HOST GUEST
    expect_eventually 90 "$2 is running" state_is "$1" "$2" running
}

field() { # HOST GUEST FIELD: from `xl-ha list --json`
    on "$1" "xl-ha list --json | jq -r '.[] | select(.name == \"$2\") | .$3'"
}
state_is() { # HOST GUEST STATE
    [ "$(field "$1" "$2" state)" = "$3" ]
}
domains() { # HOST NAME: how many domains of this name Xen has
    on "$1" "xl list | awk '\$1 == \"$2\"' | wc -l"
}
alarms() { # HOST WORD: how many alarms had it
    on "$1" "grep -c -e '$2' /var/log/alarms" || true
}
alarmed() { # HOST GUEST: there was an alarm about it
    [ "$(alarms "$1" "=$2 ")" -gt 0 ]
}
# What was written is on the disk: a power cut takes what is only in the cache of dom0.
settle() { on "$1" sync; }
why_says() { # HOST GUEST WORD
    ha "$1" why "$2" | grep -q -i -e "$3"
}

# The guest has booted anew since boot id OLD and is protected and ready again.
is_new() { # HOST GUEST OLD
    local boot
    boot=$(guest_key "$1" "$2" boot) && [ "$boot" != "$3" ] && state_is "$1" "$2" running && guest_beats "$1" "$2"
}
# It runs on from a checkpoint: same boot, beating, ready again, as another domain than OLDID.
is_restored() { # HOST GUEST BOOT OLDID
    local id
    id=$(on "$1" "xl domid $2") && [ "$id" != "$4" ] && [ "$(guest_key "$1" "$2" boot)" = "$3" ] &&
        state_is "$1" "$2" running && guest_beats "$1" "$2"
}

# What xhad says has happened, as part of the story.
tell() { # HOST [GUEST]
    ha "$1" log -n 60 "${2:-}" | sed 's/^/            | /'
}

# Ends what the story has used of xhad, whatever state it is in, and with it all guests.
xhad_end() {
    local h
    for h in "${xhad_hosts[@]}"; do
        host_alive "$h" || continue
        ON_LIMIT=60 on "$h" '
            for p in $(pgrep "^xhad"); do kill -9 $p; done
            while pgrep "^xhad" >/dev/null; do sleep 0.1; done
            for d in $(xl list | awk "NR > 2 { print \$2 }"); do xl destroy $d; done
            rm -rf /var/lib/xhad/* /run/xhad/* /etc/xhad/domains/* /etc/xhad/xhad.conf /var/log/alarms' >/dev/null 2>&1 || true
    done
}
story_at_end+=(xhad_end)
