#!/bin/bash
# The same UUID runs twice: nothing is done to either, and somebody is called.
# shellcheck source=tests/daemon/lib.sh
. "${XHA_SRC:?}/tests/daemon/lib.sh"

start_xhad
protect g1
sim duplicate g1
wait_state g1 error
alarmed '^duplicate critical g1' "it runs twice"
is "$(begun destroy g1)" 0 "neither is destroyed"
is "$(copies g1)" 2 "both run on"
has "$(ha why g1)" 'end one of them' "why says what to do"
sim destroy g1
ha start g1 >/dev/null
is $? 0 "then an operator's start is taken"
is "$(state g1)/$(begun start g1)" running/1 "it takes the one that runs"
the_end
