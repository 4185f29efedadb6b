/*
 * Publishing: messages with their numbers, over the publishers' connections.
 */
#ifndef PUBLISHING_H
#define PUBLISHING_H

#include "conversation.h"

extern uint64_t published, unanswered;
extern struct histogram answerTime;

/* Publish to the channels below this one, in turn. */
void useChannels(uint32_t count);

/* Publish so many messages, whose latency counts from the given time.  Each
 * publisher sends its share at once; where there are fewer messages than publishers,
 * the next ones send the next messages. */
void publish(uint32_t size, uint64_t time);

/* Publish one message to this channel. */
void publishTo(uint32_t channel, uint64_t time);

/* Let each publisher publish its next message when its last one is answered, from
 * now until stopLoops. */
void startLoops(void);
void stopLoops(void);

/* Note an answer to a publisher. */
void publisherAnswered(struct connection *of);

#endif
