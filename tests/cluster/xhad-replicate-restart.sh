#!/bin/bash
# Every xhad may be restarted or killed while a guest is replicated: its workers live on, and the next xhad knows them;
# and one that was adopted takes over.
. "${XHA_SRC:?}/tests/cluster/repl-lib.sh"

pids_of() { within "$1" pgrep -f "work $T/h$1/run/jobs/[0-9]+.job"; } # HOST: its workers

xhads_up 3
replicated 1 g1
sender=$(pids_of "$owner") copy=$(pids_of "$backup")

for who in owner backup; do
    for how in TERM KILL; do
        xhad_stop "${!who}" $how
        before=$(seen "$owner" g1)
        shown "$who's xhad ends by SIG$how: its guest is seen on" sees_more "$owner" g1 "$before"
        xhad_start "${!who}"
        shown "... the next one is settled" settled "${!who}" 3
        shown "... and knows that it is protected" is_repl "${!who}" g1 "protected h$backup"
    done
done
is "$(pids_of "$owner") $(pids_of "$backup")" "$sender $copy" "the two workers are the same as before"
is "$(told "$third" pair-ended)$(told "$third" degraded)$(told "$third" promoted)" 000 "the pair never ended"
test "$(ask "$owner" '{"cmd":"repl","args":{"domain":"g1"}}' result.epoch)" -gt 0
ok $? "the owner's new xhad hears of its epochs"

# The backup's xhad is not there when the owner's host is lost.
xhad_stop "$backup" KILL
before=$(seen "$owner" g1)
power_off "$owner"
shown "the owner's host is lost while the backup's xhad is not there: it is fenced" is_off "$owner"
sleep 3
is "$(begun_on "$third" start g1)" 0 "... its guest is not started on the third host meanwhile"
xhad_start "$backup"
shown "the backup's xhad is back: its copy takes over" runs_on "$third" g1 "h$backup"
test "$(at "$backup" get g1 counter)" -ge "$before"
ok $? "... and remembers all that was seen"
is "$(begun_on "$backup" start g1)$(begun_on "$third" start g1)" 00 "... it was not started anew"
shown "... it has a new backup" is_repl "$third" g1 "protected h$third"

# Workers that died while no xhad was there.
look "$third" g1
id=$(domid "$owner" g1)
again() { [ "$(told "$owner" replicated)" -gt "$1" ] && protected "$owner" g1; } # COUNT: there is a new copy
gone() { # OWNER|BACKUP WHAT: its xhad and its workers are killed; then WHAT, and another xhad
    local host=${!1}
    n=$(told "$owner" replicated)
    xhad_stop "$host" KILL
    # shellcheck disable=SC2046 # one word each
    within "$host" kill -KILL $(pids_of "$host")
    $2
    xhad_start "$host"
    shown "$1's xhad and worker are killed${2:+, and it is as if there had been none}: it is replicated anew" again "$n"
    is "$(domid "$owner" g1) $(running g1)" "$id 1" "... and runs on where it was"
    look "$owner" g1
}
no_jobs() { rm "$T/h$owner"/run/jobs/*.job; }
gone owner ''
gone owner no_jobs
gone backup ''
the_end
