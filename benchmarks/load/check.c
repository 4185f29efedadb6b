#include "check.h"

#include "faults.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct tally tally;
int64_t outstanding;
bool isTimed = true, isOrdered = true;
struct histogram latency;

/* A mark: "~", the channel in 6 digits, the number in 10, and a constant text. */
enum { DIGITS = 17 };
static const char FILL[] =
    "The quick brown fox jumps over the lazy dog 0123456789 and back again in time for tea ABCDEFGHIJ";

struct skipped {
    const struct inbox *of;
    uint32_t channel;
    uint64_t number;
    bool isThere;
};
static struct skipped *skipped;
static size_t skippedCount, skippedCapacity;

void openInbox(struct inbox *of, uint32_t number, const struct group *group) {
    of->number = number;
    of->group = group;
    of->expected = need(calloc(group->span, sizeof *of->expected));
    of->seen = isOrdered ? NULL : need(calloc(group->span, sizeof *of->seen));
    for (uint32_t i = 0; i < group->span; i++)
        script.channel[(group->first + i) % script.channels].readers++;
}

void writeMark(char *out, uint32_t channel, uint64_t number) {
    char digits[DIGITS + 1];
    snprintf(digits, sizeof digits, "~%06u%010llu", channel % 1000000u,
             (unsigned long long)number % 10000000000ull);
    memcpy(out, digits, DIGITS);
    memcpy(out + DIGITS, FILL, MARK_SIZE - DIGITS);
}

/* Return the number that so many digits write, or UINT64_MAX if one is no digit. */
static uint64_t readDigits(const char *from, size_t size) {
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++) {
        if (from[i] < '0' || from[i] > '9')
            return UINT64_MAX;
        value = value * 10 + (uint64_t)(from[i] - '0');
    }
    return value;
}

/* Remember a number that was left out.  It may come late; until then it counts as
 * outstanding. */
static void skip(const struct inbox *of, uint32_t channel, uint64_t number) {
    if (skippedCount >= 100000)
        return;
    if (skippedCount == skippedCapacity) {
        skippedCapacity = skippedCapacity ? skippedCapacity * 2 : 256;
        skipped = need(realloc(skipped, skippedCapacity * sizeof *skipped));
    }
    skipped[skippedCount++] = (struct skipped){of, channel, number, false};
}

/* Count a number below the expected one: it comes late, or again. */
static void late(const struct inbox *of, uint32_t channel, uint64_t number) {
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

/* Take the bit of a number: whether it was set. */
static bool take(struct window *of, uint64_t number, bool isSet) {
    uint64_t *word = &of->bit[number % RING / 64], bit = 1ull << (number % 64);
    bool was = *word & bit;
    *word = isSet ? *word | bit : *word & ~bit;
    return was;
}

/* Note a number that may come before smaller ones.  Return false if it has come
 * already.  Those so far behind that their bit is needed again stay outstanding. */
static bool takeInAnyOrder(uint64_t *expected, struct window *seen, uint64_t number) {
    if (number < *expected)
        return false;
    for (; number >= *expected + RING; ++*expected)
        take(seen, *expected, false);
    if (take(seen, number, true))
        return false;
    for (; take(seen, *expected, false); ++*expected)
        ;
    return true;
}

/* Note a number that comes in order, unless it is late or comes again; and those
 * that it leaves out. */
static bool takeInOrder(const struct inbox *of, uint32_t channel, uint64_t *expected,
                        uint64_t number) {
    if (number < *expected)
        return false;
    if (number > *expected)
        fault("reader %u: message %llu of channel %u instead of %llu", of->number,
              (unsigned long long)number, channel, (unsigned long long)*expected);
    for (; *expected < number; ++*expected)
        skip(of, channel, *expected);
    *expected = number + 1;
    return true;
}

static void arrived(struct inbox *of, const char *mark, uint64_t arrival) {
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
    if (of->seen ? !takeInAnyOrder(expected, &of->seen[index], number)
                 : !takeInOrder(of, (uint32_t)channel, expected, number)) {
        late(of, (uint32_t)channel, number);
        return;
    }
    tally.deliveries++;
    outstanding--;
    uint64_t sent = from->sentAt[number % sentSize];
    if (isTimed)
        record(&latency, arrival > sent ? arrival - sent : 0);
}

void scan(struct inbox *of, const char *data, size_t size, uint64_t arrival) {
    if (of->carried) {
        size_t rest = MARK_SIZE - of->carried;
        if (rest > size)
            rest = size;
        memcpy(of->carry + of->carried, data, rest);
        of->carried = (uint8_t)(of->carried + rest);
        if (of->carried < MARK_SIZE)
            return;
        of->carried = 0;
        arrived(of, of->carry, arrival);
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
        arrived(of, mark, arrival);
        data = mark + MARK_SIZE;
        size -= MARK_SIZE;
    }
}
