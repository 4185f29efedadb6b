#include "histogram.h"

#include <string.h>

/* Buckets of 1/32 of a power of two: exact to 3 %. */
static unsigned bucketOf(uint64_t value) {
    if (value < 32)
        return (unsigned)value;
    unsigned power = 63 - (unsigned)__builtin_clzll(value);
    return (power - 4) * 32 + (unsigned)((value >> (power - 5)) & 31);
}

static uint64_t middleOf(unsigned bucket) {
    if (bucket < 64)
        return bucket;
    unsigned power = bucket / 32 + 4;
    uint64_t low = (32ull + bucket % 32) << (power - 5);
    return low + (1ull << (power - 5)) / 2;
}

void record(struct histogram *in, uint64_t nanoseconds) {
    in->count++;
    in->sum += nanoseconds;
    if (nanoseconds > in->most)
        in->most = nanoseconds;
    in->bucket[bucketOf(nanoseconds)]++;
}

uint64_t quantile(const struct histogram *of, double part) {
    uint64_t wanted = (uint64_t)((double)of->count * part), seen = 0;
    for (unsigned i = 0; i < 64 * 32; i++) {
        seen += of->bucket[i];
        if (seen > wanted)
            return middleOf(i);
    }
    return of->most;
}

void forget(struct histogram *what) {
    memset(what, 0, sizeof *what);
}
