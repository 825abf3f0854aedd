/*
 * ctl/jobs.c: what workers tell while they work, also to the xhad that comes after the one that started them; and the
 * signals that they get. The worker is this program itself.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "xhad/ctl/jobs.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE_MS 10000
#define FLOOD       5000 /* lines, more than a FIFO holds */

/* ---- the worker ---- */

static sigset_t orders;

/* The next one; orders wait until they are asked for. */
static int next_order(void)
{
    int sig;

    while (sigwait(&orders, &sig) != 0)
        ;
    return sig;
}

static void touch(const char *job_path, const char *ending)
{
    char path[XHA_JOB_PATH_MAX];

    if (xha_job_beside(job_path, ending, path, sizeof(path)) == 0)
        close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
}

/* More than anybody reads. */
static void flood(const char *job_path)
{
    const struct xha_job_epoch epoch = { .number = 1, .raw_bytes = UINT32_MAX };

    for (int i = 0; i < FLOOD; i++)
        xha_job_tell_epoch(STDOUT_FILENO, &epoch);
    touch(job_path, ".flooded");
}

/* Told to promote: does what it has started live on? */
static void with_child(struct xha_job_done *done)
{
    pid_t child = fork();
    int order;

    if (child == 0) {
        sigprocmask(SIG_UNBLOCK, &orders, NULL);
        for (;;)
            pause();
    }
    xha_job_progress(STDOUT_FILENO, "listening", 7, 7);
    order = next_order();
    usleep(50000);
    done->result = order == SIGUSR1 && waitpid(child, NULL, WNOHANG) == 0 ? XHA_OK : XHA_UNKNOWN;
    kill(child, SIGKILL);
}

static int work(const char *job_path)
{
    struct xha_job_done done = { .domid = XHA_DOMID_NONE, .result = XHA_OK };
    char err[200], path[XHA_JOB_PATH_MAX];
    struct xha_job job;

    sigemptyset(&orders);
    sigaddset(&orders, SIGTERM);
    sigaddset(&orders, SIGUSR1);
    sigprocmask(SIG_BLOCK, &orders, NULL);
    alarm(2 * PATIENCE_MS / 1000); /* when the test has failed */
    if (xha_job_read(job_path, &job, err, sizeof(err)) < 0)
        return 1;
    done.id = job.id;
    if (strcmp(job.name, "flood") == 0) {
        touch(job_path, ".ready");
        next_order();
        flood(job_path);
        next_order();
    } else if (strcmp(job.name, "child") == 0) {
        with_child(&done);
    } else {
        xha_job_progress(STDOUT_FILENO, "listening", 7, 7);
        next_order();
        xha_job_progress(STDOUT_FILENO, "silent", 8, 8);
        next_order();
    }
    if (xha_job_beside(job_path, ".done", path, sizeof(path)) < 0 ||
        xha_job_done_write(path, &done, err, sizeof(err)) < 0)
        return 1;
    return 0;
}

/* ---- xhad ---- */

struct world {
    uv_loop_t loop;
    struct xha_jobs *jobs;
    char run[64], helper[XHA_JOB_PATH_MAX];
    char told[64]; /* the last progress */
    uint64_t told_done;
    unsigned epochs;
    bool ended;
    enum xha_result result;
};

static void on_done(void *user, const struct xha_job *job, const struct xha_job_done *done)
{
    struct world *w = user;

    (void)job;
    w->ended = true;
    w->result = done->result;
}

static void on_progress(void *user, const struct xha_job *job, const char *step, uint64_t done,
                        uint64_t total, const struct xha_job_pace *pace)
{
    struct world *w = user;

    (void)job;
    (void)total;
    (void)pace;
    snprintf(w->told, sizeof(w->told), "%s", step);
    w->told_done = done;
}

