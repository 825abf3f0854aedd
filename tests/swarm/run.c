/*
 * run.c - plays one script and survives it: an assertion of a core ends the script, not the swarm.
 */
#include "tests/swarm/drive.h"
#include "tests/swarm/swarm.h"

#include <stdlib.h>
#include <string.h>

struct playing {
    struct sim *world;
    const struct sim_script *script;
    int r;
};

static void play(void *arg)
{
    struct playing *p = arg;

    p->r = sim_play(p->world, p->script);
}

int swarm_run(const struct sim_script *script, FILE *story, bool verbose, struct sim_cover *cover, char *why,
              size_t why_len)
{
    struct playing p = { .world = calloc(1, sizeof(*p.world)), .script = script };
    int sig;

    if (!p.world)
        abort();
    p.world->story = story;
    p.world->verbose = verbose;
    p.world->cover = cover;
    sig = swarm_guard(play, &p);
    if (!sig) {
        snprintf(why, why_len, "%s", p.world->why);
        sim_free(p.world);
    } else {
        /* The core may be in any state: it is left behind. */
        snprintf(why, why_len, "at %lld.%03llds: a core fell over: %s", (long long)(p.world->now_ms / 1000),
                 (long long)(p.world->now_ms % 1000), strsignal(sig));
        p.r = -1;
    }
    free(p.world);
    return p.r;
}
