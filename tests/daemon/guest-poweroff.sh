#!/bin/bash
# A stop that somebody asked for is no failure: the guest's own poweroff, xl destroy, xl-ha stop. Unless the policy
# says that the guest is meant to run.
# shellcheck source=tests/daemon/lib.sh
. "${XHA_SRC:?}/tests/daemon/lib.sh"

start_xhad
protect off
protect gone
protect must 'on_poweroff = "recover";' 'on_destroy = "recover";'
sim poweroff off
sim destroy gone
wait_state off stopped
wait_state gone stopped
is "$(begun start off)$(begun start gone)" 11 "neither is started again"
is "$(alarms 'off\|gone')" 0 "and nobody is alarmed"
is "$(copies off)" 0 "the shell of the one that powered off is cleared away"

sim poweroff must
comes_back must 2
sim destroy must
comes_back must 3
is "$(copies must)" 1 "one that is meant to run is there again, once"

ha start off >/dev/null
is "$(state off)" running "an operator may start it again"
the_end
