/*
 * The floor: a server that does the least that a server can do.  One epoll, a
 * loop over send for each message, no limits, no timers, no access control, and
 * of HTTP and WebSocket only what the load generator says.  The messages
 * published in one turn go out together at its end; then the publishers are
 * answered.
 *
 *   GET /websocket/NAME   GET /longpoll/NAME   POST /pub/NAME
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MESSAGE = 128, HELD = 1024, CHANNELS = 4096, BUFFER = 1 << 18, EVENTS = 512 };

struct connection {
    int fd;
    bool isWaiting, isWebSocket;
    uint32_t inChannel; /* its index among the channel's readers */
    uint32_t answers;   /* to publications, not sent yet */
    struct channel *channel;
    struct connection *nextPublisher;
    char *held;         /* the part of a request that is there */
    uint32_t heldSize;
    uint64_t cursor;
};

struct channel {
    char name[64];
    uint64_t end, sent;
    uint32_t readers, capacity;
    struct connection **reader;
    struct channel *nextTouched;
    bool isTouched;
    uint8_t size[HELD];
    char message[HELD][MESSAGE];
};

static struct channel *channels[CHANNELS];
static struct channel *touched;
static struct connection *publishers;
static char out[HELD * (MESSAGE + 4) + 512];
static int poller;

static struct channel *find(const char *name, size_t size) {
    if (size >= sizeof channels[0]->name)
        size = sizeof channels[0]->name - 1;
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ (uint8_t)name[i]) * 16777619u;
    for (uint32_t i = hash % CHANNELS;; i = (i + 1) % CHANNELS) {
        if (!channels[i]) {
            channels[i] = calloc(1, sizeof **channels);
            memcpy(channels[i]->name, name, size);
        }
        if (!strncmp(channels[i]->name, name, size) && !channels[i]->name[size])
            return channels[i];
    }
}

static void join(struct connection *of, struct channel *channel) {
    if (channel->readers == channel->capacity) {
        channel->capacity = channel->capacity ? channel->capacity * 2 : 16;
        channel->reader = realloc(channel->reader, channel->capacity * sizeof of);
    }
    of->channel = channel;
    of->inChannel = channel->readers;
    of->isWaiting = true;
    channel->reader[channel->readers++] = of;
}

static void leave(struct connection *of) {
    if (!of->isWaiting)
        return;
    struct channel *channel = of->channel;
    channel->reader[of->inChannel] = channel->reader[--channel->readers];
    channel->reader[of->inChannel]->inChannel = of->inChannel;
    of->isWaiting = false;
}

/* Encode the messages after a cursor, as frames or as an answer to a poll. */
static size_t encode(const struct channel *channel, uint64_t from, bool isWebSocket) {
    size_t size = 0, total = 0;
    if (from + HELD < channel->end)
        from = channel->end - HELD;
    if (!isWebSocket) {
        for (uint64_t i = from; i < channel->end; i++)
            total += channel->size[i % HELD];
        size = (size_t)snprintf(out, 256,
                                "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\nETag: \"%llu\"\r\n\r\n",
                                total, (unsigned long long)channel->end);
    }
    for (uint64_t i = from; i < channel->end; i++) {
        uint8_t length = channel->size[i % HELD];
        if (isWebSocket) {
            out[size++] = (char)0x81;
            if (length > 125) {
                out[size++] = 126;
                out[size++] = 0;
            }
            out[size++] = (char)length;
        }
        memcpy(out + size, channel->message[i % HELD], length);
        size += length;
    }
    return size;
}

static void flushChannel(struct channel *channel) {
    size_t size = 0;
    int kind = -1; /* of reader: the kind for which it is encoded */
    /* From the end: a poll that is answered leaves. */
    for (uint32_t i = channel->readers; i--;) {
        struct connection *of = channel->reader[i];
        if (kind != of->isWebSocket) {
            kind = of->isWebSocket;
            size = encode(channel, channel->sent, of->isWebSocket);
        }
        if (send(of->fd, out, size, MSG_NOSIGNAL) < 0 && errno == EAGAIN)
            shutdown(of->fd, SHUT_RDWR); /* the floor has no buffers */
        if (!of->isWebSocket)
            leave(of);
    }
    channel->sent = channel->end;
    channel->isTouched = false;
}

