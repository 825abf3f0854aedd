#!/bin/bash
# Random clusters in virtual time: how fast they are played, and how much of the bound that `xl-ha timing` prints the
# worst recovery of each kind took. Lines of `name value unit`.
set -eu

"${XHA_BUILD:?}/tests/swarm/xha-cswarm" --seeds "${SEEDS:-1-500}" --cover --quiet 2>&1 | awk '
    / seeds\/s, / {
        for (i = 2; i <= NF; i++)
            if (sub(/\/s,?$/, "", $i))
                print "cluster_swarm_" $i, $(i - 1), $i "/s"
    }
    /^# bound .* of it$/ {
        sub(":", "", $3)
        gsub("-", "_", $3)
        print "cluster_recovery_of_bound_" $3, $(NF - 2), "ratio"
    }
    /^not ok/ { bad = 1 }
    END { exit bad }'
