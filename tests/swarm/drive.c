/*
 * drive.c - plays the seeds of a kind of world in several processes and tells what came of it.
 */
#include "tests/swarm/drive.h"

#include <getopt.h>
#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
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
    const struct swarm_kind *kind;
    uint64_t from, to, seed;
    unsigned jobs, hosts, seconds;
    bool one, verbose, script, shrink, cover, quiet, first;
    const char *keep, *play;
};

/* What a process of the swarm tells: in memory shared with it. */
struct report {
    uint64_t played, failed;
    uint64_t first_failed[SHOWN_MAX];
    char why[SHOWN_MAX][512];
    uint64_t cover[]; /* the kind's */
};

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

int swarm_guard(void (*play)(void *), void *arg)
{
    int sig;

    catch_on(true);
    sig = sigsetjmp(back, 1);
    if (!sig)
        play(arg);
    catch_on(false);
    return sig;
}

static size_t report_size(const struct swarm_kind *kind)
{
    return sizeof(struct report) + (kind->cover_size + 7) / 8 * 8;
}

static struct report *report_of(const struct options *o, void *reports, unsigned job)
{
    return (struct report *)(void *)((char *)reports + job * report_size(o->kind));
}

static void *zeroed(size_t size)
{
    void *p = calloc(1, size);

    if (!p)
        abort();
    return p;
}

static void script_free(const struct options *o, void *script)
{
    o->kind->empty(script);
    free(script);
}

static double seconds_now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Is there a failing seed already, and is one enough? */
static bool enough(const struct options *o, void *reports)
{
    for (unsigned j = 0; o->first && j < o->jobs; j++)
        if (report_of(o, reports, j)->failed)
            return true;
    return false;
}

