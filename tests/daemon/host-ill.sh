#!/bin/bash
# xenstore or dom0 is ill, or many beats are late at once: judgement is held, and somebody is called. When xenstore is
# well all the while, it is the guests after all.
# shellcheck source=tests/daemon/lib.sh
. "${XHA_SRC:?}/tests/daemon/lib.sh"

settings 'hold_max = 3;'
start_xhad
for g in g1 g2 g3; do
    protect $g
done
knob store-ill 1
alarmed '^host-ill critical' "xenstore is ill"
holds 1.2 begun_is destroy g1 -eq 0
ok $? "nobody is judged by beats that cannot be read"
is "$(field g1 held)" true "the list says that judgement is held"
sim crash g1
wait_state g1 queued
holds 0.6 begun_is destroy g1 -eq 0
ok $? "a crash is seen, but nothing is begun without xenstore"
knob store-ill
alarmed '^host-well' "it is well again"
comes_back g1 2
is "$(begun destroy g2)$(begun destroy g3)" 00 "nothing was done to the others"

: >"$T/alarms"
for g in g1 g2 g3; do
    sim mute $g
done
alarmed '^host-ill critical' "all beats late at once"
holds 1.5 begun_is destroy g2 -eq 0
ok $? "judgement is held"
comes_back g2 2
comes_back g3 2
alarmed '^hold-over critical' "after hold_max they are judged after all"
the_end