static void flush(void) {
    static const char answer[] = "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n";
    for (; touched; touched = touched->nextTouched)
        flushChannel(touched);
    for (; publishers; publishers = publishers->nextPublisher) {
        size_t size = 0;
        for (; publishers->answers; publishers->answers--) {
            memcpy(out + size, answer, sizeof answer - 1);
            size += sizeof answer - 1;
        }
        send(publishers->fd, out, size, MSG_NOSIGNAL);
    }
}

static void publish(struct connection *of, struct channel *to, const char *data, size_t size) {
    size = size < MESSAGE ? size : MESSAGE;
    memcpy(to->message[to->end % HELD], data, size);
    to->size[to->end++ % HELD] = (uint8_t)size;
    if (!to->isTouched) {
        to->isTouched = true;
        to->nextTouched = touched;
        touched = to;
    }
    if (!of->answers++) {
        of->nextPublisher = publishers;
        publishers = of;
    }
}

static const char *header(const char *head, const char *end, const char *name) {
    size_t size = strlen(name);
    while (head && head + size < end) {
        if (!strncasecmp(head, name, size))
            return head + size;
        head = memchr(head, '\n', (size_t)(end - head));
        head += head != NULL;
    }
    return NULL;
}

static void subscribe(struct connection *of, struct channel *channel, const char *head,
                      const char *end, bool isWebSocket) {
    /* RFC 6455, section 1.3: its example of a key, and the answer to it. */
    static const char accept[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
    of->isWebSocket = isWebSocket;
    if (isWebSocket) {
        send(of->fd, accept, sizeof accept - 1, MSG_NOSIGNAL);
    } else {
        const char *cursor = header(head, end, "if-none-match: \"");
        uint64_t from = cursor ? strtoull(cursor, NULL, 10) : channel->sent;
        if (from < channel->sent) {
            size_t size = encode(channel, from, false);
            send(of->fd, out, size, MSG_NOSIGNAL);
            return;
        }
    }
    join(of, channel);
}

/* Answer one request.  Return its size, or 0 if it is not complete. */
static size_t request(struct connection *of, const char *data, size_t size) {
    const char *end = memmem(data, size, "\r\n\r\n", 4);
    if (!end)
        return 0;
    end += 4;
    const char *path = memchr(data, '/', size), *name = path ? strchr(path + 1, '/') : NULL;
    const char *behind = name && name < end ? memchr(name, ' ', (size_t)(end - name)) : NULL;
    if (!behind) {
        shutdown(of->fd, SHUT_RDWR);
        return size;
    }
    struct channel *channel = find(name + 1, (size_t)(behind - name - 1));
    if (*data == 'G') {
        subscribe(of, channel, data, end, !strncmp(path, "/websocket/", 11));
        return (size_t)(end - data);
    }
    const char *length = header(data, end, "content-length: ");
    size_t body = length ? strtoul(length, NULL, 10) : 0;
    if ((size_t)(end - data) + body > size)
        return 0;
    publish(of, channel, end, body);
    return (size_t)(end - data) + body;
}

static void heard(struct connection *of) {
    static char buffer[BUFFER + 1];
    memcpy(buffer, of->held, of->heldSize);
    ssize_t got = recv(of->fd, buffer + of->heldSize, BUFFER - of->heldSize, 0);
    if (got < 0 && errno == EAGAIN)
        return;
    if (got <= 0) {
        leave(of);
        close(of->fd);
        /* Not freed: it may be in this turn's list of publishers. */
        of->fd = -1;
        return;
    }
    size_t size = of->heldSize + (size_t)got, at = 0, used;
    buffer[size] = 0;
    while (!of->isWebSocket && at < size && (used = request(of, buffer + at, size - at)))
        at += used;
    of->heldSize = of->isWebSocket ? 0 : (uint32_t)(size - at);
    if (of->heldSize) {
        of->held = realloc(of->held, of->heldSize);
        memcpy(of->held, buffer + at, of->heldSize);
    }
}

static void admit(int listener) {
    const int yes = 1;
    int fd;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct connection *of = calloc(1, sizeof *of);
        of->fd = fd;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = of};
        epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event);
    }
}

int main(int count, char **words) {
    const int yes = 1;
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)atoi(count > 1 ? words[1] : "0")),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 4096)) {
        perror("floor");
        return 1;
    }
    poller = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL}, events[EVENTS];
    epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int happened = epoll_wait(poller, events, EVENTS, -1);
        for (int i = 0; i < happened; i++) {
            if (events[i].data.ptr)
                heard(events[i].data.ptr);
            else
                admit(listener);
        }
        flush();
    }
}