static void part_play(const struct options *o, unsigned part, void *reports)
{
    struct report *rep = report_of(o, reports, part);
    double end = o->seconds ? seconds_now() + o->seconds : 1e300;

    for (uint64_t seed = o->from + part; seed <= o->to && seconds_now() < end && !enough(o, reports);
         seed += o->jobs) {
        void *script = zeroed(o->kind->script_size);
        char why[512];

        o->kind->make(seed, o->hosts, script);
        if (o->kind->run(script, NULL, false, rep->cover, why, sizeof(why))) {
            if (rep->failed < SHOWN_MAX) {
                rep->first_failed[rep->failed] = seed;
                snprintf(rep->why[rep->failed], sizeof(rep->why[0]), "%s", why);
            }
            rep->failed++;
            if (o->quiet) {
                printf("# seed %" PRIu64 ": %s\n", seed, why);
                fflush(stdout);
            }
        }
        rep->played++;
        script_free(o, script);
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

    printf("# seed %" PRIu64 ": %s\n# replay: %s --seed %" PRIu64 " --hosts %u -v\n", seed, why,
           o->kind->program, seed, o->hosts);
    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        void *script = zeroed(o->kind->script_size);
        char *text = NULL, path[512];
        size_t len;
        FILE *mem = open_memstream(&text, &len), *out;

        o->kind->make(seed, o->hosts, script);
        o->kind->shrink(script, SHRINK_TRIES);
        o->kind->write(script, mem);
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

static void failures_show(const struct options *o, void *reports)
{
    unsigned shown = 0;

    for (unsigned j = 0; j < o->jobs; j++) {
        const struct report *rep = report_of(o, reports, j);

        for (unsigned i = 0; i < rep->failed && i < SHOWN_MAX && shown < SHOWN_MAX; i++, shown++)
            seed_show(o, rep->first_failed[i], rep->why[i]);
    }
}

static int sum_tell(const struct options *o, void *reports, double took)
{
    void *sum = zeroed(o->kind->cover_size);
    uint64_t played = 0, failed = 0, steps, virtual_ms;

    for (unsigned j = 0; j < o->jobs; j++) {
        const struct report *rep = report_of(o, reports, j);

        played += rep->played;
        failed += rep->failed;
        o->kind->cover_add(sum, rep->cover);
    }
    if (o->cover)
        o->kind->cover_print(sum, stdout);
    o->kind->cover_size_of(sum, &steps, &virtual_ms);
    printf("# %" PRIu64 " seeds, %" PRIu64 " failed, %" PRIu64
           " steps, %.0f h of virtual time; %.1f seeds/s, %.0f steps/s\n",
           played, failed, steps, (double)virtual_ms / 3.6e6, (double)played / took, (double)steps / took);
    printf("%sok 1 - %" PRIu64 " %s\n1..1\n", failed || !played ? "not " : "", played, o->kind->worlds);
    free(sum);
    return failed || !played;
}

static int swarm_play(const struct options *o)
{
    size_t size = o->jobs * report_size(o->kind);
    void *reports = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    double began = seconds_now(), took;
    pid_t pid[JOBS_MAX];
    int status, r;

    if (reports == MAP_FAILED)
        abort();
    fflush(stdout);
    for (unsigned j = 0; j < o->jobs; j++) {
        pid[j] = fork();
        if (pid[j] == 0) {
            part_play(o, j, reports);
            _exit(0);
        }
    }
    for (unsigned j = 0; j < o->jobs; j++) {
        if (pid[j] < 0 || waitpid(pid[j], &status, 0) < 0 || status) {
            printf("Bail out! a process of the swarm died\n");
            return 1;
        }
    }
    took = seconds_now() - began;
    if (!o->quiet)
        failures_show(o, reports);
    r = sum_tell(o, reports, took);
    munmap(reports, size);
    return r;
}

static int one_play(const struct options *o)
{
    void *script = zeroed(o->kind->script_size);
    char why[512] = "";
    int r = 0;

    o->kind->make(o->seed, o->hosts, script);
    if (o->shrink)
        o->kind->shrink(script, SHRINK_TRIES);
    if (o->script || o->shrink)
        o->kind->write(script, stdout);
    else
        r = o->kind->run(script, stdout, o->verbose, NULL, why, sizeof(why));
    if (r)
        fprintf(stderr, "seed %" PRIu64 ": %s\n", o->seed, why);
    script_free(o, script);
    return r ? 1 : 0;
}

static int file_play(const struct options *o)
{
    void *script;
    char why[512] = "";
    FILE *in = fopen(o->play, "re");
    int r = 2;

    if (!in) {
        fprintf(stderr, "%s: %s: %m\n", o->kind->program, o->play);
        return r;
    }
    script = zeroed(o->kind->script_size);
    if (o->kind->read(script, in, o->play, why, sizeof(why)))
        fprintf(stderr, "%s: %s\n", o->kind->program, why);
    else if ((r = o->kind->run(script, stdout, o->verbose, NULL, why, sizeof(why)) ? 1 : 0))
        fprintf(stderr, "%s: %s: %s\n", o->kind->program, o->play, why);
    fclose(in);
    script_free(o, script);
    return r;
}

static int usage(const struct swarm_kind *kind)
{
    fprintf(
        stderr,
        "usage: %s [--seeds FROM-TO] [--jobs N] [--seconds N] [--hosts N] [--cover] [--keep DIR] [--first] "
        "[--quiet]\n"
        "       %s --seed N [-v] [--script] [--shrink] [--hosts N]\n"
        "       %s --play FILE.sim [-v]\n",
        kind->program, kind->program, kind->program);
    return 2;
}

void swarm_count(uint64_t *to, const uint64_t *from, size_t n)
{
    for (size_t i = 0; i < n; i++)
        to[i] += from[i];
}

int swarm_main(const struct swarm_kind *kind, int argc, char **argv)
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
    struct options o = { .kind = kind, .from = 1, .to = 1000, .jobs = 2, .hosts = kind->hosts };
    int opt;

    while ((opt = getopt_long(argc, argv, "vj:", longs, NULL)) != -1) {
        switch (opt) {
        case 's':
            if (sscanf(optarg, "%" SCNu64 "-%" SCNu64, &o.from, &o.to) != 2)
                return usage(kind);
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
            return usage(kind);
        }
    }
    if (optind != argc || o.jobs < 1 || o.jobs > JOBS_MAX || o.hosts > kind->hosts_most ||
        (o.hosts <= 1 && o.hosts != kind->hosts))
        return usage(kind);
    if (o.play)
        return file_play(&o);
    return o.one ? one_play(&o) : swarm_play(&o);
}
