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
    close(of->fd);
    of->fd = -1;
}

static void count(const struct socket *of, ssize_t down, ssize_t up) {
    *(of->isPublisher ? &traffic.publishDown : &traffic.down) += (uint64_t)down;
    *(of->isPublisher ? &traffic.publishUp : &traffic.up) += (uint64_t)up;
}

void say(struct socket *of, const void *data, size_t size) {
    if (of->fd < 0)
        return;
    if (!of->out.size) {
        ssize_t sent = send(of->fd, data, size, MSG_NOSIGNAL);
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

void startSocket(struct socket *of, const struct sockaddr_in *to) {
    const int yes = 1;
    of->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (of->fd < 0)
        fail("socket: %s", strerror(errno));
    setsockopt(of->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    if (connect(of->fd, (const struct sockaddr *)to, sizeof *to) && errno != EINPROGRESS) {
        epoll_ctl(poller, EPOLL_CTL_DEL, of->fd, NULL);
        fault("connect: %s", strerror(errno));
        lose(of, &errors.connect);
        return;
    }
    arm(of, EPOLL_CTL_ADD, EPOLLOUT);
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
        whenConnected(of);
        return;
    }
    ssize_t sent = send(of->fd, of->out.data, of->out.size, MSG_NOSIGNAL);
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

static void readable(struct socket *of) {
    static char buffer[BUFFER];
    ssize_t size = recv(of->fd, buffer, sizeof buffer, 0);
    if (size > 0) {
        count(of, size, 0);
        whenReceived(of, buffer, (size_t)size);
    } else if (size == 0) {
        lose(of, &errors.closed);
    } else if (errno != EAGAIN && errno != EINTR) {
        fault("recv: %s", strerror(errno));
        lose(of, &errors.reset);
    }
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
    close(of->fd);
    of->fd = -1;
}
