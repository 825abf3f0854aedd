/*
 * main.c - xhad-sim: the roles of xhad-xen against a directory, and one more for the stories.
 */
#include "tests/daemon/sim/sim.h"
#include <signal.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    if (argc == 3 && strcmp(argv[1], "work") == 0) {
        sim_enter();
        sim_note_pid();
        return sim_work(argv[2]);
    }
    if (argc == 2 && strcmp(argv[1], "observe") == 0) {
        sim_enter();
        sim_note_pid();
        return sim_observe();
    }
    if (argc == 3 && strcmp(argv[1], "watchdog") == 0) {
        sim_enter();
        sim_note_pid();
        return sim_watchdog(argv[2]);
    }
    if (argc >= 3 && strcmp(argv[1], "ctl") == 0) {
        sim_enter();
        return sim_ctl(argc - 2, argv + 2);
    }
    fprintf(stderr, "usage: xhad-sim observe | work JOBFILE | watchdog RUN_DIR | ctl VERB …\n");
    return 2;
}
