#define _GNU_SOURCE
#include "bytes.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

void fail(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fputs("load: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(2);
}

void *need(void *pointer) {
    if (!pointer)
        fail("out of memory");
    return pointer;
}

void append(struct bytes *to, const void *data, size_t size) {
    if (to->size + size > to->capacity) {
        to->capacity = (to->size + size) * 2 < 64 ? 64 : (to->size + size) * 2;
        to->data = need(realloc(to->data, to->capacity));
    }
    if (size)
        memcpy(to->data + to->size, data, size);
    to->size += size;
}

void clear(struct bytes *what) {
    what->size = 0;
}

void release(struct bytes *what) {
    free(what->data);
    *what = (struct bytes){0};
}

uint64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}
