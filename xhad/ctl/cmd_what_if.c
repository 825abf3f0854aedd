/*
 * cmd_what_if.c - timing and what-if: what would be, without touching anything.
 */
#include "xhad/ctl/cmd_cluster.h"
#include "xhad/base/uuid.h"
#include <string.h>

#define WHAT_IF_MAX 1000  /* domains named; more are counted */
#define PARSE_MS    60000 /* deadline of the question to the helper */

/* ---- timing ---- */

/* What the cases do not reckon with. */
static json_t *notes_json(const struct xha_conf *conf, const struct xha_timing *timing)
{
    json_t *notes = json_array();
    struct xha_span longest;
    const char *host = xha_fencer_slowest(&conf->fence, &longest);
    char text[300], one[32], two[32];

    for (uint32_t i = 0; xha_timing_proviso(i); i++)
        json_array_append_new(notes, json_string(xha_timing_proviso(i)));
    if (host && longest.ms > timing->fence_timeout.ms) {
        snprintf(text, sizeof text,
                 "Fencing %.64s may take %s s, by the delays, timeouts and retries of its devices; "
                 "fence_timeout is %s s.",
                 host, xha_param_seconds_text(longest.ms, one, sizeof one),
                 xha_param_seconds_text(timing->fence_timeout.ms, two, sizeof two));
        json_array_append_new(notes, json_string(text));
    }
    return notes;
}

void xha_cmd_timing(const struct xha_call *call)
{
    struct xha_timing_fault fault[XHA_TIMING_FAULTS_MAX];
    struct xha_timing_wish wish;
    struct xha_timing timing;
    struct xha_timing_row row;
    struct xha_timing_case one;
    json_t *times = json_array(), *cases = json_array(), *faults = json_array();
    uint32_t n;

    xha_conf_wish(&call->d->conf, &wish);
    xha_timing_make(&wish, &timing);
    if (call->d->peers)
        timing = xha_cluster_policy(xha_peers_state(call->d->peers))->timing; /* what really holds */
    for (uint32_t i = 0; xha_timing_row(&timing, i, &row); i++)
        json_array_append_new(times, json_pack("{s:s, s:s, s:s, s:I, s:b}", "name", row.name, "formula",
                                               row.formula, "doc", row.doc, "ms", (json_int_t)row.ms,
                                               "by_hand", wish.timing.at[i].ms != 0));
    for (uint32_t i = 0; xha_timing_case(&wish, &timing, i, &one); i++)
        json_array_append_new(cases,
                              json_pack("{s:s, s:s, s:s, s:b, s:I, s:I}", "name", one.name, "formula",
                                        one.formula, "text", one.text, "recovers", one.recovers, "issued_ms",
                                        (json_int_t)one.issued_ms, "ms", (json_int_t)one.ms));
    n = xha_timing_check(&wish, &timing, fault);
    for (uint32_t i = 0; i < n; i++)
        json_array_append_new(faults, json_string(fault[i].text));
    xha_call_ok(call, json_pack("{s:o, s:o, s:o, s:o}", "times", times, "cases", cases, "faults", faults,
                                "notes", notes_json(&call->d->conf, &timing)));
}

/* ---- what if ---- */

void xha_what_if_down_json(const struct xha_peers *p, uint8_t host, json_t *answer)
{
    struct xha_what_if *out = calloc(WHAT_IF_MAX, sizeof *out);
    json_t *moves = json_array();
    char name[XHA_HOST_TEXT];
    uint32_t n, homeless;

    if (!out)
        abort();
    n = xha_cluster_what_if_down(xha_peers_state(p), host, out, WHAT_IF_MAX, &homeless);
    for (uint32_t i = 0; i < n && i < WHAT_IF_MAX; i++) {
        struct xha_cluster_domain dom;
        char uuid[XHA_UUID_TEXT];

        if (xha_cluster_find(xha_peers_state(p), &out[i].uuid, &dom) != 0)
            continue;
        json_array_append_new(moves, json_pack("{s:s, s:s, s:o, s:o, s:s}", "domain", dom.name, "uuid",
                                               xha_uuid_format(&out[i].uuid, uuid), "from",
                                               xha_host_json(p, out[i].from), "to",
                                               xha_host_json(p, out[i].to), "text", out[i].text));
    }
    free(out);
    json_object_set_new(answer, "moves", moves);
    json_object_set_new(answer, "homeless", json_integer((json_int_t)homeless));
    if (json_object_get(answer, "text"))
        return;
    json_object_set_new(answer, "text",
                        json_sprintf("without %s: %u domain%s elsewhere, %u %s no place",
                                     xha_peers_host(p, host, name), n - homeless,
                                     n - homeless == 1 ? " goes" : "s go", homeless,
                                     homeless == 1 ? "finds" : "find"));
}

