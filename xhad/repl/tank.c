/*
 * tank.c - see tank.h. One empty block is kept, so that a quiet guest's epochs ask for no memory.
 */
#include "xhad/repl/tank.h"

#include <stdlib.h>

struct block {
    struct block *next;
    size_t at, end; /* [at, end) is filled */
    uint8_t bytes[XHA_TANK_BLOCK];
};

struct xha_tank {
    struct block *first, **tail, *last, *spare;
    uint64_t n_blocks, most_blocks, max_blocks;
    uint64_t full;
};

struct xha_tank *xha_tank_new(uint64_t limit)
{
    struct xha_tank *t = calloc(1, sizeof(*t));

    if (!t)
        return NULL;
    t->tail = &t->first;
    t->max_blocks = limit / XHA_TANK_BLOCK > 0 ? limit / XHA_TANK_BLOCK : 1;
    return t;
}

void xha_tank_free(struct xha_tank *tank)
{
    struct block *b, *next;

    if (!tank)
        return;
    for (b = tank->first; b; b = next) {
        next = b->next;
        free(b);
    }
    free(tank->spare);
    free(tank);
}

/* An empty block; NULL: full. */
static struct block *new_block(struct xha_tank *t)
{
    struct block *b = t->spare;

    t->spare = NULL;
    if (!b && t->n_blocks < t->max_blocks) {
        b = malloc(sizeof(*b));
        t->n_blocks += b != NULL;
    }
    if (!b) {
        t->full++;
        return NULL;
    }
    if (t->n_blocks > t->most_blocks)
        t->most_blocks = t->n_blocks;
    b->next = NULL;
    b->at = b->end = 0;
    return b;
}

uint8_t *xha_tank_room(struct xha_tank *tank, size_t *len_r)
{
    if (!tank->last || tank->last->end == XHA_TANK_BLOCK) {
        struct block *b = new_block(tank);

        if (!b)
            return NULL;
        *tank->tail = tank->last = b;
        tank->tail = &b->next;
    }
    *len_r = XHA_TANK_BLOCK - tank->last->end;
    return tank->last->bytes + tank->last->end;
}

void xha_tank_filled(struct xha_tank *tank, size_t len)
{
    tank->last->end += len;
}

size_t xha_tank_next(const struct xha_tank *tank, const uint8_t **bytes_r)
{
    const struct block *b = tank->first;

    if (!b)
        return 0;
    *bytes_r = b->bytes + b->at;
    return b->end - b->at;
}

void xha_tank_took(struct xha_tank *tank, size_t len)
{
    struct block *b = tank->first;

    b->at += len;
    if (b->at < b->end)
        return;
    if (b == tank->last && b->end < XHA_TANK_BLOCK) {
        b->at = b->end = 0; /* the next bytes go to its beginning */
        return;
    }
    tank->first = b->next;
    if (!tank->first) {
        tank->tail = &tank->first;
        tank->last = NULL;
    }
    if (tank->spare) {
        free(b);
        tank->n_blocks--;
    } else {
        tank->spare = b;
    }
}

struct xha_tank_stats xha_tank_stats(const struct xha_tank *tank)
{
    return (struct xha_tank_stats){
        .bytes = tank->n_blocks * sizeof(struct block),
        .bytes_most = tank->most_blocks * sizeof(struct block),
        .full = tank->full,
    };
}
