#!/bin/bash
# Two hundred domains are started, get ready, and are taken up again by a new xhad.
# shellcheck source=tests/daemon/lib.sh
. "${XHA_SRC:?}/tests/daemon/lib.sh"
long_story

n=200
settings 'parallel = 8;' 'heartbeat_interval = 0.5;'
policy_in=policy
for i in $(seq $n); do
    policy "vm$i" 'heartbeat_timeout = 5;' 'boot_grace = 60;'
done
start_xhad
running() { [ "$(ask '{"cmd":"status"}' result.text)" = "$n protected, $n running, 0 failed or in error" ]; }
eventually 40 running
ok $? "all are ready: $(ask '{"cmd":"status"}' result.text)"
is "$(grep -c 'work start' "$T/sim/trace")" $n "each was started once"
is "$(sim list | awk '{ print $2 }' | sort -u | wc -l)/$(sim list | wc -l)" $n/$n "there is one of each"
before=$(sim list)
kill_xhad KILL
start_xhad
eventually $patience running
ok $? "a new xhad takes up all"
is "$(sim list)" "$before" "none of them has noticed"
sim crash vm17
sim destroy vm18
comes_back vm17 2
wait_state vm18 stopped
alarmed '^failure .* vm17 .*crash' "the crash"
is "$(alarms " vm")" 1 "... and none of any other domain"
the_end
