/*
 * The load generator: one thread, one epoll, many readers and one publisher.
 *
 * What is spoken is described by a script (script.c), so that a new server
 * needs a few lines of text and no C.  Every message is MARK_SIZE bytes of
 * ASCII that name its channel and its number in it, so that the reader's
 * side (check.c) sees whatever is lost, repeated, damaged or out of order
 * without knowing what a server wraps around it.
 */
#ifndef LOAD_H
#define LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    MARK_SIZE = 100,
    SLOTS = 4,
    MAX_STEPS = 24,
    MAX_REPLIES = 4,
    RING = 2048,
    MAX_PIDS = 16,
};

struct bytes {
    char *data;
    size_t size, capacity;
};

/* ---- script.c: what to say -------------------------------------------- */

enum framing { RAW, HTTP, WS };
enum verb { SEND, TEXT, AWAIT, END, TAKE };

struct step {
    enum verb verb;
    int slot;
    struct bytes text, until;
};

struct reply {
    struct bytes prefix, text;
};

struct speech {
    enum framing framing;
    int steps;
    struct step step[MAX_STEPS];
    int replies;
    struct reply reply[MAX_REPLIES];
};

struct group {
    uint32_t first, span;
    struct bytes names;
};

struct channel {
    struct bytes name;
    uint32_t readers;
    uint64_t published;
    uint64_t sentAt[RING];
};

struct script {
    struct speech reader, publisher;
    struct bytes next;                 /* what a poll asks when it is answered */
    struct bytes cursor[SLOTS];        /* headers of an answer that it repeats */
    struct bytes publish;              /* one message */
    struct bytes batch, line, between; /* many at once, where a server has that */
    struct bytes ack;                  /* in the answer to a publisher that speaks WS or RAW */
    uint32_t channels, groups;
    struct channel *channel;
    struct group *group;
};

extern struct script script;

struct connection;
void readScript(const char *path);
void expand(struct bytes *out, const struct bytes *template, const struct connection *of,
            uint32_t channel, const char *message, const struct bytes *batch);

/* ---- bytes.c ----------------------------------------------------------- */

void fail(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));
void *need(void *pointer);
void append(struct bytes *to, const void *data, size_t size);
void clear(struct bytes *what);
void release(struct bytes *what);
uint64_t now(void);

/* ---- connections.c ------------------------------------------------------ */

/* Where a connection is in what the server says. */
enum phase { PHASE_HEAD, PHASE_LENGTH, PHASE_CHUNK, PHASE_DATA, PHASE_TRAILER, PHASE_CLOSE,
             PHASE_FRAME, PHASE_PAYLOAD, PHASE_RAW };

struct connection {
    int fd;
    uint32_t number;
    bool connected, ready, isPublisher, isWriting;
    uint8_t step, phase, opcode, carried, beginSize;
    uint16_t status;
    const struct speech *speech;
    const struct group *group;
    uint64_t left;
    uint64_t *expected;    /* the next number, for each channel of the group */
    uint64_t answers;
    struct bytes held;     /* the part of a head or of a chunk's size that is there */
    struct bytes heard;    /* all of what was said until the connection is ready */
    struct bytes out;      /* what the socket did not take yet */
    char *slot[SLOTS];
    char carry[MARK_SIZE]; /* the part of a mark that is there */
    char begin[64];        /* how the message that is arriving begins */
};

extern struct connection *connections;
extern uint32_t connectionCount, readyCount, startedCount;
extern uint64_t bytesDown, bytesUp, publishDown, publishUp;
extern struct errors {
    uint64_t connect, reset, closed, status, protocol, other;
} errors;

void openConnections(const char *address, int port, int publishPort, uint32_t readers,
                     uint32_t late);
void startConnection(struct connection *of);
void say(struct connection *of, const void *data, size_t size);
void sayText(struct connection *of, const struct bytes *text);
void lose(struct connection *of, uint64_t *why);
void turn(int milliseconds);
void closeAll(void);

/* ---- wire.c: what the server says --------------------------------------- */

void heard(struct connection *of, const char *data, size_t size);
void step(struct connection *of);
void answered(struct connection *of);

/* ---- check.c: is it what was published? ---------------------------------- */

extern struct tally {
    uint64_t deliveries, repeated, disordered, damaged, unexpected;
} tally;
extern int64_t outstanding; /* deliveries that are under way */
extern bool isTimed;        /* whether their latency counts */
extern uint64_t arrival;    /* the time of what is being read */
extern char firstFault[256];

void writeMark(char *out, uint32_t channel, uint64_t number);
void scan(struct connection *of, const char *data, size_t size);
void fault(const char *format, ...) __attribute__((format(printf, 1, 2)));

struct histogram {
    uint64_t count, sum, most;
    uint64_t bucket[64 * 32];
};
extern struct histogram latency;
void record(struct histogram *in, uint64_t nanoseconds);
uint64_t quantile(const struct histogram *of, double part);
void forget(struct histogram *what);

/* ---- measure.c: what it costs the server ---------------------------------- */

void watch(const char *pids);
uint64_t cpuTime(void);
uint64_t memory(void);
void waitUntilQuiet(void);

#endif
