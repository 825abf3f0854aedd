/*
 * sched.c - see sched.h. Before a domain runs a wrong value is a warning, because a guest that runs with the
 * wrong weight is better than one that does not run; for the order `xl-ha sched` it is a refusal.
 */
#include "xhad/xen/sched.h"
#include "xhad/xen/affinity.h"
#include "xhad/xen/domain_config.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct report {
    char *err;
    size_t err_len;
    int rc; /* -1 after the first complaint, which is the one that is kept */
};

static void complain(struct report *rp, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void complain(struct report *rp, const char *format, ...)
{
    va_list args;

    if (rp->rc < 0)
        return;
    rp->rc = -1;
    va_start(args, format);
    vsnprintf(rp->err, rp->err_len, format, args);
    va_end(args);
}

/* The pool comes first: it brings its own scheduler, whose weight and cap are then set. */
static void move_to_pool(struct xha_work *w, uint32_t domid, struct report *rp)
{
    const char *pool = w->job.sched.pool;
    libxl_dominfo info;
    uint32_t id;

    if (pool[0] == '\0')
        return;
    if (libxl_name_to_cpupoolid(w->lx.ctx, pool, &id)) {
        complain(rp, "there is no CPU pool %s (see xl cpupool-list)", pool);
        return;
    }
    if (xha_lx_look(&w->lx, (int32_t)domid, &w->job.uuid, &info) == XHA_LX_THERE && info.cpupool == id)
        return;
    xha_lx_forget(&w->lx);
    if (libxl_cpupool_movedomain(w->lx.ctx, id, domid))
        complain(rp, "it cannot be moved to CPU pool %s: %s", pool, xha_lx_error(&w->lx));
}

static bool has_weights(libxl_scheduler sched)
{
    return sched == LIBXL_SCHEDULER_CREDIT || sched == LIBXL_SCHEDULER_CREDIT2;
}

static void set_weight_and_cap(struct xha_work *w, uint32_t domid, struct report *rp)
{
    const struct xha_job_sched *want = &w->job.sched;
    libxl_domain_sched_params is;

    if (want->weight == 0)
        return;
    libxl_domain_sched_params_init(&is);
    xha_lx_forget(&w->lx);
    if (libxl_domain_sched_params_get(w->lx.ctx, domid, &is)) {
        complain(rp, "its scheduling parameters cannot be read: %s", xha_lx_error(&w->lx));
    } else if (!has_weights(is.sched)) {
        complain(rp, "scheduler %s has no weight and cap (credit and credit2 have)",
                 libxl_scheduler_to_string(is.sched));
    } else if (is.weight != (int)want->weight || is.cap != (int)want->cap) {
        is.weight = (int)want->weight;
        is.cap = (int)want->cap;
        if (libxl_domain_sched_params_set(w->lx.ctx, domid, &is))
            complain(rp, "weight %u and cap %u cannot be set: %s", want->weight, want->cap,
                     xha_lx_error(&w->lx));
    }
    libxl_domain_sched_params_dispose(&is);
}

static int fill(libxl_ctx *ctx, const struct xha_cpu_set *set, uint32_t n_cpus, libxl_bitmap *map_r)
{
    if (libxl_cpu_bitmap_alloc(ctx, map_r, 0))
        return -1;
    for (uint32_t cpu = 0; cpu < n_cpus; cpu++)
        if (xha_cpu_set_has(set, cpu))
            libxl_bitmap_set(map_r, (int)cpu);
    return 0;
}

static void set_affinity(struct xha_work *w, uint32_t domid, const libxl_domain_config *config,
                         struct report *rp)
{
    libxl_bitmap hard, soft;
    struct xha_affinity want;
    libxl_dominfo info;
    char err[160];
    int n_cpus = libxl_get_max_cpus(w->lx.ctx);

    if (n_cpus <= 0) {
        complain(rp, "Xen does not say how many CPUs there are");
        return;
    }
    if (xha_affinity_parse(w->job.sched.affinity, (uint32_t)n_cpus, &want, err, sizeof(err)) < 0) {
        complain(rp, "%s", err);
        return;
    }
    if (want.hard.all && config && config->b_info.num_vcpu_hard_affinity > 0)
        want.hard.given = false;
    if (want.soft.all && config && config->b_info.num_vcpu_soft_affinity > 0)
        want.soft.given = false;
    if ((!want.hard.given && !want.soft.given) ||
        xha_lx_look(&w->lx, (int32_t)domid, &w->job.uuid, &info) != XHA_LX_THERE)
        return;
    libxl_bitmap_init(&hard);
    libxl_bitmap_init(&soft);
    xha_lx_forget(&w->lx);
    if (fill(w->lx.ctx, &want.hard, (uint32_t)n_cpus, &hard) < 0 ||
        fill(w->lx.ctx, &want.soft, (uint32_t)n_cpus, &soft) < 0 ||
        libxl_set_vcpuaffinity_all(w->lx.ctx, domid, info.vcpu_max_id + 1, want.hard.given ? &hard : NULL,
                                   want.soft.given ? &soft : NULL))
        complain(rp, "affinity \"%s\" cannot be set: %s", w->job.sched.affinity, xha_lx_error(&w->lx));
    libxl_bitmap_dispose(&hard);
    libxl_bitmap_dispose(&soft);
}

int xha_sched_apply(struct xha_work *w, uint32_t domid, const libxl_domain_config *config, char *err,
                    size_t err_len)
{
    struct report rp = { .err = err, .err_len = err_len };

    move_to_pool(w, domid, &rp);
    set_weight_and_cap(w, domid, &rp);
    set_affinity(w, domid, config, &rp);
    return rp.rc;
}

void xha_perform_sched(struct xha_work *w)
{
    libxl_domain_config config;
    libxl_dominfo info;
    char err[256];
    bool known;

    if (xha_work_domain(w, &info) < 0)
        return;
    libxl_domain_config_init(&config);
    known = w->job.config[0] != '\0' && xha_config_load(w, w->job.config, &config, err, sizeof(err)) == 0;
    if (xha_sched_apply(w, info.domid, known ? &config : NULL, err, sizeof(err)) < 0)
        xha_work_refuse(w, XHA_REFUSAL_UNSUPPORTED, "%s: %s", w->who, err);
    else
        xha_work_ok(w, "%s: weight, cap, affinity and pool are as the policy says", w->who);
    libxl_domain_config_dispose(&config);
}