static void on_epoch(void *user, const struct xha_job *job, const struct xha_job_epoch *epoch)
{
    struct world *w = user;

    (void)job;
    assert_int_equal(epoch->raw_bytes, UINT32_MAX);
    w->epochs++;
}

static void xhad_begins(struct world *w)
{
    const struct xha_jobs_told told = { .progress = on_progress, .epoch = on_epoch, .user = w };
    char err[200];

    uv_loop_init(&w->loop);
    w->jobs = xha_jobs_new(&w->loop, w->run, w->helper, &told, err, sizeof(err));
    assert_non_null(w->jobs);
}

static void xhad_ends(struct world *w)
{
    xha_jobs_close(w->jobs);
    uv_run(&w->loop, UV_RUN_DEFAULT);
    xha_jobs_free(w->jobs);
    assert_int_equal(uv_loop_close(&w->loop), 0);
}

static void xhad_is_restarted(struct world *w)
{
    xhad_ends(w);
    w->told[0] = '\0';
    xhad_begins(w);
    xha_jobs_adopt(w->jobs, on_done, w);
}

static void on_timeout(uv_timer_t *timer)
{
    *(bool *)timer->data = true;
}

/* Runs the loop until what is looked for is so. */
static bool until(struct world *w, bool (*so)(const struct world *w))
{
    bool late = false;
    uv_timer_t timer;

    uv_timer_init(&w->loop, &timer);
    timer.data = &late;
    uv_timer_start(&timer, on_timeout, PATIENCE_MS, 0);
    while (!so(w) && !late)
        uv_run(&w->loop, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&timer, NULL);
    while (uv_is_active((uv_handle_t *)&timer))
        uv_run(&w->loop, UV_RUN_NOWAIT);
    uv_run(&w->loop, UV_RUN_NOWAIT);
    return !late;
}

static bool has_ended(const struct world *w)
{
    return w->ended;
}

static bool listens(const struct world *w)
{
    return strcmp(w->told, "listening") == 0 && w->told_done == 7;
}

static bool is_silent(const struct world *w)
{
    return strcmp(w->told, "silent") == 0 && w->told_done == 8;
}

static bool has_epochs(const struct world *w)
{
    return w->epochs > 0;
}

static void begin(struct world *w, enum xha_verb verb, const char *name)
{
    struct xha_job job = { .id = 5, .verb = verb, .domid = XHA_DOMID_NONE };

    snprintf(job.name, sizeof(job.name), "%s", name);
    xha_jobs_start(w->jobs, &job, on_done, w);
    assert_true(xha_jobs_has(w->jobs, 5));
}

static int set_up(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    ssize_t n;

    strcpy(w->run, "/tmp/xhad-jobs.XXXXXX");
    assert_non_null(mkdtemp(w->run));
    n = readlink("/proc/self/exe", w->helper, sizeof(w->helper) - 1);
    assert_true(n > 0);
    xhad_begins(w);
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    char command[100];

    xhad_ends(w);
    snprintf(command, sizeof(command), "rm -r %s", w->run);
    assert_int_equal(system(command), 0);
    free(w);
    return 0;
}

/* ---- the tests ---- */

static void an_adopted_worker_is_heard(void **state)
{
    struct world *w = *state;

    begin(w, XHA_VERB_REPLICATE_IN, "talker");
    assert_true(until(w, listens));
    xhad_is_restarted(w);
    assert_true(xha_jobs_has(w->jobs, 5));
    xha_jobs_cancel(w->jobs, 5);
    assert_true(until(w, is_silent));
    assert_false(w->ended);
    xha_jobs_cancel(w->jobs, 5);
    assert_true(until(w, has_ended));
    assert_int_equal(w->result, XHA_OK);
}

/* What was said while no xhad was there. */
static void what_nobody_read_is_read_later(void **state)
{
    struct world *w = *state;

    begin(w, XHA_VERB_REPLICATE_IN, "talker");
    xhad_is_restarted(w);
    assert_true(until(w, listens));
    xha_jobs_cancel(w->jobs, 5);
    assert_true(until(w, is_silent));
    xha_jobs_cancel(w->jobs, 5);
    assert_true(until(w, has_ended));
}

