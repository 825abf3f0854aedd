#!/bin/bash
# A cluster made by xl-ha cluster, from the first file to the last: init, bundle, join, add, remove, leave, status.
. "${XHA_SRC:?}/tests/cluster/lib.sh"

# at HOST WORD...: xl-ha cluster there; its own files are where it looks for them
at() {
    local i=$1
    shift
    within "$i" "$xl_ha" cluster "$@"
}

hosts=3
bridges
for i in 1 2 3; do
    start_host $i
done

at 1 init --detection 1.5 story h1=10.77.0.1,10.77.1.1 h2=10.77.0.2,10.77.1.2 >"$T/said"
ok $? "a cluster of two is made on one of them"
at 1 bundle >"$T/bundle"
ok $? "... and packed for the other"
at 2 join "$T/bundle" >"$T/said"
ok $? "... which joins"
at 3 join "$T/bundle" >"$T/said" 2>&1
is "$?/$(grep -c 'xl-ha cluster add' "$T/said")" "1/1" "one that is not in it is told how to get in"
at 1 status >"$T/said" 2>&1
is "$?/$(grep -c 'systemctl start corosync' "$T/said")" "1/1" "status, before corosync runs, says what to do"

start_corosync 1
shown "two hosts wait for all: one alone has no quorum at first" \
    eval 'at 1 status 2>/dev/null | grep -q "^quorum    : NO: 1 of 2 votes, .*two_node, wait_for_all"'
start_corosync 2
shown "both together have" eval 'at 1 status 2>/dev/null | grep -q "^quorum    : yes: 2 of 2 votes, 1 needed"'
shown "status shows both, by their links" \
    eval '[ "$(at 2 status 2>/dev/null | grep -cE "^h1 .* yes .*10.77.0.1 up, 10.77.1.1 up|^h2\* .* yes .*10.77.0.2, 10.77.1.2")" = 2 ]'
cut 1 2 1
shown "... and which link is down" eval 'at 2 status 2>/dev/null | grep -qE "^h1 .* yes .*10.77.0.1 up, 10.77.1.1 down"'
join 1 2

at 1 add h3=10.77.0.3,10.77.1.3 >"$T/said"
ok $? "a third is added"
cp "$T/h1/etc/corosync.conf" "$T/h2/etc/corosync.conf"
within 1 corosync-cfgtool -R >"$T/said" 2>&1
ok $? "corosync reads it again, while it runs"
at 1 bundle >"$T/bundle"
at 3 join "$T/bundle" >"$T/said"
ok $? "the third joins"
start_corosync 3
shown "three of three, and two are enough" \
    eval 'at 3 status 2>/dev/null | grep -q "^quorum    : yes: 3 of 3 votes, 2 needed$"'
is "$(within 1 "$xl_ha" --json cluster status | tr -d ' \n' | grep -o '"two_node":[a-z]*')" '"two_node":false' \
    "two_node is gone, without a restart"

at 3 leave --force >"$T/said"
ok $? "it leaves"
shown "corosync has ended there" is_gone 3 corosync
is "$(find "$T/h3/etc" -type f | grep -vc left-)" 0 "... and its files are put aside"
at 1 remove h3 >"$T/said"
ok $? "it is removed"
cp "$T/h1/etc/corosync.conf" "$T/h2/etc/corosync.conf"
within 1 corosync-cfgtool -R >"$T/said" 2>&1
shown "two are left" eval 'at 2 status 2>/dev/null | grep -q "^quorum    : yes: 2 of 2 votes"'
is "$(at 2 status 2>/dev/null | grep -c '^h3')" 0 "... and nobody speaks of the third"

signal 1 corosync STOP
at 1 --timeout 1 status >"$T/said" 2>&1
is "$?/$(grep -c 'does not answer in time' "$T/said")" "5/1" "a corosync that hangs is named"
signal 1 corosync CONT
the_end
