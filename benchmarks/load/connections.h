/*
 * All the connections: the readers' and the publisher's.
 */
#ifndef CONNECTIONS_H
#define CONNECTIONS_H

#include "conversation.h"

extern struct connection *readers; /* connectionCount of them, and the publisher behind them */
extern struct connection *publisher;
extern uint32_t connectionCount, startedCount;

/* Readers that come late are the last, and the last group is theirs. */
void setUpConnections(const char *address, int port, int publishPort, uint32_t early,
                      uint32_t late);
void startReader(void);
void startPublisher(void);
void resetAll(void);

#endif
