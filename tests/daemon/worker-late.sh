#!/bin/bash
# A worker that does not end is ended at its deadline, by force where it must be; then xhad looks what is so. A guest
# that does not heed its shutdown is destroyed.
# shellcheck source=tests/daemon/lib.sh
. "${XHA_SRC:?}/tests/daemon/lib.sh"
long_story

start_xhad
policy g1 'start_timeout = 1;'
policy g2 'start_timeout = 1;'
policy g3 'stop_timeout = 1;'
knob work-start-g1.once hang
knob work-start-g2.once deaf
ha protect "$T/elsewhere/g1.conf" >/dev/null
ha protect "$T/elsewhere/g2.conf" >/dev/null
ha protect "$T/elsewhere/g3.conf" >/dev/null
comes_back g1 2
wait_state g3 running
knob deaf-g3 1
ha stop g3 >/dev/null
is "$?/$(copies g3)" 0/0 "a guest that is deaf to its shutdown is destroyed"
comes_back g2 2
logged 'killing it'
ok $? "the deaf worker was killed"
is "$(copies g1)$(copies g2)" 11 "there is one of each"

knob work-start-g1.once deaf
sim crash g1
eventually $patience begun_is start g1 -ge 3
kill_xhad KILL
start_xhad
comes_back g1 4
logged 'adopted worker is late'
ok $? "one of an earlier xhad is ended, too"
is "$(copies g1)" 1 "there is one of it"
the_end
