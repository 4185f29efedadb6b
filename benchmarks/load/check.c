/*
 * Is what arrives what was published?  Every message of a channel has the
 * next number; each reader must get each of them once, in order, undamaged.
 */
#define _GNU_SOURCE
#include "load.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct tally tally;
int64_t outstanding;
bool isTimed = true;
uint64_t arrival;
char firstFault[256];
struct histogram latency;

/* "~", the channel in 6 digits, the number in 10, and what is always there. */
enum { DIGITS = 17 };
static const char FILL[] =
    "The quick brown fox jumps over the lazy dog 0123456789 and back again in time for tea ABCDEFGHIJ";

struct skipped {
    const struct connection *of;
    uint32_t channel;
    uint64_t number;
    bool isThere;
};
static struct skipped *skipped;
static size_t skippedCount, skippedCapacity;

void fault(const char *format, ...) {
    if (firstFault[0])
        return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(firstFault, sizeof firstFault, format, arguments);
    va_end(arguments);
    for (char *at = firstFault; *at; at++)
        if (*at < ' ' || *at == '"' || *at == '\\' || *at == 127)
            *at = '?';
}

void writeMark(char *out, uint32_t channel, uint64_t number) {
    char digits[DIGITS + 1];
    snprintf(digits, sizeof digits, "~%06u%010llu", channel % 1000000u,
             (unsigned long long)number % 10000000000ull);
    memcpy(out, digits, DIGITS);
    memcpy(out + DIGITS, FILL, MARK_SIZE - DIGITS);
}

/* Up to size digits; or UINT64_MAX if one is none. */
static uint64_t readDigits(const char *from, size_t size) {
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++) {
        if (from[i] < '0' || from[i] > '9')
            return UINT64_MAX;
        value = value * 10 + (uint64_t)(from[i] - '0');
    }
    return value;
}

/* It may come late; until it does it stays outstanding. */
static void skip(const struct connection *of, uint32_t channel, uint64_t number) {
    if (skippedCount >= 100000)
        return;
    if (skippedCount == skippedCapacity) {
        skippedCapacity = skippedCapacity ? skippedCapacity * 2 : 256;
        skipped = need(realloc(skipped, skippedCapacity * sizeof *skipped));
    }
    skipped[skippedCount++] = (struct skipped){of, channel, number, false};
}

/* A number below the one that was expected: it comes late, or again. */
static void late(const struct connection *of, uint32_t channel, uint64_t number) {
    for (size_t i = 0; i < skippedCount; i++) {
        struct skipped *each = &skipped[i];
        if (each->of == of && each->channel == channel && each->number == number
            && !each->isThere) {
            each->isThere = true;
            tally.disordered++;
            outstanding--;
            fault("reader %u: message %llu of channel %u came late", of->number,
                  (unsigned long long)number, channel);
            return;
        }
    }
    tally.repeated++;
    fault("reader %u: message %llu of channel %u came again", of->number,
          (unsigned long long)number, channel);
}

static void arrived(struct connection *of, const char *mark) {
    if (memcmp(mark + DIGITS, FILL, MARK_SIZE - DIGITS)) {
        tally.damaged++;
        fault("reader %u: a message is damaged: %.60s", of->number, mark);
        return;
    }
    uint64_t channel = readDigits(mark + 1, 6), number = readDigits(mark + 7, 10);
    const struct group *group = of->group;
    uint64_t index = channel < script.channels
        ? (channel + script.channels - group->first) % script.channels : UINT64_MAX;
    if (number == UINT64_MAX || index >= group->span) {
        tally.unexpected++;
        fault("reader %u: a message of channel %llu, which it does not read", of->number,
              (unsigned long long)channel);
        return;
    }
    struct channel *from = &script.channel[channel];
    uint64_t *expected = &of->expected[index];
    if (number >= from->published) {
        tally.unexpected++;
        fault("reader %u: message %llu was never published", of->number,
              (unsigned long long)number);
        return;
    }
    if (number < *expected) {
        late(of, (uint32_t)channel, number);
        return;
    }
    if (number > *expected)
        fault("reader %u: message %llu of channel %llu instead of %llu", of->number,
              (unsigned long long)number, (unsigned long long)channel,
              (unsigned long long)*expected);
    for (; *expected < number; ++*expected)
        skip(of, (uint32_t)channel, *expected);
    *expected = number + 1;
    tally.deliveries++;
    outstanding--;
    uint64_t sent = from->sentAt[number % RING];
    if (isTimed)
        record(&latency, arrival > sent ? arrival - sent : 0);
}

void scan(struct connection *of, const char *data, size_t size) {
    if (of->carried) {
        size_t rest = MARK_SIZE - of->carried;
        if (rest > size)
            rest = size;
        memcpy(of->carry + of->carried, data, rest);
        of->carried = (uint8_t)(of->carried + rest);
        if (of->carried < MARK_SIZE)
            return;
        of->carried = 0;
        arrived(of, of->carry);
        data += rest;
        size -= rest;
    }
    while (size) {
        const char *mark = memchr(data, '~', size);
        if (!mark)
            return;
        size -= (size_t)(mark - data);
        if (size < MARK_SIZE) {
            memcpy(of->carry, mark, size);
            of->carried = (uint8_t)size;
            return;
        }
        arrived(of, mark);
        data = mark + MARK_SIZE;
        size -= MARK_SIZE;
    }
}

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
