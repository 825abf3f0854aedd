/*
 * xha-sim - plays a story on virtual time and prints what happens.
 *
 *     xha-sim [-v] STORY.sim
 *
 * -v also prints what is seen, persisted and asked. Exit status: 0 the story came to its end and every
 * expectation was met; 1 a rule was broken or an expectation not met; 2 the script is wrong.
 */
#include "tests/sim/sim.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    struct sim_script script;
    struct sim *sim;
    char err[512];
    bool verbose = false;
    FILE *in;
    int opt, r;

    while ((opt = getopt(argc, argv, "v")) != -1) {
        if (opt != 'v')
            return 2;
        verbose = true;
    }
    if (optind + 1 != argc) {
        fprintf(stderr, "usage: xha-sim [-v] STORY.sim\n");
        return 2;
    }
    in = fopen(argv[optind], "re");
    if (!in) {
        fprintf(stderr, "xha-sim: %s: %m\n", argv[optind]);
        return 2;
    }
    sim_script_init(&script, argv[optind]);
    r = sim_script_read(&script, in, err, sizeof(err));
    fclose(in);
    if (r) {
        fprintf(stderr, "xha-sim: %s\n", err);
        sim_script_free(&script);
        return 2;
    }
    sim = calloc(1, sizeof(*sim));
    if (!sim)
        abort();
    sim->story = stdout;
    sim->verbose = verbose;
    r = sim_play(sim, &script);
    if (r)
        fprintf(stderr, "xha-sim: %s: %s\n", argv[optind], sim->why);
    sim_free(sim);
    free(sim);
    sim_script_free(&script);
    return r ? 1 : 0;
}
