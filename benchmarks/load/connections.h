/*
 * All the connections: the readers' and the publishers'.
 */
#ifndef CONNECTIONS_H
#define CONNECTIONS_H

#include "conversation.h"

extern struct connection *readers, *publishers;
extern uint32_t connectionCount, startedCount; /* of the readers */
extern uint32_t publisherCount;

/* One address of the client has some 28,000 ports for one port of the server, so the
 * readers beyond so many come from the next addresses of loopback. */
extern uint32_t readersPerAddress;

/* Readers that come late are the last, and the last group is theirs. */
void setUpConnections(const char *address, int port, int publishPort, uint32_t early,
                      uint32_t late, uint32_t publishing);
void startReader(void);
void startPublishers(void);
void resetAll(void);

#endif
