/*
 * Publishing: messages with their numbers, over the publisher's connection.
 */
#ifndef PUBLISHING_H
#define PUBLISHING_H

#include "histogram.h"

extern uint64_t published, unanswered;
extern struct histogram answerTime;

/* Publish to the channels below this one, in turn. */
void useChannels(uint32_t count);

/* Publish so many messages, whose latency counts from the given time. */
void publish(int size, uint64_t time);

/* Publish one message to this channel. */
void publishTo(uint32_t channel, uint64_t time);

/* Note an answer to the publisher. */
void publisherAnswered(void);

#endif
