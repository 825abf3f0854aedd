/*
 * xha-cswarm - plays random clusters against the core and judges every step.
 *
 *     xha-cswarm [--seeds FROM-TO] [--jobs N] [--seconds N] [--hosts N] [--cover] [--keep DIR] [--first] [--quiet]
 *     xha-cswarm --seed N [-v] [--script] [--shrink] [--hosts N]
 *     xha-cswarm --play FILE.sim [-v]
 *
 * Prints TAP: one case for all seeds. A failing seed is printed with its reason and the shrunk story; --keep
 * writes it to DIR/seed-N.sim, --quiet names all failing seeds as they come and shrinks none, --first is content
 * with one. --seconds ends the run early, in the middle of the seeds. --seed N plays one and tells its story (-v:
 * all of it); --script prints the script instead, --shrink the least that fails. Exit status: 0 all well, 1 a rule
 * was broken, 2 usage.
 */
#include "tests/swarm/cluster.h"
#include "tests/swarm/drive.h"

static void make(uint64_t seed, unsigned hosts, void *script)
{
    cswarm_make(seed, hosts, script);
}

static int read_file(void *script, FILE *in, const char *name, char *err, size_t err_len)
{
    csim_script_init(script, name);
    return csim_script_read(script, in, err, err_len);
}

static void write_file(const void *script, FILE *out)
{
    csim_script_write(script, out);
}

static void empty(void *script)
{
    csim_script_free(script);
}

static int run(const void *script, FILE *story, bool verbose, void *cover, char *why, size_t why_len)
{
    return cswarm_run(script, story, verbose, cover, why, why_len);
}

static void shrink(void *script, unsigned tries)
{
    cswarm_shrink(script, tries);
}

static uint64_t most(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* Counters are added up; of ratios the worst counts. */
static void cover_add(void *to, const void *from)
{
    const struct csim_cover *f = from;
    struct csim_cover *t = to, was = *t;

    swarm_count(to, from, sizeof(*t) / sizeof(uint64_t));
    for (int i = 0; i < XHA_TIMING_CASE_N_; i++)
        t->ratio_permille[i] = most(was.ratio_permille[i], f->ratio_permille[i]);
    t->settled_permille = most(was.settled_permille, f->settled_permille);
}

static void cover_print(const void *cover, FILE *out)
{
    cswarm_cover_print(cover, out);
}

static void cover_size_of(const void *cover, uint64_t *steps_r, uint64_t *virtual_ms_r)
{
    const struct csim_cover *c = cover;

    *steps_r = c->steps;
    *virtual_ms_r = c->virtual_ms;
}

int main(int argc, char **argv)
{
    static const struct swarm_kind kind = {
        .program = "xha-cswarm",
        .worlds = "random clusters",
        .hosts = 0,
        .hosts_most = XHA_HOSTS_MAX,
        .script_size = sizeof(struct csim_script),
        .cover_size = sizeof(struct csim_cover),
        .make = make,
        .read = read_file,
        .write = write_file,
        .empty = empty,
        .run = run,
        .shrink = shrink,
        .cover_add = cover_add,
        .cover_print = cover_print,
        .cover_size_of = cover_size_of,
    };

    return swarm_main(&kind, argc, argv);
}
