/*
 * xha-swarm - plays random worlds against the core and judges every step.
 *
 *     xha-swarm [--seeds FROM-TO] [--jobs N] [--seconds N] [--hosts N] [--cover] [--keep DIR] [--first]
 * [--quiet] xha-swarm --seed N [-v] [--script]
 *
 * Prints TAP: one case for all seeds. A failing seed is printed with its reason and the shrunk story; --keep
 * writes it to DIR/seed-N.sim. --seconds ends the run early, in the middle of the seeds. --seed N plays one
 * and tells its story (-v: all of it); --script prints the script instead. Exit status: 0 all well, 1 a rule
 * was broken, 2 usage.
 */
#include "tests/swarm/swarm.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SHRINK_TRIES 1500
#define JOBS_MAX     16
#define SHOWN_MAX    3 /* failing seeds that are shrunk and shown; the rest are named */

struct options {
    uint64_t from, to, seed;
    unsigned jobs, hosts, seconds;
    bool one, verbose, script, cover, quiet, first;
    const char *keep;
};

/* What a process of the swarm tells: in memory shared with it. */
struct report {
    struct sim_cover cover;
    uint64_t played, failed;
    uint64_t first_failed[SHOWN_MAX];
    char why[SHOWN_MAX][512];
};

static double seconds_now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Is there a failing seed already, and is one enough? */
static bool enough(const struct options *o, const struct report *reps)
{
    for (unsigned j = 0; o->first && j < o->jobs; j++)
        if (reps[j].failed)
            return true;
    return false;
}

static void part_play(const struct options *o, unsigned part, struct report *reps)
{
    struct report *rep = &reps[part];
    double end = o->seconds ? seconds_now() + o->seconds : 1e300;

    for (uint64_t seed = o->from + part; seed <= o->to && seconds_now() < end && !enough(o, reps);
         seed += o->jobs) {
        struct sim_script script;
        char why[512];

        swarm_make(seed, o->hosts, &script);
        if (swarm_run(&script, NULL, false, &rep->cover, why, sizeof(why))) {
            if (rep->failed < SHOWN_MAX) {
                rep->first_failed[rep->failed] = seed;
                snprintf(rep->why[rep->failed], sizeof(rep->why[0]), "%s", why);
            }
            rep->failed++;
        }
        rep->played++;
        sim_script_free(&script);
    }
}

static void comment(const char *text)
{
    printf("# ");
    for (; *text; text++) {
        putchar(*text);
        if (*text == '\n' && text[1])
            printf("# ");
    }
    putchar('\n');
}

/* Shrinks in a child: a core that fell over may have harmed more than itself. */
static void seed_show(const struct options *o, uint64_t seed, const char *why)
{
    pid_t pid;

    printf("# seed %" PRIu64 ": %s\n# replay: xha-swarm --seed %" PRIu64 " --hosts %u -v\n", seed, why, seed,
           o->hosts);
    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        struct sim_script script;
        char *text = NULL, path[512];
        size_t len;
        FILE *mem = open_memstream(&text, &len), *out;

        swarm_make(seed, o->hosts, &script);
        swarm_shrink(&script, SHRINK_TRIES);
        sim_script_write(&script, mem);
        fclose(mem);
        comment(text);
        if (o->keep) {
            snprintf(path, sizeof(path), "%s/seed-%" PRIu64 ".sim", o->keep, seed);
            out = fopen(path, "we");
            if (out) {
                fprintf(out, "# seed %" PRIu64 ": %s\n%s", seed, why, text);
                fclose(out);
            }
        }
        fflush(stdout);
        _exit(0);
    }
    if (pid > 0)
        waitpid(pid, NULL, 0);
}

static void cover_add(struct sim_cover *to, const struct sim_cover *from)
{
    const uint64_t *f = (const uint64_t *)(const void *)from;
    uint64_t *t = (uint64_t *)(void *)to;

    for (size_t i = 0; i < sizeof(*to) / sizeof(*t); i++)
        t[i] += f[i];
}

