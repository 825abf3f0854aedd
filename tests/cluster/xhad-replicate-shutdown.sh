#!/bin/bash
# A host is shut down as planned while guests are replicated to it and from it: no copy is left on it, no guest is
# started anew or lost, and nobody is fenced.
. "${XHA_SRC:?}/tests/cluster/repl-lib.sh"

workers_of() { within "$1" pgrep -f "work $T/h$1/run/jobs/[0-9]+.job" | wc -l; } # HOST: how many

xhads_up 3
replicated 1 g1
id=$(domid "$owner" g1)

# The backup's host, where what runs is to be stopped.
echo 'on_shutdown = "stop";' >>"$T/h$backup/xhad.conf"
ha "$backup" reload >/dev/null 2>&1
ha "$backup" host-shutdown >"$T/said" 2>&1
is $? 0 "the backup's host is prepared for its shutdown: $(tail -n 1 "$T/said" | command cut -c 1-100)"
is "$(on "$backup" g1)" "" "... no copy is left there"
is "$(workers_of "$backup")" 0 "... nor a worker"
shown "... another host is the backup" is_repl "$owner" g1 "protected h$third"
is "$(domid "$owner" g1) $(running g1)" "$id 1" "... the guest runs on"
xhad_stop "$backup"
kill_corosync "$backup"
power_off "$backup"

# The owner's host, which is emptied: its guest goes to where its copy is.
ha "$owner" host-shutdown >"$T/said" 2>&1
is $? 0 "the owner's host is prepared for its shutdown: $(tail -n 1 "$T/said" | command cut -c 1-100)"
is "$(on "$owner" g1) $(on "$third" g1)" " running" "... the guest runs where its copy was, and not here"
is "$(begun_on "$third" start g1)" 0 "... it was not started anew"
is "$(workers_of "$owner")" 0 "... no worker is left"
xhad_stop "$owner"
kill_corosync "$owner"
sleep 3
is "$(running g1)" 1 "... it runs on"
is "$(cat "$T/power/log" 2>/dev/null)" "" "nobody was fenced"

# Both are back.
power_on "$backup"
shown "a host is back" settled "$third" 2
shown "... and is the backup" is_repl "$third" g1 "protected h$backup"
the_end
