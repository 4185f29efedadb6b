/*
 * A histogram of times, exact to 3 %.
 */
#ifndef HISTOGRAM_H
#define HISTOGRAM_H

#include <stdint.h>

struct histogram {
    uint64_t count, sum, most;
    uint64_t bucket[64 * 32];
};

void record(struct histogram *in, uint64_t nanoseconds);

/* The time below which the given part of all times lies, in nanoseconds. */
uint64_t quantile(const struct histogram *of, double part);

void forget(struct histogram *what);

#endif
