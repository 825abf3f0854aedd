#!/bin/bash
# replicate-alone.sh: a host that is in no cluster has nowhere to replicate to: it says so, to whoever asks for it and
# by an alarm, and protects the guest as with restart.
# shellcheck source=tests/daemon/lib.sh
. "${XHA_SRC:?}/tests/daemon/lib.sh"

start_xhad
policy g1 'protection = "replicate";'
has "$(ha -N protect "$T/elsewhere/g1.conf")" "in no cluster" "a dry run says that there is none to replicate to"
is "$(ask '{"cmd":"list"}' result.0.name)" "" "... and does nothing"
said=$(ha protect "$T/elsewhere/g1.conf" 2>&1)
has "$said" "in no cluster" "protected it is told, too"
alarmed "^degraded warning g1 .*in no cluster.*xl-ha(8), cluster init" "it has no backup, and what to do"
wait_state g1 running
has "$(field g1 replication_why)" "no cluster" "the list says why it is not replicated"

sim crash g1
comes_back g1 2
is "$(begun replicate-out g1)$(begun replicate-in g1)" 00 "it is started again, no replication is tried"

kill_xhad
start_xhad
wait_state g1 running
is "$(begun replicate-out g1)$(begun replicate-in g1)" 00 "nor by the next xhad"

policy g1 'protection = "restart";'
said=$(ha protect "$T/elsewhere/g1.conf" 2>&1)
is "$said" "g1 is protected" "with restart there is nothing to be said"
the_end
