/*
 * A bystander: a client that is not part of the load, and how long it waits for
 * the server meanwhile.
 *
 * It publishes to a channel that has no readers, and waits for the answer; 5 ms
 * after that it does so again.  It runs in a thread of its own, since the load
 * generator is as busy as the server.  Its waits end when the kernel receives the
 * answer, not when the thread gets to run.
 */
#ifndef BYSTANDER_H
#define BYSTANDER_H

#include "histogram.h"

/* Note the waits until stopBystander in an empty histogram. */
void startBystander(const char *address, int port, struct histogram *waits);

/* Wait for the last answer.  A bystander that was not answered is a fault. */
void stopBystander(void);

#endif
