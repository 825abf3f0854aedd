/*
 * run.c - plays one script and survives it: an assertion of the core ends the script, not the swarm.
 */
#include "tests/swarm/swarm.h"

#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

static sigjmp_buf back;

static void caught(int sig)
{
    siglongjmp(back, sig);
}

static void catch_on(bool on)
{
    static const int sigs[] = { SIGABRT, SIGSEGV, SIGFPE };
    struct sigaction sa = { .sa_flags = SA_NODEFER };

    sa.sa_handler = on ? caught : SIG_DFL;
    sigemptyset(&sa.sa_mask);
    for (unsigned i = 0; i < sizeof(sigs) / sizeof(sigs[0]); i++)
        sigaction(sigs[i], &sa, NULL);
}

int swarm_run(const struct sim_script *script, FILE *story, bool verbose, struct sim_cover *cover, char *why,
              size_t why_len)
{
    struct sim *sim = calloc(1, sizeof(*sim));
    int sig, r;

    if (!sim)
        abort();
    sim->story = story;
    sim->verbose = verbose;
    sim->cover = cover;
    catch_on(true);
    sig = sigsetjmp(back, 1);
    if (!sig) {
        r = sim_play(sim, script);
        snprintf(why, why_len, "%s", sim->why);
        sim_free(sim);
    } else {
        /* The core may be in any state: it is left behind. */
        snprintf(why, why_len, "at %lld.%03llds: the core fell over: %s", (long long)(sim->now_ms / 1000),
                 (long long)(sim->now_ms % 1000), strsignal(sig));
        r = -1;
    }
    catch_on(false);
    free(sim);
    return r;
}
