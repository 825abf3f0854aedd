#!/bin/bash
# A worker ends without an answer: xhad looks what is so, tries again when it has to, and never has two domains.
# shellcheck source=tests/daemon/lib.sh
. "${XHA_SRC:?}/tests/daemon/lib.sh"

start_xhad
policy g1
knob work-start.once die
ha protect "$T/elsewhere/g1.conf" >/dev/null
comes_back g1 2
is "$(copies g1)" 1 "killed before its work: tried once more, one domain"

policy g2
knob work-start.once die-late
ha protect "$T/elsewhere/g2.conf" >/dev/null
wait_state g2 running
is "$(begun start g2)" 1 "killed after its work: the domain is found, not started again"
is "$(copies g2)" 1 "there is one of it"

policy g3
knob work-start.once dumb
ha protect "$T/elsewhere/g3.conf" >/dev/null
comes_back g3 2
is "$(copies g3)" 1 "ended well without an answer: looked, tried once more"

knob work-destroy.once die
sim crash g1
comes_back g1 3
is "$(copies g1)" 1 "its destroyer was killed: still one domain"

knob work-start-g2.once 'refuse no-memory'
sim crash g2
wait_state g2 queued
has "$(ha why g2)" 'no-memory' "refused for want of memory: why says so"
has "$(ha why g2)" 'next: the next attempt (recovery) in' "... and when it is tried again"
the_end
