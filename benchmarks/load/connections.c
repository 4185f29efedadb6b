/*
 * The sockets of the readers and of the publisher, and the wait for them.
 */
#define _GNU_SOURCE
#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BUFFER = 1 << 18, EVENTS = 512 };

struct connection *connections;
uint32_t connectionCount, readyCount, startedCount;
uint64_t bytesDown, bytesUp, publishDown, publishUp;
struct errors errors;

static int poller;
static struct sockaddr_in server, publishing;

static void arm(struct connection *of, int operation, uint32_t events) {
    struct epoll_event event = {.events = events, .data.ptr = of};
    if (epoll_ctl(poller, operation, of->fd, &event))
        fail("epoll_ctl: %s", strerror(errno));
}

void lose(struct connection *of, uint64_t *why) {
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

static void count(const struct connection *of, ssize_t down, ssize_t up) {
    *(of->isPublisher ? &publishDown : &bytesDown) += (uint64_t)down;
    *(of->isPublisher ? &publishUp : &bytesUp) += (uint64_t)up;
}

void say(struct connection *of, const void *data, size_t size) {
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

/* RFC 6455, section 5.3: what a client sends is masked. */
void sayText(struct connection *of, const struct bytes *text) {
    static struct bytes plain, frame;
    static const char key[4] = {0x37, (char)0xfa, 0x21, 0x3d};
    clear(&plain);
    clear(&frame);
    expand(&plain, text, of, 0, "", NULL);
    unsigned char head[4] = {0x81, 0x80, 0, 0};
    if (plain.size > 65535)
        fail("a message of %zu bytes is too long", plain.size);
    if (plain.size < 126) {
        head[1] = (unsigned char)(0x80 | plain.size);
        append(&frame, head, 2);
    } else {
        head[1] = 0x80 | 126;
        head[2] = (unsigned char)(plain.size >> 8);
        head[3] = (unsigned char)plain.size;
        append(&frame, head, 4);
    }
    append(&frame, key, 4);
    for (size_t i = 0; i < plain.size; i++)
        plain.data[i] ^= key[i & 3];
    append(&frame, plain.data, plain.size);
    say(of, frame.data, frame.size);
}

void startConnection(struct connection *of) {
    const int yes = 1;
    const struct sockaddr_in *to = of->isPublisher ? &publishing : &server;
    of->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (of->fd < 0)
        fail("socket: %s", strerror(errno));
    setsockopt(of->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    startedCount += !of->isPublisher;
    if (connect(of->fd, (const struct sockaddr *)to, sizeof *to) && errno != EINPROGRESS) {
        epoll_ctl(poller, EPOLL_CTL_DEL, of->fd, NULL);
        fault("connect: %s", strerror(errno));
        lose(of, &errors.connect);
        return;
    }
    arm(of, EPOLL_CTL_ADD, EPOLLOUT);
}

static void setUp(struct connection *of, uint32_t number, bool isPublisher, uint32_t group) {
    memset(of, 0, sizeof *of);
    of->fd = -1;
    of->number = number;
    of->isPublisher = isPublisher;
    of->speech = isPublisher ? &script.publisher : &script.reader;
    of->phase = of->speech->framing == RAW ? PHASE_RAW : PHASE_HEAD;
    of->group = &script.group[group];
    if (isPublisher)
        return;
    of->expected = need(calloc(of->group->span, sizeof *of->expected));
    for (uint32_t i = 0; i < of->group->span; i++)
        script.channel[(of->group->first + i) % script.channels].readers++;
}

/* The publisher is the last of all; where some come late, the last group is
 * theirs. */
void openConnections(const char *address, int port, int publishPort, uint32_t readers,
                     uint32_t late) {
    server.sin_family = publishing.sin_family = AF_INET;
    server.sin_port = htons((uint16_t)port);
    publishing.sin_port = htons((uint16_t)publishPort);
    if (inet_pton(AF_INET, address, &server.sin_addr) != 1)
        fail("%s is no address", address);
    publishing.sin_addr = server.sin_addr;
    poller = epoll_create1(EPOLL_CLOEXEC);
    connectionCount = readers + late;
    connections = need(calloc(connectionCount + 1, sizeof *connections));
    uint32_t groups = late ? script.groups - 1 : script.groups;
    if (!groups)
        fail("those that come late need a group of their own");
    for (uint32_t i = 0; i < connectionCount; i++)
        setUp(&connections[i], i, false, i < readers ? i % groups : groups);
    setUp(&connections[connectionCount], connectionCount, true, 0);
}

static void writable(struct connection *of) {
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
        step(of);
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

static void readable(struct connection *of) {
    static char buffer[BUFFER];
    ssize_t size = recv(of->fd, buffer, sizeof buffer, 0);
    if (size > 0) {
        count(of, size, 0);
        arrival = now();
        heard(of, buffer, (size_t)size);
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
        struct connection *of = events[i].data.ptr;
        if (of->fd >= 0 && events[i].events & EPOLLOUT)
            writable(of);
        if (of->fd >= 0 && events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
            readable(of);
    }
}

/* With a reset, so that no address stays in use. */
void closeAll(void) {
    const struct linger hard = {.l_onoff = 1, .l_linger = 0};
    for (uint32_t i = 0; i <= connectionCount; i++) {
        if (connections[i].fd < 0)
            continue;
        setsockopt(connections[i].fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
        close(connections[i].fd);
    }
}
