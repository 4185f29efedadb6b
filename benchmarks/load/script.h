/*
 * The script: what readers and publishers say to a server.
 *
 * A script describes a server's protocol, so that a new server needs a few
 * lines of text and no C.  It is lines of words with a tab between them, in
 * which \t \n \r \\ and \xHH are escapes.  What is sent may hold
 *
 *   %N  the names of the reader's group     %C  the name of a channel
 *   %M  the message                         %B  a batch of lines
 *   %R  the reader's number                 %L  the length of the HTTP body
 *   %0 to %3  what was taken from an answer  %%  a percent sign
 */
#ifndef SCRIPT_H
#define SCRIPT_H

#include "bytes.h"

enum {
    MARK_SIZE = 100, /* bytes of a message; see check.h */
    SLOTS = 4,
    MAX_STEPS = 24,
    MAX_REPLIES = 4,
    RING = 2048,
    MANY_CHANNELS = 2000, /* above this, fewer times are kept for each */
    FEW_TIMES = 16,
};

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
    uint64_t *sentAt; /* of the last sentSize messages; NULL before the first */
};

struct script {
    struct speech reader, publisher;
    struct bytes next;                 /* a poll's next request, sent when one is answered */
    struct bytes cursor[SLOTS];        /* headers of an answer that the next request repeats */
    struct bytes publish;              /* one message */
    struct bytes batch, line, between; /* many at once, where a server has that */
    struct bytes ack;                  /* in the answer to a publisher that speaks WS or RAW */
    struct bytes bystander;            /* a whole request of HTTP that publishes; see bystander.h */
    uint32_t channels, groups;
    struct channel *channel;
    struct group *group;
};

extern struct script script;
extern uint32_t sentSize; /* a power of two: with very many channels it is small */

/* One side of a conversation, as far as a script's text may name it. */
struct speaker {
    uint32_t number;
    const struct group *group;
    char *slot[SLOTS];
};

void readScript(const char *path);

/* Append a template to a buffer, with its percent signs filled in. */
void expand(struct bytes *out, const struct bytes *template, const struct speaker *of,
            uint32_t channel, const char *message, const struct bytes *batch);

#endif
