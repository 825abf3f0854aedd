/*
 * xha-cswarm - plays random clusters against the core and judges every step.
 *
 *     xha-cswarm [--seeds FROM-TO] [--jobs N] [--seconds N] [--hosts N] [--cover] [--keep DIR] [--first] [--quiet]
 *     xha-cswarm --seed N [-v] [--script] [--shrink]
 *     xha-cswarm --play FILE.sim [-v]
 *
 * Prints TAP: one case for all seeds. A failing seed is printed with its reason and the shrunk story; --keep
 * writes it to DIR/seed-N.sim. --seconds ends the run early, in the middle of the seeds. --seed N plays one
 * and tells its story (-v: all of it); --script prints the script instead. Exit status: 0 all well, 1 a rule
 * was broken, 2 usage.
 */
#include "tests/swarm/cluster.h"

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
    bool one, verbose, script, shrink, cover, quiet, first;
    const char *keep, *play;
};

/* What a process of the swarm tells: in memory shared with it. */
struct report {
    struct csim_cover cover;
    uint64_t played, failed;
    uint64_t first_failed[SHOWN_MAX];
    char why[SHOWN_MAX][512];
};

static struct csim_script *script_new(void)
{
    struct csim_script *script = calloc(1, sizeof(*script));

    if (!script)
        abort();
    return script;
}

static void script_free(struct csim_script *script)
{
    csim_script_free(script);
    free(script);
}

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
        struct csim_script *script = script_new();
        char why[512];

        cswarm_make(seed, o->hosts, script);
        if (cswarm_run(script, NULL, false, &rep->cover, why, sizeof(why))) {
            if (rep->failed < SHOWN_MAX) {
                rep->first_failed[rep->failed] = seed;
                snprintf(rep->why[rep->failed], sizeof(rep->why[0]), "%s", why);
            }
            rep->failed++;
        }
        rep->played++;
        script_free(script);
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

    printf("# seed %" PRIu64 ": %s\n# replay: xha-cswarm --seed %" PRIu64 " --hosts %u -v\n", seed, why, seed,
           o->hosts);
    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        struct csim_script *script = script_new();
        char *text = NULL, path[512];
        size_t len;
        FILE *mem = open_memstream(&text, &len), *out;

        cswarm_make(seed, o->hosts, script);
        cswarm_shrink(script, SHRINK_TRIES);
        csim_script_write(script, mem);
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

static void cover_add(struct csim_cover *to, const struct csim_cover *from)
{
    const uint64_t *f = (const uint64_t *)(const void *)from;
    uint64_t *t = (uint64_t *)(void *)to;

    struct csim_cover was = *to;

    for (size_t i = 0; i < sizeof(*to) / sizeof(*t); i++)
        t[i] += f[i];
    for (int i = 0; i < XHA_TIMING_CASE_N_; i++)
        to->ratio_permille[i] =
            was.ratio_permille[i] > from->ratio_permille[i] ? was.ratio_permille[i] : from->ratio_permille[i];
    to->settled_permille =
        was.settled_permille > from->settled_permille ? was.settled_permille : from->settled_permille;
}

static int swarm_play(const struct options *o)
{
    struct report *rep =
        mmap(NULL, o->jobs * sizeof(*rep), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    static struct csim_cover sum;
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
        cswarm_cover_print(&sum, stdout);
    if (failed && o->quiet)
        printf("# seed %" PRIu64 ": %s\n", rep[0].failed ? rep[0].first_failed[0] : rep[1].first_failed[0],
               rep[0].failed ? rep[0].why[0] : rep[1].why[0]);
    printf("# %" PRIu64 " seeds, %" PRIu64 " failed, %" PRIu64
           " steps, %.0f h of virtual time; %.1f seeds/s, %.0f steps/s\n",
           played, failed, sum.steps, (double)sum.virtual_ms / 3.6e6, (double)played / took,
           (double)sum.steps / took);
    printf("%sok 1 - %" PRIu64 " random clusters\n1..1\n", failed || !played ? "not " : "", played);
    munmap(rep, o->jobs * sizeof(*rep));
    return failed || !played;
}

static int one_play(const struct options *o)
{
    struct csim_script *script = script_new();
    char why[512] = "";
    int r = 0;

    cswarm_make(o->seed, o->hosts, script);
    if (o->shrink)
        cswarm_shrink(script, SHRINK_TRIES);
    if (o->script || o->shrink)
        csim_script_write(script, stdout);
    else
        r = cswarm_run(script, stdout, o->verbose, NULL, why, sizeof(why));
    if (r)
        fprintf(stderr, "seed %" PRIu64 ": %s\n", o->seed, why);
    script_free(script);
    return r ? 1 : 0;
}

static int file_play(const struct options *o)
{
    struct csim_script *script = script_new();
    char why[512] = "";
    FILE *in = fopen(o->play, "re");
    int r = 2;

    csim_script_init(script, o->play);
    if (!in)
        fprintf(stderr, "xha-cswarm: %s: %m\n", o->play);
    else if (csim_script_read(script, in, why, sizeof(why)))
        fprintf(stderr, "xha-cswarm: %s\n", why);
    else if ((r = cswarm_run(script, stdout, o->verbose, NULL, why, sizeof(why)) ? 1 : 0))
        fprintf(stderr, "xha-cswarm: %s: %s\n", o->play, why);
    if (in)
        fclose(in);
    script_free(script);
    return r;
}

static int usage(void)
{
    fprintf(
        stderr,
        "usage: xha-cswarm [--seeds FROM-TO] [--jobs N] [--seconds N] [--hosts N] [--cover] [--keep DIR]\n"
        "       xha-cswarm --seed N [-v] [--script] [--shrink] [--hosts N]\n"
        "       xha-cswarm --play FILE.sim [-v]\n");
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
        { "shrink", no_argument, NULL, 'z' },
        { "play", required_argument, NULL, 'P' },
        { "quiet", no_argument, NULL, 'q' },
        { "first", no_argument, NULL, 'f' },
        { NULL, 0, NULL, 0 },
    };
    struct options o = { .from = 1, .to = 1000, .jobs = 2, .hosts = 0 };
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
        case 'z':
            o.shrink = true;
            break;
        case 'P':
            o.play = optarg;
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
    if (optind != argc || o.jobs < 1 || o.jobs > JOBS_MAX || o.hosts == 1 || o.hosts > XHA_HOSTS_MAX)
        return usage();
    if (o.play)
        return file_play(&o);
    return o.one ? one_play(&o) : swarm_play(&o);
}
