#!/bin/bash
# A replicated guest: what others see of it waits for its backup. Its host's power goes, and it runs on elsewhere from
# what was seen, without a start and without a fence; it finds a new backup by itself.
. "${XHA_SRC:?}/tests/cluster/xhad-lib.sh"
. "$XHA_SRC/tests/cluster/repl-lib.sh"

xhads_up 3
replicated 1 g1
is "$(copies g1)" 2 "there is a guest, and a copy that is paused"
seen=$(seen_of g1)
shown "what others see of it goes on" sees_more g1 "$seen"

owner=$(host_of 1 g1) backup=$(backup_of g1)
n=${owner#h}
third=$((6 - n - ${backup#h}))
seen=$(seen_of g1)
power_off "$n"
shown "its host loses power: it runs on its backup's" runs_on "$third" g1 "$backup"
is "$(begun_on "${backup#h}" start g1)" 0 "... it was not started anew"
test "$(at "${backup#h}" get g1 counter)" -ge "$seen"
ok $? "... it remembers all that was seen of it"
shown "... and it has a new backup" protected_with g1 "h$third"
the_end
