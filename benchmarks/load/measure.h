/*
 * What the server's processes cost.
 */
#ifndef MEASURE_H
#define MEASURE_H

#include <stdint.h>

/* Measure these processes: their ids with a comma between them. */
void watch(const char *pids);

/* Nanoseconds of all their threads, those that have ended included. */
uint64_t cpuTime(void);

/* Bytes; of what several processes share, each has its part. */
uint64_t memory(void);

/* Of the processes that have taken connections since openFiles() was called with NULL:
 * their number, and the least and the most that one has taken. */
struct shares {
    uint32_t processes;
    double least, most;
};
void openFiles(struct shares *since);

/* Wait until the server has nothing left to do: at most three seconds. */
void waitUntilQuiet(void);

#endif
