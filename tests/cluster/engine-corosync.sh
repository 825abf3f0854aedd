#!/bin/bash
# Corosync itself dies, hangs, or is not there: the engine says so and is back by itself.
. "${XHA_SRC:?}/tests/cluster/lib.sh"

cluster_up 3
stop_corosync 3
wait_for "corosync of host 3 has ended" sees 1 2
probes_start
shown "without corosync it says what to do" heard 3 "^down .*systemctl start corosync.*xl-ha cluster init"
shown "the others do without" has_members 1 0,1
start_corosync 3
shown "it finds corosync by itself when it is there" heard 3 '^up 2$'
for i in 1 2 3; do
    shown "host $i sees all" has_members $i 0,1,2
done

forget
kill_corosync 3
shown "a death of corosync is heard of at once" heard 3 '^down corosync: .*journalctl'
shown "... and is a lost host to the others" heard 1 '^view .*left=2:node$'
tell 3 say into-the-void
shown "nothing can be sent meanwhile" heard 3 '^cannot send: -1'
start_corosync 3
shown "it is up again" heard 3 '^up 2$'
shown "... with quorum" heard 3 '^quorum yes'
shown "... and all see each other" has_members 1 0,1,2
tell 3 say after-the-return
shown "what it says then is heard" heard 1 'after-the-return'

# Only corosync stands still: nothing tells the engine so but its own pulses.
forget
signal 3 corosync STOP
shown "a corosync that hangs costs the quorum" heard 3 '^quorum no'
shown "... and the host, for the others" heard 1 '^view .*left=2:node$'
signal 3 corosync CONT
shown "it is quorate when corosync goes on" heard 3 '^quorum yes'
shown "... and knows that it was away" heard 3 '^view .*left=.*0:node'
for i in 1 2 3; do
    shown "host $i sees all" has_members $i 0,1,2
done

# Only the process stands still. Corosync keeps what it missed, and it must not take that for the present.
forget
signal 3 probe STOP
tell 1 flood 300 1000
sleep 4
kill_host 2
wait_for "host 1 has lost host 2" heard 1 '^view .*left=1:node$'
signal 3 probe CONT
shown "a process that slept is without quorum first" heard 3 '^quorum no'
is "$(grep -m 1 -E '^(quorum|message)' "$T/h3/out")" "quorum no exclusive" "... before it hears the first message"
shown "... and quorate when it has caught up" heard 3 '^quorum yes'
is "$(sed '1,/^quorum yes/d' "$T/h3/out" | grep -c '^message')" 0 "... that is, after the last message"

forget
signal 3 corosync STOP
tell 3 close
shown "it closes also when corosync hangs" heard 3 '^closed'
signal 3 corosync CONT
the_end
