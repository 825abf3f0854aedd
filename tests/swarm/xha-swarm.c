/*
 * xha-swarm - plays random worlds against the core and judges every step.
 *
 *     xha-swarm [--seeds FROM-TO] [--jobs N] [--seconds N] [--hosts N] [--cover] [--keep DIR] [--first] [--quiet]
 *     xha-swarm --seed N [-v] [--script] [--shrink] [--hosts N]
 *     xha-swarm --play FILE.sim [-v]
 *
 * Prints TAP: one case for all seeds. A failing seed is printed with its reason and the shrunk story; --keep
 * writes it to DIR/seed-N.sim, --quiet names all failing seeds as they come and shrinks none, --first is content
 * with one. --seconds ends the run early, in the middle of the seeds. --seed N plays one and tells its story (-v:
 * all of it); --script prints the script instead, --shrink the least that fails. Exit status: 0 all well, 1 a rule
 * was broken, 2 usage.
 */
#include "tests/swarm/swarm.h"
#include "tests/swarm/drive.h"

static void make(uint64_t seed, unsigned hosts, void *script)
{
    swarm_make(seed, hosts, script);
}

static int read_file(void *script, FILE *in, const char *name, char *err, size_t err_len)
{
    sim_script_init(script, name);
    return sim_script_read(script, in, err, err_len);
}

static void write_file(const void *script, FILE *out)
{
    sim_script_write(script, out);
}

static void empty(void *script)
{
    sim_script_free(script);
}

static int run(const void *script, FILE *story, bool verbose, void *cover, char *why, size_t why_len)
{
    return swarm_run(script, story, verbose, cover, why, why_len);
}

static void shrink(void *script, unsigned tries)
{
    swarm_shrink(script, tries);
}

static void cover_add(void *to, const void *from)
{
    swarm_count(to, from, sizeof(struct sim_cover) / sizeof(uint64_t));
}

static void cover_print(const void *cover, FILE *out)
{
    swarm_cover_print(cover, out);
}

static void cover_size_of(const void *cover, uint64_t *steps_r, uint64_t *virtual_ms_r)
{
    const struct sim_cover *c = cover;

    *steps_r = c->steps;
    *virtual_ms_r = c->virtual_ms;
}

int main(int argc, char **argv)
{
    static const struct swarm_kind kind = {
        .program = "xha-swarm",
        .worlds = "random worlds",
        .hosts = 1,
        .hosts_most = SIM_HOSTS_MAX,
        .script_size = sizeof(struct sim_script),
        .cover_size = sizeof(struct sim_cover),
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
