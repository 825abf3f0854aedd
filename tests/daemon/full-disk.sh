#!/bin/bash
# The journal cannot be written (the file size limit plays the full disk): nothing is started, stopped or recovered,
# the guests run on, and somebody is called. When there is room again xhad goes on by itself.
# shellcheck source=tests/daemon/lib.sh
. "${XHA_SRC:?}/tests/daemon/lib.sh"
long_story

start_xhad
protect g1
kill_xhad TERM
# The journal may not grow beyond what it has, nor may the history.
cp "$T/state/journal" "$T/kept"
while [ "$(stat -c %s "$T/state/journal")" -lt 65536 ]; do
    cat "$T/kept" >>"$T/state/journal"
done
start_xhad prlimit --fsize=65536:unlimited --
wait_state g1 running
sim crash g1
alarmed '^journal critical - .*cannot be written' "the journal cannot be written"
holds 0.6 begun_is start g1 -eq 1
ok $? "nothing is done that could not be remembered"
is "$(begun destroy g1)" 0 "nothing at all"
answers
ok $? "xhad answers on"
has "$(ha status)" 'journal_ok' "status tells of it"
is "$(ha status --json | grep -c '"journal_ok": false')" 1 "... that it is not well"

prlimit --pid "$xhad_pid" --fsize=unlimited:unlimited
comes_back g1 2
is "$(copies g1)" 1 "with room again it goes on by itself"
is "$(ha status --json | grep -c '"journal_ok": true')" 1 "and says that it is well"
the_end
