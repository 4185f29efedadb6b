#define _GNU_SOURCE
#include "sockets.h"

#include "faults.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BUFFER = 1 << 18, EVENTS = 512 };

struct traffic traffic;
bool isEncrypted;

static int poller;
static void (*whenConnected)(struct socket *);
static void (*whenReceived)(struct socket *, const char *, size_t);

void openSockets(void (*connected)(struct socket *),
                 void (*received)(struct socket *, const char *, size_t)) {
    poller = epoll_create1(EPOLL_CLOEXEC);
    whenConnected = connected;
    whenReceived = received;
}

static void arm(struct socket *of, int operation, uint32_t events) {
    struct epoll_event event = {.events = events, .data.ptr = of};
    if (epoll_ctl(poller, operation, of->fd, &event))
        fail("epoll_ctl: %s", strerror(errno));
}

void lose(struct socket *of, uint64_t *why) {
    if (of->fd < 0)
        return;
    ++*why;
    if (of->isPublisher)
        fault("the publisher's connection ended");
    else
        fault("the connection of reader %u ended", of->number);
    endTLS(of->tls);
    of->tls = NULL;
    close(of->fd);
    of->fd = -1;
}

static ssize_t transmit(struct socket *of, const void *data, size_t size) {
    return of->tls ? sendTLS(of->tls, data, size) : send(of->fd, data, size, MSG_NOSIGNAL);
}

static void count(const struct socket *of, ssize_t down, ssize_t up) {
    *(of->isPublisher ? &traffic.publishDown : &traffic.down) += (uint64_t)down;
    *(of->isPublisher ? &traffic.publishUp : &traffic.up) += (uint64_t)up;
}

void say(struct socket *of, const void *data, size_t size) {
    if (of->fd < 0)
        return;
    if (!of->out.size) {
        ssize_t sent = transmit(of, data, size);
        if (sent < 0 && errno != EAGAIN) {
            lose(of, &errors.reset);
            return;
        }
        if (sent > 0) {
            count(of, 0, sent);
            data = (const char *)data + sent;
            size -= (size_t)sent;
        }
    }
    append(&of->out, data, size);
    if (of->out.size && !of->isWriting) {
        of->isWriting = true;
        arm(of, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
    }
}

void startSocket(struct socket *of, const struct sockaddr_in *to,
                 const struct sockaddr_in *from) {
    const int yes = 1;
    of->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (of->fd < 0)
        fail("socket: %s", strerror(errno));
    setsockopt(of->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    if (from) {
        /* The port is chosen by connect(), which knows where to. */
        setsockopt(of->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof yes);
        if (bind(of->fd, (const struct sockaddr *)from, sizeof *from))
            fail("bind: %s", strerror(errno));
    }
    if (connect(of->fd, (const struct sockaddr *)to, sizeof *to) && errno != EINPROGRESS) {
        epoll_ctl(poller, EPOLL_CTL_DEL, of->fd, NULL);
        fault("connect: %s", strerror(errno));
        lose(of, &errors.connect);
        return;
    }
    arm(of, EPOLL_CTL_ADD, EPOLLOUT);
}

static void shake(struct socket *of) {
    const int result = shakeHands(of->tls);
    if (result < 0) {
        fault("the handshake of TLS failed");
        lose(of, &errors.connect);
    } else if (result) {
        of->isShaking = false;
        whenConnected(of);
    }
}

static void writable(struct socket *of) {
    if (!of->connected) {
        int error = 0;
        socklen_t size = sizeof error;
        getsockopt(of->fd, SOL_SOCKET, SO_ERROR, &error, &size);
        if (error) {
            fault("connect: %s", strerror(error));
            lose(of, &errors.connect);
            return;
        }
        of->connected = true;
        arm(of, EPOLL_CTL_MOD, EPOLLIN);
        if (isEncrypted) {
            of->tls = beginTLS(of->fd);
            of->isShaking = true;
            shake(of);
        } else {
            whenConnected(of);
        }
        return;
    }
    ssize_t sent = transmit(of, of->out.data, of->out.size);
    if (sent < 0 && errno != EAGAIN) {
        lose(of, &errors.reset);
        return;
    }
    if (sent <= 0)
        return;
    count(of, 0, sent);
    of->out.size -= (size_t)sent;
    memmove(of->out.data, of->out.data + sent, of->out.size);
    if (!of->out.size) {
        of->isWriting = false;
        arm(of, EPOLL_CTL_MOD, EPOLLIN);
    }
}

/* Receive once.  Return whether there may be more that epoll does not tell of: the
 * kernel has given it to TLS already. */
static bool receive(struct socket *of) {
    static char buffer[BUFFER];
    ssize_t size = of->tls ? receiveTLS(of->tls, buffer, sizeof buffer)
                           : recv(of->fd, buffer, sizeof buffer, 0);
    if (size > 0) {
        count(of, size, 0);
        whenReceived(of, buffer, (size_t)size);
    } else if (size == 0) {
        lose(of, &errors.closed);
    } else if (errno != EAGAIN && errno != EINTR) {
        fault("recv: %s", strerror(errno));
        lose(of, &errors.reset);
    }
    return size > 0 && of->tls;
}

static void readable(struct socket *of) {
    if (of->isShaking)
        shake(of);
    if (!of->isShaking)
        while (of->fd >= 0 && receive(of))
            ;
}

void turn(int milliseconds) {
    static struct epoll_event events[EVENTS];
    int count = epoll_wait(poller, events, EVENTS, milliseconds);
    for (int i = 0; i < count; i++) {
        struct socket *of = events[i].data.ptr;
        if (of->fd >= 0 && events[i].events & EPOLLOUT)
            writable(of);
        if (of->fd >= 0 && events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
            readable(of);
    }
}

void resetSocket(struct socket *of) {
    const struct linger hard = {.l_onoff = 1, .l_linger = 0};
    if (of->fd < 0)
        return;
    setsockopt(of->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    endTLS(of->tls);
    of->tls = NULL;
    close(of->fd);
    of->fd = -1;
}
