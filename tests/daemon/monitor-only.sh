#!/bin/bash
# A domain that is only monitored is never touched: its crash and its hang are told, no more.
# shellcheck source=tests/daemon/lib.sh
. "${XHA_SRC:?}/tests/daemon/lib.sh"

start_xhad
cfg g1
cfg g2
sim create "$T/xen/g1.cfg"
sim create "$T/xen/g2.cfg"
before=$(sim list)
protect g1 'protection = "monitor";'
protect g2 'protection = "monitor";'
is "$(sim list)" "$before" "what runs is adopted"
sim crash g1
sim hang g2
alarmed '^failure .* g1 .*crash' "the crash"
alarmed '^failure .* g2 ' "the hang"
ha stop g2 >/dev/null 2>&1
is $? 1 "a stop is refused, too"
is "$(grep -c ' work \(destroy\|start\|shutdown\|resume\|sched\|checkpoint\) ' "$T/sim/trace")" 0 "no worker touched either"
is "$(copies g1)$(copies g2)" 11 "both are there as they were"
sim beat g2
wait_state g2 running
the_end
