/*
 * main.c - xhad-sim: the roles of xhad-xen against a directory, and guests for the stories.
 */
#include "tests/daemon/sim/sim.h"
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "work") == 0) {
        sim_enter();
        return sim_work(argv[2]);
    }
    if (argc == 2 && strcmp(argv[1], "observe") == 0) {
        sim_enter();
        return sim_observe();
    }
    if (argc >= 3 && strcmp(argv[1], "guest") == 0) {
        sim_enter();
        return sim_guest(argc - 2, argv + 2);
    }
    fprintf(stderr, "usage: xhad-sim observe | work JOBFILE | guest …\n");
    return 2;
}
