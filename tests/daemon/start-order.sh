#!/bin/bash
# Tiers start one after another, each when the one before is ready; a guest that does not get ready holds the others
# up no longer than its ready_cap. So it is at xhad's start and in recovery.
# shellcheck source=tests/daemon/lib.sh
. "${XHA_SRC:?}/tests/daemon/lib.sh"

policy_in=policy
policy db 'start_order = 0;'
policy app 'start_order = 5;' 'start_delay = 0.3;'
policy web 'start_order = 9;'
policy slug 'start_order = 5;' 'ready_cap = 1;' 'boot_grace = 60;'
policy idle 'autostart = false;'
knob boot_ms-db 400
knob boot_ms-slug 60000
start_xhad
wait_state web running
wait_state slug booting
order=$(sed -n 's/^[0-9.]* work start \([a-z]*\) .*/\1/p' "$T/sim/trace" | xargs)
has "db app slug web|db slug app web" "$order" "the order of the starts: $order"
at() { awk -v n="$1" '$2 == "work" && $3 == "start" && $4 == n { printf "%d", $1 * 1000 }' "$T/sim/trace"; }
[ $(($(at app) - $(at db))) -ge 700 ]
ok $? "app waits for db's first beat, and its start_delay"
alarmed '^not-ready warning slug' "slug does not get ready"
[ "$(at web)" -gt "$(at app)" ] && [ $(($(at web) - $(at db))) -ge 900 ]
ok $? "web waits for app, and for slug until its ready_cap is over"
is "$(begun start idle)" 0 "without autostart it is left as it is"
is "$(state idle)" defined "... and known"
the_end