static int swarm_play(const struct options *o)
{
    struct report *rep =
        mmap(NULL, o->jobs * sizeof(*rep), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    static struct sim_cover sum;
    uint64_t played = 0, failed = 0, shown = 0;
    double began = seconds_now(), took;
    pid_t pid[JOBS_MAX];
    int status;

    if (rep == MAP_FAILED)
        abort();
    fflush(stdout);
    for (unsigned j = 0; j < o->jobs; j++) {
        pid[j] = fork();
        if (pid[j] == 0) {
            part_play(o, j, rep);
            _exit(0);
        }
    }
    for (unsigned j = 0; j < o->jobs; j++) {
        if (pid[j] < 0 || waitpid(pid[j], &status, 0) < 0 || status) {
            printf("Bail out! a process of the swarm died\n");
            return 1;
        }
        played += rep[j].played;
        failed += rep[j].failed;
        cover_add(&sum, &rep[j].cover);
    }
    took = seconds_now() - began;
    for (unsigned j = 0; j < o->jobs && !o->quiet; j++)
        for (unsigned i = 0; i < rep[j].failed && i < SHOWN_MAX && shown < SHOWN_MAX; i++, shown++)
            seed_show(o, rep[j].first_failed[i], rep[j].why[i]);
    if (o->cover)
        swarm_cover_print(&sum, stdout);
    if (failed && o->quiet)
        printf("# seed %" PRIu64 ": %s\n", rep[0].failed ? rep[0].first_failed[0] : rep[1].first_failed[0],
               rep[0].failed ? rep[0].why[0] : rep[1].why[0]);
    printf("# %" PRIu64 " seeds, %" PRIu64 " failed, %" PRIu64
           " steps, %.0f h of virtual time; %.1f seeds/s, %.0f steps/s\n",
           played, failed, sum.steps, (double)sum.virtual_ms / 3.6e6, (double)played / took,
           (double)sum.steps / took);
    printf("%sok 1 - %" PRIu64 " random worlds\n1..1\n", failed || !played ? "not " : "", played);
    munmap(rep, o->jobs * sizeof(*rep));
    return failed || !played;
}

static int one_play(const struct options *o)
{
    struct sim_script script;
    char why[512] = "";
    int r = 0;

    swarm_make(o->seed, o->hosts, &script);
    if (o->script)
        sim_script_write(&script, stdout);
    else
        r = swarm_run(&script, stdout, o->verbose, NULL, why, sizeof(why));
    if (r)
        fprintf(stderr, "seed %" PRIu64 ": %s\n", o->seed, why);
    sim_script_free(&script);
    return r ? 1 : 0;
}

static int usage(void)
{
    fprintf(stderr,
            "usage: xha-swarm [--seeds FROM-TO] [--jobs N] [--seconds N] [--hosts N] [--cover] [--keep DIR]\n"
            "       xha-swarm --seed N [-v] [--script] [--hosts N]\n");
    return 2;
}

int main(int argc, char **argv)
{
    static const struct option longs[] = {
        { "seeds", required_argument, NULL, 's' },
        { "seed", required_argument, NULL, 'S' },
        { "jobs", required_argument, NULL, 'j' },
        { "seconds", required_argument, NULL, 't' },
        { "hosts", required_argument, NULL, 'h' },
        { "cover", no_argument, NULL, 'c' },
        { "keep", required_argument, NULL, 'k' },
        { "script", no_argument, NULL, 'p' },
        { "quiet", no_argument, NULL, 'q' },
        { "first", no_argument, NULL, 'f' },
        { NULL, 0, NULL, 0 },
    };
    struct options o = { .from = 1, .to = 1000, .jobs = 2, .hosts = 1 };
    int opt;

    while ((opt = getopt_long(argc, argv, "vj:", longs, NULL)) != -1) {
        switch (opt) {
        case 's':
            if (sscanf(optarg, "%" SCNu64 "-%" SCNu64, &o.from, &o.to) != 2)
                return usage();
            break;
        case 'S':
            o.seed = strtoull(optarg, NULL, 10);
            o.one = true;
            break;
        case 'j':
            o.jobs = (unsigned)atoi(optarg);
            break;
        case 't':
            o.seconds = (unsigned)atoi(optarg);
            break;
        case 'h':
            o.hosts = (unsigned)atoi(optarg);
            break;
        case 'k':
            o.keep = optarg;
            break;
        case 'c':
            o.cover = true;
            break;
        case 'p':
            o.script = true;
            break;
        case 'q':
            o.quiet = true;
            break;
        case 'f':
            o.first = true;
            break;
        case 'v':
            o.verbose = true;
            break;
        default:
            return usage();
        }
    }
    if (optind != argc || o.jobs < 1 || o.jobs > JOBS_MAX || o.hosts < 1 || o.hosts > SIM_HOSTS_MAX)
        return usage();
    return o.one ? one_play(&o) : swarm_play(&o);
}
