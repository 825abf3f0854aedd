#!/bin/bash
# The observer hangs: the lack of rounds is told, it is ended and started again, and no guest pays for it.
# shellcheck source=tests/daemon/lib.sh
. "${XHA_SRC:?}/tests/daemon/lib.sh"
long_story

start_xhad
protect g1
knob observer silent
eventually 14 alarm_is_there '^no-rounds critical'
ok $? "after ten seconds somebody is called"
is "$(state g1)" running "the guest is not judged by what nobody sees"
eventually 14 logged 'it has been silent for too long'
ok $? "it is ended"
knob observer
wait_state g1 running
sim crash g1
comes_back g1 2
alarmed '^rounds-back info' "it is seen again"
is "$(begun destroy g1)" 1 "nothing else was done"
the_end
