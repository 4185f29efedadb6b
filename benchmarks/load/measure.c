#define _GNU_SOURCE
#include "measure.h"

#include "bytes.h"
#include "faults.h"
#include "sockets.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { MAX_PIDS = 16 };

static int pids[MAX_PIDS];
static int pidCount;
static uint32_t files[MAX_PIDS];

void watch(const char *list) {
    for (const char *at = list; *at && pidCount < MAX_PIDS;) {
        char *end;
        pids[pidCount++] = (int)strtol(at, &end, 10);
        if (end == at)
            fail("%s is no list of processes", list);
        at = *end ? end + 1 : end;
    }
}

uint64_t cpuTime(void) {
    uint64_t sum = 0;
    for (int i = 0; i < pidCount; i++) {
        clockid_t clock;
        struct timespec time;
        if (clock_getcpuclockid(pids[i], &clock) || clock_gettime(clock, &time)) {
            errors.other++;
            fault("process %d has ended", pids[i]);
            continue;
        }
        sum += (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
    }
    return sum;
}

uint64_t memory(void) {
    uint64_t sum = 0;
    for (int i = 0; i < pidCount; i++) {
        char line[256];
        snprintf(line, sizeof line, "/proc/%d/smaps_rollup", pids[i]);
        FILE *file = fopen(line, "r");
        while (file && fgets(line, sizeof line, file)) {
            unsigned long long kilobytes;
            if (sscanf(line, "Pss: %llu", &kilobytes) == 1)
                sum += kilobytes * 1024;
        }
        if (file)
            fclose(file);
    }
    return sum;
}

static uint32_t filesOf(int pid) {
    char path[64];
    uint32_t count = 0;
    snprintf(path, sizeof path, "/proc/%d/fd", pid);
    DIR *folder = opendir(path);
    while (folder && readdir(folder))
        count++;
    if (folder)
        closedir(folder);
    return count;
}

void openFiles(struct shares *since) {
    for (int i = 0; i < pidCount; i++) {
        uint32_t count = filesOf(pids[i]);
        if (!since) {
            files[i] = count;
            continue;
        }
        /* A process that only watches over the others takes none. */
        double taken = count > files[i] ? count - files[i] : 0;
        if (taken <= 0)
            continue;
        since->least = since->processes && since->least < taken ? since->least : taken;
        since->most = since->most > taken ? since->most : taken;
        since->processes++;
    }
}

void waitUntilQuiet(void) {
    uint64_t last = cpuTime();
    for (int quiet = 0, turns = 0; quiet < 3 && turns < 60; turns++) {
        uint64_t until = now() + 50000000u;
        while (now() < until)
            turn(10);
        uint64_t next = cpuTime();
        quiet = next - last < 1000000u ? quiet + 1 : 0;
        last = next;
    }
}