static void wait_for_file(const struct world *w, const char *name)
{
    char path[XHA_JOB_PATH_MAX];

    snprintf(path, sizeof(path), "%s/jobs/%s", w->run, name);
    for (int ms = 0; access(path, F_OK) < 0; ms += 10) {
        assert_true(ms < PATIENCE_MS);
        usleep(10000);
    }
}

/* It waits for nobody; the lines that there is no room for are lost whole, and the others are read. */
static void a_worker_does_not_wait_for_readers(void **state)
{
    struct world *w = *state;

    begin(w, XHA_VERB_REPLICATE_OUT, "flood");
    wait_for_file(w, "5.ready");
    xha_jobs_cancel(w->jobs, 5);
    xhad_ends(w); /* nobody reads from now on */
    xhad_begins(w);
    wait_for_file(w, "5.flooded");
    xha_jobs_adopt(w->jobs, on_done, w);
    assert_true(until(w, has_epochs));
    assert_true(w->epochs < FLOOD);
    xha_jobs_cancel(w->jobs, 5);
    assert_true(until(w, has_ended));
    assert_int_equal(w->result, XHA_OK);
}

static void promote_and_look(struct world *w)
{
    xha_jobs_promote(w->jobs, 4); /* another one's: nothing */
    xha_jobs_promote(w->jobs, 5);
    assert_true(until(w, has_ended));
    assert_int_equal(w->result, XHA_OK);
}

static void promotion_is_told_to_the_worker_alone(void **state)
{
    struct world *w = *state;

    begin(w, XHA_VERB_REPLICATE_IN, "child");
    assert_true(until(w, listens));
    promote_and_look(w);
}

static void so_it_is_to_an_adopted_one(void **state)
{
    struct world *w = *state;

    begin(w, XHA_VERB_REPLICATE_IN, "child");
    assert_true(until(w, listens));
    xhad_is_restarted(w);
    promote_and_look(w);
}

/* SIGUSR1 would kill a worker that knows nothing of it. */
static void only_a_standby_is_promoted(void **state)
{
    struct world *w = *state;

    begin(w, XHA_VERB_RECEIVE, "talker");
    assert_true(until(w, listens));
    xha_jobs_promote(w->jobs, 5);
    usleep(100000);
    uv_run(&w->loop, UV_RUN_NOWAIT);
    assert_true(listens(w));
    xha_jobs_cancel(w->jobs, 5);
    assert_true(until(w, is_silent));
    xha_jobs_cancel(w->jobs, 5);
    assert_true(until(w, has_ended));
}

/* Nothing of a job is left but the locks of domains. */
static void its_files_are_removed(void **state)
{
    struct world *w = *state;
    char path[XHA_JOB_PATH_MAX];

    begin(w, XHA_VERB_REPLICATE_IN, "talker");
    assert_true(until(w, listens));
    xha_jobs_cancel(w->jobs, 5);
    assert_true(until(w, is_silent));
    xha_jobs_cancel(w->jobs, 5);
    assert_true(until(w, has_ended));
    snprintf(path, sizeof(path), "rmdir %s/jobs && mkdir %s/jobs", w->run, w->run);
    assert_int_equal(system(path), 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_adopted_worker_is_heard, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_nobody_read_is_read_later, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_worker_does_not_wait_for_readers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(promotion_is_told_to_the_worker_alone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(so_it_is_to_an_adopted_one, set_up, tear_down),
        cmocka_unit_test_setup_teardown(only_a_standby_is_promoted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(its_files_are_removed, set_up, tear_down),
    };

    signal(SIGPIPE, SIG_IGN);
    if (argc == 3 && strcmp(argv[1], "work") == 0)
        return work(argv[2]);
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
