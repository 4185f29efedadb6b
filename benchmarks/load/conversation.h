/*
 * The conversation of one connection with the server: HTTP/1.1, WebSocket
 * frames or plain bytes are read; the steps of the script are said until the
 * connection is ready, and from then on what a poll asks next.
 */
#ifndef CONVERSATION_H
#define CONVERSATION_H

#include "check.h"
#include "sockets.h"

/* Where a connection is in what the server says. */
enum phase { PHASE_HEAD, PHASE_LENGTH, PHASE_CHUNK, PHASE_DATA, PHASE_TRAILER, PHASE_CLOSE,
             PHASE_FRAME, PHASE_PAYLOAD, PHASE_RAW };

struct connection {
    struct socket socket; /* the first member: a socket's address is its connection's */
    struct speaker speaker;
    struct inbox inbox;   /* of a reader only */
    const struct speech *speech;
    bool ready;
    uint8_t step, phase, opcode, beginSize;
    uint16_t status;
    uint64_t left;
    uint64_t answers;
    uint64_t askedAt;     /* when a publisher's last messages were due */
    struct bytes held;    /* the part of a head or of a chunk's size that is there */
    struct bytes heard;   /* all that the server said until the connection was ready */
    char begin[64];       /* how the message that is arriving begins */
};

extern uint32_t readyCount, readyPublishers; /* of readers, and of publishers */

/* Open what conversations need; the function is called for each answer to a
 * publisher. */
void openConversations(void (*publisherAnswered)(struct connection *));

void setUpConversation(struct connection *of, uint32_t number, bool isPublisher, uint32_t group);

/* Append a masked text frame to what is to be sent; the text is a template. */
void appendText(struct bytes *out, const struct connection *of, const struct bytes *text);

#endif
