/*
 * Growing buffers, the clock, and the way out when the work cannot go on.
 */
#ifndef BYTES_H
#define BYTES_H

#include <stddef.h>
#include <stdint.h>

struct bytes {
    char *data;
    size_t size, capacity;
};

/* Print the reason and exit with 2. */
void fail(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

/* Return the pointer, or fail if there was no memory for it. */
void *need(void *pointer);

void append(struct bytes *to, const void *data, size_t size);

/* Forget the bytes, and keep the memory. */
void clear(struct bytes *what);

/* Forget the bytes, and free the memory. */
void release(struct bytes *what);

/* Nanoseconds of the monotonic clock. */
uint64_t now(void);

#endif
