/*
 * Non-blocking TCP sockets on one epoll.  What they receive goes to the two
 * functions that the owner gives to openSockets.
 */
#ifndef SOCKETS_H
#define SOCKETS_H

#include "bytes.h"
#include "tls.h"

#include <netinet/in.h>
#include <stdbool.h>

struct socket {
    int fd;              /* -1 before the connection and after it */
    uint32_t number;
    bool isPublisher, connected, isWriting;
    struct bytes out;    /* what the kernel did not take yet */
    struct tls *tls;     /* of the connected socket, where TLS is spoken */
    bool isShaking;      /* whether the handshake of TLS is under way */
};

extern struct traffic {
    uint64_t down, up, publishDown, publishUp;
} traffic;               /* bytes of the readers, and of the publisher */

/* Whether all sockets speak TLS; set it first. */
extern bool isEncrypted;

void openSockets(void (*connected)(struct socket *),
                 void (*received)(struct socket *, const char *data, size_t size));

/* Connect, from an address of the client's if one is given. */
void startSocket(struct socket *of, const struct sockaddr_in *to,
                 const struct sockaddr_in *from);
void say(struct socket *of, const void *data, size_t size);

/* Close a socket whose connection failed, and count the kind of error. */
void lose(struct socket *of, uint64_t *why);

/* Close with a reset, so that no address stays in use. */
void resetSocket(struct socket *of);

/* Wait for events, at most for so long, and handle them. */
void turn(int milliseconds);

#endif
