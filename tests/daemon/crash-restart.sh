#!/bin/bash
# A guest crashes, or its watchdog fires: it is cleared away and started again, once; xhad can tell why.
# shellcheck source=tests/daemon/lib.sh
. "${XHA_SRC:?}/tests/daemon/lib.sh"

start_xhad
protect g1
is "$(field g1 why)" "first heartbeat: ready" "it is ready because it beats"
old=$(domid g1)

sim crash g1
eventually $patience begun_is start g1 -ge 2
wait_state g1 running
ok $((old == $(domid g1))) "it is another domain than before"
is "$(copies g1)" 1 "there is one of it"
is "$(begun start g1)" 2 "it was started once more"
is "$(begun destroy g1)" 1 "what remained of it was destroyed once"
is "$(field g1 restarts)" 1 "one restart is counted"
alarmed '^failure warning g1 .*crash' "its crash"

sim watchdog g1
eventually $patience begun_is start g1 -ge 3
wait_state g1 running
is "$(copies g1)" 1 "there is one of it after its watchdog fired"

why=$(ha why g1)
has "$why" 'watchdog' "why names the watchdog"
has "$why" 'crash' "why remembers the crash"
has "$(ha list)" 'running' "the table shows it"
the_end
