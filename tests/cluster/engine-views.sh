#!/bin/bash
# Who is there: a death of the process, a leave, a lost host and a cut are told apart; quorum follows.
. "${XHA_SRC:?}/tests/cluster/lib.sh"

detection=3 # as everybody has it: one link may fail within it, also where hosts are busy
cluster_up 5
probes_start
for i in 1 2 3 4 5; do
    wait_for "host $i sees all" has_members "$i" 0,1,2,3,4 || exit 1
done

forget
signal 2 probe KILL
shown "a death of the process is told as such" heard 1 '^view .*members=0,2,3,4 joined= left=1:proc$'
is "$(grep -c '^quorum' "$T/h1/out")" 0 "... and is no matter of quorum"
probe_start 2
shown "it comes back" heard 1 '^view .*members=0,1,2,3,4 joined=1 left=$'
shown "... and sees the others" has_members 2 0,1,2,3,4

forget
tell 3 close
shown "one that leaves has left" heard 1 '^view .*left=2:left$'
shown "... and has closed" heard 3 '^closed'
probe_start 3
shown "it joins again" has_members 1 0,1,2,3,4

forget
kill_host 5
shown "a host without power is lost" heard 1 '^view .*members=0,1,2,3 joined= left=4:node$'
revive_host 5
probe_start 5
shown "it is booted and back" has_members 1 0,1,2,3,4

forget
pause 4
shown "a host that stands still is lost" heard 1 '^view .*left=3:node$'
resume 4
shown "when it goes on it knows that it was away, and is not quorate alone or is back" \
    heard 4 '^view .*left=.*(0:node|2:node)'
for i in 1 2 3 4 5; do
    shown "host $i sees all again" has_members "$i" 0,1,2,3,4
done

forget
partition "1 2" "3 4 5"
for i in 1 2; do
    shown "host $i, in the smaller part, has no quorum" heard $i '^quorum no'
    shown "... and sees its part" has_members $i 0,1
done
shown "the larger part sees that it is" has_members 3 2,3,4
is "$(cat "$T"/h[345]/out | grep -c '^quorum no')" 0 "... and has kept its quorum"
tell 1 say from-the-minority
tell 3 say from-the-majority
shown "each part talks within itself: the smaller" heard 2 '^message 0 .* from-the-minority$'
shown "... and the larger" heard 5 '^message 2 .* from-the-majority$'
heal
for i in 1 2 3 4 5; do
    shown "host $i sees all after the cut" has_members "$i" 0,1,2,3,4
done
shown "the smaller part is quorate again" heard 1 '^quorum yes'
is "$(for i in 1 2 3 4 5; do view_id $i; done | sort -u | wc -l)" 1 "the view has one id on all hosts"
is "$(cat "$T"/h[345]/out | grep -c from-the-minority)" 0 "nothing got through the cut, not even late"

forget
cut 1 2 0
tell 1 say over-the-other-link
shown "one link of two may fail" heard 2 over-the-other-link
is "$(cat "$T"/h?/out | grep -c '^view')" 0 "... and nobody notices"
the_end
