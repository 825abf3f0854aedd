#!/bin/bash
# What lies on one host's disk, asked for on another: checkpoints, and a saved file.
. "${XHA_SRC:?}/tests/cluster/xhad-lib.sh"

xhads_up 2
protect 1 g1 'protection = "checkpoint";' 'checkpoint: { interval = 0; keep = 5; };'
owner=$(host_of 1 g1)
n=${owner#h}
other=$((3 - n))
refused() { # WHAT PATTERN COMMAND...: on the other host
    local what=$1 pattern=$2
    shift 2
    ! ha "$other" "$@" >"$T/said" 2>&1 && grep -q "$pattern" "$T/said"
    ok $? "$what"
}

ha "$other" checkpoint g1 >"$T/said" 2>&1
is $? 0 "a checkpoint is ordered on another host: $(tail -n 1 "$T/said" | command cut -c 1-120)"
is "$(field "$other" checkpoints g1 -- '.[0] | "\(.number) \(.good) \(.at)"')" "1 true $owner" \
    "another host lists it, and says where it is"
is "$(field "$n" checkpoints g1 -- '.[0] | "\(.number) \(.good)"')" "1 true" "... its own host, too"

cp "$T"/checkpoints/*/1.xlsave* "$T/saved.xlsave"
ha "$other" restore g1 "$T/saved.xlsave" >"$T/said" 2>&1
is $? 0 "a file is restored by order of another host: $(tail -n 1 "$T/said" | command cut -c 1-120)"
is "$(begun_on "$n" import g1) $(begun_on "$other" import g1)" "1 0" "... where the domain is"
is "$(begun_on "$n" restore g1) $(copies g1)" "1 1" "... once"
shown "... and it runs" runs_on "$other" g1 "$owner"
refused "a file that its host does not see is refused, by that host's name" "host $owner.*/nowhere/x" restore g1 /nowhere/x
is "$(copies g1)" 1 "... and nothing has happened"

xhad_stop "$n" KILL
refused "when its xhad is gone that is said" "host $owner.*does not answer" checkpoints g1
the_end
