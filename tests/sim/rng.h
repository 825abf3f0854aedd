/*
 * rng.h - seeded randomness for the simulator: the same seed gives the same numbers on every machine.
 */
#ifndef XHA_SIM_RNG_H
#define XHA_SIM_RNG_H

#include <stdbool.h>
#include <stdint.h>

struct sim_rng {
    uint64_t s;
};

/* SplitMix64. */
static inline uint64_t sim_rng_next(struct sim_rng *rng)
{
    uint64_t z = (rng->s += 0x9e3779b97f4a7c15ULL);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
}

/* low..high, both included. */
static inline int64_t sim_rng_range(struct sim_rng *rng, int64_t low, int64_t high)
{
    return low + (int64_t)(sim_rng_next(rng) % (uint64_t)(high - low + 1));
}

static inline bool sim_rng_chance(struct sim_rng *rng, unsigned percent)
{
    return sim_rng_next(rng) % 100 < percent;
}

#endif
