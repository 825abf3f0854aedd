/*
 * future.c - the queue of what will happen when: a binary heap by time, then by order of arrival.
 */
#include "tests/sim/sim.h"

#include <stdlib.h>

static bool before(const struct sim_future *a, const struct sim_future *b)
{
    return a->at_ms != b->at_ms ? a->at_ms < b->at_ms : a->seq < b->seq;
}

void sim_future_put(struct sim_futures *f, const struct sim_future *what)
{
    unsigned i;
    struct sim_future x = *what;

    if (f->n == f->cap) {
        f->cap = f->cap ? 2 * f->cap : 256;
        f->heap = realloc(f->heap, f->cap * sizeof(*f->heap));
        if (!f->heap)
            abort();
    }
    x.seq = f->seq++;
    for (i = f->n++; i && before(&x, &f->heap[(i - 1) / 2]); i = (i - 1) / 2)
        f->heap[i] = f->heap[(i - 1) / 2];
    f->heap[i] = x;
}

bool sim_future_peek(const struct sim_futures *f, int64_t *at_ms_r)
{
    if (!f->n)
        return false;
    *at_ms_r = f->heap[0].at_ms;
    return true;
}

struct sim_future sim_future_take(struct sim_futures *f)
{
    struct sim_future top = f->heap[0], last = f->heap[--f->n];
    unsigned i = 0;

    for (;;) {
        unsigned c = 2 * i + 1;

        if (c >= f->n)
            break;
        if (c + 1 < f->n && before(&f->heap[c + 1], &f->heap[c]))
            c++;
        if (!before(&f->heap[c], &last))
            break;
        f->heap[i] = f->heap[c];
        i = c;
    }
    f->heap[i] = last;
    return top;
}

void sim_future_free(struct sim_futures *f)
{
    while (f->n)
        sim_future_drop(&f->heap[--f->n]);
    free(f->heap);
    *f = (struct sim_futures){ 0 };
}
