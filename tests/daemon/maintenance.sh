#!/bin/bash
# In maintenance a domain, or the whole host, is left alone, whatever happens; so it stays after xhad was killed.
# Unprotected, it is forgotten and runs on.
# shellcheck source=tests/daemon/lib.sh
. "${XHA_SRC:?}/tests/daemon/lib.sh"

start_xhad
protect g1
protect g2
ha maintenance g1 on >/dev/null
is "$(state g1)" maintenance "one domain in maintenance"
sim crash g1
sim crash g2
comes_back g2 2
is "$(begun destroy g1)" 0 "it is left alone, the other one is not"
kill_xhad KILL
start_xhad
is "$(state g1)" maintenance "it still is after xhad was killed"
ha maintenance g1 off >/dev/null
comes_back g1 2

ha maintenance on >/dev/null
is "$(state g1)$(state g2)" maintenancemaintenance "the whole host in maintenance"
sim crash g1
sim hang g2
holds 2.0 begun_is destroy g2 -eq 1
ok $? "nothing is done to either"
is "$(begun destroy g1)" 1 "... nor to the crashed one"
ha maintenance off >/dev/null
comes_back g1 3
comes_back g2 3

id=$(domid g1)
ha unprotect g1 >/dev/null
is $? 0 "unprotect"
is "$(state g1)" "" "it is forgotten"
sim crash g1
holds 0.6 begun_is destroy g1 -eq 2
ok $? "its crash is nobody's business"
kill_xhad KILL
start_xhad
is "$(state g1)/$(domid g1)" "/$id" "forgotten for good, and still there"
the_end
