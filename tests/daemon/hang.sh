#!/bin/bash
# A guest hangs, or only its heartbeat is lost: told apart by vCPU time and I/O, each with its own reaction.
# shellcheck source=tests/daemon/lib.sh
. "${XHA_SRC:?}/tests/daemon/lib.sh"

settings 'ill_min = 10;'
start_xhad
protect hung
protect mute 'io_is_life = true;'
protect spun 'io_is_life = true;'
protect tame 'on_hang = "alarm";'

sim hang hung
sim mute mute
sim livelock spun
sim hang tame
comes_back hung 2
comes_back spun 2
alarmed '^failure .* hung .*hung' "the hang"
alarmed '^failure .* spun .*heartbeat' "the heartbeat, lost while the vCPUs spin"
alarmed '^io-alive warning mute' "no heartbeat, but I/O goes on"
alarmed '^failure .* tame .*hung' "a hang that is only to be told"
is "$(begun destroy mute)" 0 "who does I/O is left alone, as its policy says"
is "$(begun destroy tame)" 0 "who is not to be recovered is left alone"
is "$(state tame)" suspect "... and stays suspect"
sim beat tame
wait_state tame running
alarmed '^beat-back info tame' "it is well again by itself"
is "$(copies hung)" 1 "there is one of the hung one"
the_end
