/*
 * Is what arrives what was published?
 *
 * Each message is MARK_SIZE bytes of ASCII that name its channel and its
 * number in it.  Each reader must get each number of its channels once, in
 * order, undamaged.  So this part finds whatever is lost, repeated, damaged or
 * out of order, and needs not know what a server wraps around a message.
 */
#ifndef CHECK_H
#define CHECK_H

#include "histogram.h"
#include "script.h"

#include <stdbool.h>

extern struct tally {
    uint64_t deliveries, repeated, disordered, damaged, unexpected;
} tally;
extern int64_t outstanding; /* deliveries that are under way */
extern bool isTimed;        /* whether their latency counts */
extern bool isOrdered;      /* whether one publisher alone orders each channel; set it first */
extern struct histogram latency;

/* Which of the numbers from the expected one on have come. */
struct window {
    uint64_t bit[RING / 64];
};

/* What one reader has received. */
struct inbox {
    uint32_t number;       /* the reader's */
    const struct group *group;
    uint64_t *expected;    /* the next number, for each channel of the group */
    struct window *seen;   /* those behind it that have come; NULL if they have an order */
    uint8_t carried;
    char carry[MARK_SIZE]; /* the part of a mark that is there */
};

void openInbox(struct inbox *of, uint32_t number, const struct group *group);

/* Write the message that has this number in its channel. */
void writeMark(char *out, uint32_t channel, uint64_t number);

/* Find the messages in what a reader received at the given time. */
void scan(struct inbox *of, const char *data, size_t size, uint64_t arrival);

#endif