static void what_if_down(const struct xha_call *call, const char *name)
{
    int host = xha_peers_find_host(call->d->peers, name);
    json_t *answer;

    if (host < 0) {
        xha_call_no_host(call, name);
        return;
    }
    answer = json_pack("{s:o}", "down", xha_host_json(call->d->peers, (unsigned)host));
    xha_what_if_down_json(call->d->peers, (uint8_t)host, answer);
    xha_call_ok(call, answer);
}

struct adding {
    struct xha_daemon *d;
    uint64_t client;
    struct xha_domain_spec spec;
};

static void on_parsed(void *user, const struct xha_job *job, const struct xha_job_done *done)
{
    struct adding *a = user;
    json_int_t memory = json_integer_value(json_object_get(done->data, "memory_kib"));
    json_int_t vcpus = json_integer_value(json_object_get(done->data, "vcpus"));
    const char *name = json_string_value(json_object_get(done->data, "name"));
    struct xha_what_if out = { .to = XHA_HOST_NONE };
    struct xha_needs needs;
    int rc;

    (void)job;
    if (done->result != XHA_OK || memory <= 0) {
        xha_control_error(a->d->control, a->client, "refused", done->message, "nothing was changed");
    } else {
        a->spec.policy.memory_kib = (uint64_t)memory;
        xha_domain_spec_needs(&a->spec, (uint32_t)vcpus, &needs);
        rc = xha_cluster_what_if_add(xha_peers_state(a->d->peers), &a->spec.policy, &needs, &out);
        xha_control_ok(a->d->control, a->client,
                       json_pack("{s:s, s:o, s:I, s:I, s:b, s:s}", "domain", name ? name : "", "to",
                                 xha_host_json(a->d->peers, out.to), "memory_kib", memory, "vcpus", vcpus,
                                 "ok", rc == 0, "text", out.text));
    }
    xha_domain_spec_clear(&a->spec);
    free(a);
}

static void what_if_add(const struct xha_call *call, const char *path)
{
    struct xha_job job = { .domid = XHA_DOMID_NONE, .deadline_ms = PARSE_MS };
    struct adding *a = calloc(1, sizeof *a);
    struct xha_problems problems = { 0 };

    if (!a)
        abort();
    a->d = call->d;
    a->client = call->client;
    if (xha_domain_spec_load(path, &a->spec, &problems) != XHA_CONF_OK) {
        xha_call_error(call, "bad-policy", problems.n ? problems.text[0] : "no memory", NULL);
        xha_problems_clear(&problems);
        free(a);
        return;
    }
    job.verb = a->spec.config[0] ? XHA_VERB_PARSE : XHA_VERB_DESCRIBE;
    snprintf(job.xlcfg, sizeof job.xlcfg, "%s", a->spec.config);
    snprintf(job.name, sizeof job.name, "%s", a->spec.domain);
    xha_jobs_start(call->d->jobs, &job, on_parsed, a);
}

void xha_cmd_what_if(const struct xha_call *call)
{
    char down[128] = "", add[XHA_JOB_PATH_MAX] = "";

    if (!xha_call_in_cluster(call))
        return;
    if (!xha_request_text(call->request, "down", down, sizeof down) ||
        !xha_request_text(call->request, "add", add, sizeof add) || !down[0] == !add[0] ||
        (add[0] && add[0] != '/')) {
        xha_call_bad_arg(call, "down", "a host; or \"add\" the absolute path of a policy");
        return;
    }
    if (down[0])
        what_if_down(call, down);
    else
        what_if_add(call, add);
}
