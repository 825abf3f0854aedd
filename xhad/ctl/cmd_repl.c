/*
 * cmd_repl.c - repl: how a domain is replicated, and its newest epochs. Its owner's host knows them; another asks there.
 */
#include "xhad/ctl/cmd_cluster.h"
#include "xhad/base/uuid.h"

#define EPOCHS_DEFAULT 20

static json_t *epoch_json(const struct xha_repl_epoch *epoch)
{
    const struct xha_job_epoch *e = &epoch->said;
    const struct {
        const char *name;
        json_int_t value;
    } member[] = {
        { "pair", (json_int_t)epoch->pair },
        { "number", (json_int_t)e->number },
        { "ms", epoch->wall_ms },
        { "dirty_pages", (json_int_t)e->pages },
        { "raw_bytes", (json_int_t)e->raw_bytes },
        { "sent_bytes", (json_int_t)e->sent_bytes },
        { "pause_us", xha_repls_pause_us(e) },
        { "suspend_us", e->suspend_us },
        { "scan_us", e->scan_us },
        { "copy_us", e->copy_us },
        { "resume_us", e->resume_us },
        { "commit_us", e->commit_us },
        { "delay_us", e->delay_us },
        { "held_packets", (json_int_t)e->held_packets },
        { "held_bytes", (json_int_t)e->held_bytes },
        { "dropped_packets", (json_int_t)e->dropped_packets },
        { "interval_us", e->interval_us },
    };
    json_t *json = json_object();

    for (size_t i = 0; i < sizeof member / sizeof *member; i++)
        json_object_set_new(json, member[i].name, json_integer(member[i].value));
    return json;
}

/* Oldest first. */
static json_t *epochs_json(const struct xha_repl_domain *seen, json_int_t n)
{
    json_t *all = json_array();

    for (json_int_t i = n; seen && i-- > 0;) {
        const struct xha_repl_epoch *epoch = xha_repls_newest(seen, (uint64_t)i);

        if (epoch)
            json_array_append_new(all, epoch_json(epoch));
    }
    return all;
}

/* How far the first copy is; null: none is under way, or nothing is known of it here. */
static json_t *sync_json(const struct xha_repl_status *s, const struct xha_repl_domain *seen)
{
    if (!seen || !s->pair || seen->pair != s->pair || !seen->sending || !seen->total || s->last)
        return json_null();
    return json_pack("{s:I, s:I, s:I, s:I, s:o}", "done", (json_int_t)seen->done, "total",
                     (json_int_t)seen->total, "wire_bytes", (json_int_t)seen->pace.wire_bytes, "bytes_per_s",
                     (json_int_t)seen->pace.bytes_per_s, "eta_ms",
                     seen->pace.eta_ms < 0 ? json_null() : json_integer(seen->pace.eta_ms));
}

static json_t *sums_json(const struct xha_repl_domain *seen)
{
    if (!seen || !seen->epochs)
        return json_null();
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "epochs", (json_int_t)seen->epochs, "dirty_pages",
                     (json_int_t)seen->pages, "raw_bytes", (json_int_t)seen->raw_bytes, "sent_bytes",
                     (json_int_t)seen->sent_bytes, "pause_us", (json_int_t)seen->pause_us, "commit_us",
                     (json_int_t)seen->commit_us, "dropped_packets", (json_int_t)seen->dropped_packets);
}

/* Who has it and how it is, as far as this host knows. */
static void add_owner(const struct xha_daemon *d, const struct xha_uuid *uuid, json_t *json)
{
    struct xha_cluster_domain dom;
    struct xha_view view;
    const char *state = NULL;
    json_t *host = NULL;

    if (d->peers && xha_cluster_find(xha_peers_state(d->peers), uuid, &dom) == 0) {
        state = xha_state_name(dom.report.state);
        if (dom.phase == XHA_PH_FREE)
            state = dom.want_run ? "waiting" : "stopped";
        else
            host = xha_host_json(d->peers, dom.owner);
    } else if (xha_core_find(d->core, uuid, &view) == 0) {
        state = xha_state_name(view.state);
    }
    json_object_set_new(json, "host", host ? host : json_null());
    json_object_set_new(json, "state", state ? json_string(state) : json_null());
}

json_t *xha_repl_json(const struct xha_daemon *d, const struct xha_domain *dom, json_int_t epochs)
{
    const struct xha_repl_domain *seen = xha_repls_find(d->repls, &dom->uuid);
    char uuid[XHA_UUID_TEXT];
    struct xha_repl_status s;
    json_t *json;

    xha_repls_status(d, &dom->uuid, &s);
    json = json_pack("{s:s, s:s}", "domain", dom->name, "uuid", xha_uuid_format(&dom->uuid, uuid));
    add_owner(d, &dom->uuid, json);
    xha_repls_add(d, &dom->uuid, json);
    json_object_set_new(json, "pair", s.pair ? json_integer((json_int_t)s.pair) : json_null());
    json_object_set_new(json, "epoch", s.last ? json_integer((json_int_t)s.last->said.number) : json_null());
    json_object_set_new(json, "sync", sync_json(&s, seen));
    json_object_set_new(json, "sums", sums_json(seen));
    json_object_set_new(json, "epochs", epochs_json(seen, epochs));
    return json;
}

/* Its owner's xhad does not answer. */
static void repl_of_state(struct xha_daemon *d, uint64_t client, const struct xha_uuid *uuid,
                          json_int_t epochs)
{
    const struct xha_domain *dom = xha_domains_find(&d->domains, uuid);
    json_t *json;

    if (!dom) {
        xha_control_error(d->control, client, "no-such-domain", "the domain is no longer protected", NULL);
        return;
    }
    json = xha_repl_json(d, dom, epochs);
    json_object_set_new(
        json, "note",
        json_string("xhad on the domain's host does not answer: its epochs are not known here"));
    xha_control_ok(d->control, client, json);
}

void xha_cmd_repl(const struct xha_call *call)
{
    const struct xha_domain *dom = xha_call_domain(call);
    json_int_t epochs = EPOCHS_DEFAULT;
    unsigned host;

    if (!dom)
        return;
    if (!xha_request_int(call->request, "lines", 0, XHA_REPL_EPOCHS, &epochs)) {
        xha_call_bad_arg(call, "lines", "a whole number of 0 to 64");
        return;
    }
    if (xha_call_elsewhere(call->d, &dom->uuid, &host))
        xha_peers_ask(call->d->peers, call->client, host, "repl", &dom->uuid, epochs, repl_of_state);
    else
        xha_call_ok(call, xha_repl_json(call->d, dom, epochs));
}
