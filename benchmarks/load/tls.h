/*
 * TLS on a socket, from the client's side.  What comes is not verified: the server
 * is our own.  Compiled without WITH_TLS, all of it fails.
 */
#ifndef TLS_H
#define TLS_H

#include <stddef.h>
#include <sys/types.h>

struct tls; /* one session */

struct tls *beginTLS(int fd);
void endTLS(struct tls *of);

/* Go on with the handshake: 1 if it is done, 0 if it waits for the server, -1 if it
 * failed. */
int shakeHands(struct tls *of);

/* As recv() and send(): -1 with EAGAIN where nothing more is possible now. */
ssize_t receiveTLS(struct tls *of, void *data, size_t size);
ssize_t sendTLS(struct tls *of, const void *data, size_t size);

#endif
