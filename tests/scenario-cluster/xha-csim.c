/*
 * xha-csim.c - plays one story of a cluster and prints what happens.
 *
 *     xha-csim [-v] STORY.sim
 *
 * -v: also what each host says for itself, and messages. Exit status: 0 the story came to its end and every
 * expectation was met; 1 a rule was broken or an expectation not met; 2 the script is wrong.
 */
#include "tests/csim/csim.h"

#include <stdlib.h>
#include <unistd.h>

static int play(const struct csim_script *script, const char *file, bool verbose)
{
    struct csim *cs = calloc(1, sizeof(*cs));
    int r;

    if (!cs)
        abort();
    cs->story = stdout;
    cs->verbose = verbose;
    cs->audit = true;
    r = csim_play(cs, script);
    if (r)
        fprintf(stderr, "xha-csim: %s: %s\n", file, cs->why);
    csim_free(cs);
    free(cs);
    return r ? 1 : 0;
}

int main(int argc, char **argv)
{
    struct csim_script *script = calloc(1, sizeof(*script));
    char err[512];
    bool verbose = false;
    FILE *in;
    int opt, r;

    if (!script)
        abort();
    while ((opt = getopt(argc, argv, "v")) != -1) {
        if (opt != 'v')
            return 2;
        verbose = true;
    }
    if (optind + 1 != argc) {
        fprintf(stderr, "usage: xha-csim [-v] STORY.sim\n");
        return 2;
    }
    in = fopen(argv[optind], "re");
    if (!in) {
        fprintf(stderr, "xha-csim: %s: %m\n", argv[optind]);
        return 2;
    }
    csim_script_init(script, argv[optind]);
    r = csim_script_read(script, in, err, sizeof(err));
    fclose(in);
    if (r)
        fprintf(stderr, "xha-csim: %s\n", err);
    r = r ? 2 : play(script, argv[optind], verbose);
    csim_script_free(script);
    free(script);
    return r;
}
