#define _GNU_SOURCE
#include "conversation.h"

#include "faults.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

uint32_t readyCount, readyPublishers;

static uint64_t arrival; /* the time of what is being read */
static void (*whenPublisherAnswered)(struct connection *);

/* RFC 6455, section 5.3: a client masks its frames. */
void appendText(struct bytes *out, const struct connection *of, const struct bytes *text) {
    static struct bytes plain;
    static const char key[4] = {0x37, (char)0xfa, 0x21, 0x3d};
    clear(&plain);
    expand(&plain, text, &of->speaker, 0, "", NULL);
    unsigned char head[4] = {0x81, 0x80, 0, 0};
    if (plain.size > 65535)
        fail("a message of %zu bytes is too long", plain.size);
    if (plain.size < 126) {
        head[1] = (unsigned char)(0x80 | plain.size);
        append(out, head, 2);
    } else {
        head[1] = 0x80 | 126;
        head[2] = (unsigned char)(plain.size >> 8);
        head[3] = (unsigned char)plain.size;
        append(out, head, 4);
    }
    append(out, key, 4);
    for (size_t i = 0; i < plain.size; i++)
        plain.data[i] ^= key[i & 3];
    append(out, plain.data, plain.size);
}

/* Send a masked text frame; the text is a template. */
static void sayText(struct connection *of, const struct bytes *text) {
    static struct bytes frame;
    clear(&frame);
    appendText(&frame, of, text);
    say(&of->socket, frame.data, frame.size);
}

static void body(struct connection *of, const char *data, size_t size) {
    if (!of->ready)
        append(&of->heard, data, size);
    if (!of->socket.isPublisher)
        scan(&of->inbox, data, size, arrival);
}

/* Ask for what comes next, as a poll does that was answered. */
static void askNext(struct connection *of) {
    static struct bytes out;
    clear(&out);
    expand(&out, &script.next, &of->speaker, 0, "", NULL);
    say(&of->socket, out.data, out.size);
}

/* Note that an answer of HTTP, or a message of a WebSocket, is complete. */
static void ended(struct connection *of) {
    of->phase = of->speech->framing == HTTP ? PHASE_HEAD : of->phase;
    of->answers++;
    if (!of->ready)
        return;
    if (of->socket.isPublisher)
        whenPublisherAnswered(of);
    else if (script.next.size)
        askNext(of);
}

/* Find the value of a header; NULL if it is not there. */
static const char *header(const char *head, size_t size, const char *name, size_t *length) {
    size_t nameSize = strlen(name);
    const char *const end = head + size;
    for (const char *line = head; line < end;) {
        const char *next = memchr(line, '\n', (size_t)(end - line));
        if (!next)
            return NULL;
        if ((size_t)(next - line) > nameSize && line[nameSize] == ':'
            && !strncasecmp(line, name, nameSize)) {
            const char *value = line + nameSize + 1;
            while (*value == ' ')
                value++;
            *length = (size_t)(next - value) - (next[-1] == '\r');
            return value;
        }
        line = next + 1;
    }
    return NULL;
}

static void take(struct connection *of, int slot, const char *value, size_t size) {
    if (!of->speaker.slot[slot] || strlen(of->speaker.slot[slot]) < size)
        of->speaker.slot[slot] = need(realloc(of->speaker.slot[slot], size + 16));
    memcpy(of->speaker.slot[slot], value, size);
    of->speaker.slot[slot][size] = 0;
}

static void readHead(struct connection *of, const char *head, size_t size) {
    size_t length;
    const char *value;
    of->status = size > 12 ? (uint16_t)atoi(head + 9) : 0;
    if (!of->ready)
        append(&of->heard, head, size);
    if (of->status < 100 || of->status > 304 || (of->status > 204 && of->status < 304)) {
        fault("connection %u was answered: %.100s", of->speaker.number, head);
        lose(&of->socket, &errors.status);
        return;
    }
    for (int i = 0; i < SLOTS && !of->socket.isPublisher; i++)
        if (script.cursor[i].size
            && (value = header(head, size, script.cursor[i].data, &length))) {
            /* Without the quotes of an entity tag: a server may want it in a query. */
            bool isQuoted = length > 1 && value[0] == '"' && value[length - 1] == '"';
            take(of, i, value + isQuoted, length - 2 * isQuoted);
        }
    if (of->status == 101) {
        of->phase = PHASE_FRAME;
    } else if (of->status < 200 || of->status == 204 || of->status == 304) {
        ended(of);
    } else if ((value = header(head, size, "transfer-encoding", &length))
               && length == 7 && !strncasecmp(value, "chunked", 7)) {
        of->phase = PHASE_CHUNK;
    } else if ((value = header(head, size, "content-length", &length))) {
        of->left = strtoull(value, NULL, 10);
        of->phase = PHASE_LENGTH;
        if (!of->left)
            ended(of);
    } else {
        of->phase = PHASE_CLOSE;
    }
}

/* Take all up to a delimiter from what is held and what has come; NULL if the
 * delimiter is not there yet. */
static const char *upTo(struct connection *of, const char *delimiter, size_t width,
                        const char **data, size_t *size, size_t *length) {
    if (!of->held.size) {
        const char *end = memmem(*data, *size, delimiter, width);
        if (end) {
            const char *begin = *data;
            *length = (size_t)(end - begin) + width;
            *data += *length;
            *size -= *length;
            return begin;
        }
    }
    size_t before = of->held.size;
    append(&of->held, *data, *size);
    const char *end = memmem(of->held.data, of->held.size, delimiter, width);
    if (!end) {
        *size = 0;
        if (of->held.size > 65536) {
            fault("connection %u: a head that does not end", of->speaker.number);
            lose(&of->socket, &errors.protocol);
        }
        return NULL;
    }
    *length = (size_t)(end - of->held.data) + width;
    *data += *length - before;
    *size -= *length - before;
    clear(&of->held);
    return of->held.data;
}

/* RFC 6455, section 5.2: read the head of a frame; false if a part of it is
 * missing yet. */
static bool frame(struct connection *of, const char **data, size_t *size) {
    size_t wanted = 2;
    for (;;) {
        while (of->held.size < wanted && *size) {
            append(&of->held, (*data)++, 1);
            --*size;
        }
        if (of->held.size < wanted)
            return false;
        unsigned char second = (unsigned char)of->held.data[1];
        size_t whole = second == 126 ? 4 : second == 127 ? 10 : 2;
        if (second & 128) {
            fault("connection %u: the server masks its frames", of->speaker.number);
            lose(&of->socket, &errors.protocol);
            return false;
        }
        if (whole == wanted)
            break;
        wanted = whole;
    }
    of->left = 0;
    if (wanted == 2)
        of->left = (unsigned char)of->held.data[1];
    else
        for (size_t i = 2; i < wanted; i++)
            of->left = of->left << 8 | (unsigned char)of->held.data[i];
    of->opcode = (uint8_t)of->held.data[0];
    of->beginSize = 0;
    clear(&of->held);
    of->phase = PHASE_PAYLOAD;
    return true;
}

static void frameEnded(struct connection *of) {
    uint8_t kind = of->opcode & 15;
    of->phase = PHASE_FRAME;
    if (kind == 8) {
        fault("connection %u: the server closes the WebSocket", of->speaker.number);
        lose(&of->socket, &errors.closed);
    } else if (kind == 9) {
        /* RFC 6455, section 5.5.3, with a mask of zeros. */
        char pong[6] = {(char)0x8a, (char)0x80, 0, 0, 0, 0};
        pong[1] = (char)(0x80 | of->beginSize);
        say(&of->socket, pong, 6);
        say(&of->socket, of->begin, of->beginSize);
    } else if (kind < 3 && of->opcode & 128) {
        for (int i = 0; i < of->speech->replies; i++) {
            const struct bytes *prefix = &of->speech->reply[i].prefix;
            if (of->beginSize >= prefix->size && !memcmp(of->begin, prefix->data, prefix->size)) {
                sayText(of, &of->speech->reply[i].text);
                return;
            }
        }
        if (of->socket.isPublisher && of->ready && script.ack.size
            && !memmem(of->begin, of->beginSize, script.ack.data, script.ack.size)) {
            fault("the publisher was answered: %.*s", of->beginSize, of->begin);
            errors.status++;
        }
        ended(of);
    }
}

static void payload(struct connection *of, const char *data, size_t size) {
    if (of->beginSize < sizeof of->begin) {
        size_t more = sizeof of->begin - of->beginSize;
        more = more < size ? more : size;
        memcpy(of->begin + of->beginSize, data, more);
        of->beginSize = (uint8_t)(of->beginSize + more);
    }
    if ((of->opcode & 15) < 3)
        body(of, data, size);
}

/* RFC 9112, section 7.1: read the size of a chunk. */
static void chunk(struct connection *of, const char *line) {
    char *end;
    of->left = strtoull(line, &end, 16);
    if (end == line) {
        fault("connection %u: %.20s is no size of a chunk", of->speaker.number, line);
        lose(&of->socket, &errors.protocol);
    }
    /* The line end behind the data is read as part of it. */
    of->phase = of->left ? PHASE_DATA : PHASE_TRAILER;
    of->left += of->left ? 2 : 0;
}

static void countLines(struct connection *of, const char *data, size_t size) {
    for (const char *at = data; (at = memchr(at, '\n', size - (size_t)(at - data))); at++)
        ended(of);
}

static void spend(struct connection *of, const char **data, size_t *size) {
    size_t part = *size < of->left ? *size : (size_t)of->left;
    const char *from = *data;
    *data += part;
    *size -= part;
    of->left -= part;
    if (of->phase == PHASE_PAYLOAD) {
        payload(of, from, part);
        if (!of->left)
            frameEnded(of);
    } else if (of->phase == PHASE_LENGTH) {
        body(of, from, part);
        if (!of->left)
            ended(of);
    } else {
        size_t end = of->left < 2 ? 2 - (size_t)of->left : 0;
        if (part > end)
            body(of, from, part - end);
        if (!of->left)
            of->phase = PHASE_CHUNK;
    }
}

/* Read one piece of what has come: a head, a part of a body, a frame. */
static void piece(struct connection *of, const char **data, size_t *size) {
    const char *found;
    size_t length;
    switch ((enum phase)of->phase) {
    case PHASE_HEAD:
        if ((found = upTo(of, "\r\n\r\n", 4, data, size, &length)))
            readHead(of, found, length);
        break;
    case PHASE_CHUNK:
        if ((found = upTo(of, "\r\n", 2, data, size, &length)))
            chunk(of, found);
        break;
    case PHASE_TRAILER:
        if ((found = upTo(of, "\r\n", 2, data, size, &length)) && length == 2)
            ended(of);
        break;
    case PHASE_FRAME:
        if (frame(of, data, size) && !of->left)
            frameEnded(of);
        break;
    case PHASE_LENGTH:
    case PHASE_DATA:
    case PHASE_PAYLOAD:
        spend(of, data, size);
        break;
    case PHASE_CLOSE:
    case PHASE_RAW:
        found = *data;
        length = *size;
        *size = 0;
        body(of, found, length);
        if (of->phase == PHASE_RAW)
            countLines(of, found, length);
    }
}

static bool takeStep(struct connection *of, const struct step *step) {
    const char *begin = memmem(of->heard.data, of->heard.size, step->text.data, step->text.size);
    if (!begin)
        return false;
    begin += step->text.size;
    size_t rest = of->heard.size - (size_t)(begin - of->heard.data);
    const char *end = memmem(begin, rest, step->until.data, step->until.size);
    if (!end)
        return false;
    take(of, step->slot, begin, (size_t)(end - begin));
    return true;
}

/* Take the steps of the script that what the server said allows. */
static void step(struct connection *of) {
    static struct bytes out;
    while (of->step < of->speech->steps) {
        const struct step *step = &of->speech->step[of->step];
        if (step->verb == SEND || step->verb == TEXT) {
            of->answers = 0;
            clear(&of->heard);
            clear(&out);
            expand(&out, &step->text, &of->speaker, 0, "", NULL);
            of->step++;
            if (step->verb == TEXT)
                sayText(of, &step->text);
            else
                say(&of->socket, out.data, out.size);
            continue;
        }
        if (step->verb == AWAIT
            && !memmem(of->heard.data, of->heard.size, step->text.data, step->text.size))
            return;
        if (step->verb == END && !of->answers)
            return;
        if (step->verb == TAKE && !takeStep(of, step))
            return;
        of->step++;
    }
    of->ready = true;
    release(&of->heard);
    if (of->socket.isPublisher) {
        readyPublishers++;
        return;
    }
    readyCount++;
    /* If an endless answer is still under way, its end asks. */
    if (script.next.size && of->phase == PHASE_HEAD)
        askNext(of);
}

static void received(struct socket *socket, const char *data, size_t size) {
    struct connection *of = (struct connection *)socket;
    arrival = now();
    while (size && of->socket.fd >= 0) {
        piece(of, &data, &size);
        if (!of->ready && of->socket.fd >= 0)
            step(of);
    }
}

static void connected(struct socket *socket) {
    step((struct connection *)socket);
}

void openConversations(void (*publisherAnswered)(struct connection *)) {
    openSockets(connected, received);
    whenPublisherAnswered = publisherAnswered;
}

void setUpConversation(struct connection *of, uint32_t number, bool isPublisher, uint32_t group) {
    memset(of, 0, sizeof *of);
    of->socket.fd = -1;
    of->socket.number = of->speaker.number = number;
    of->socket.isPublisher = isPublisher;
    of->speaker.group = &script.group[group];
    of->speech = isPublisher ? &script.publisher : &script.reader;
    of->phase = of->speech->framing == RAW ? PHASE_RAW : PHASE_HEAD;
    if (!isPublisher)
        openInbox(&of->inbox, number, of->speaker.group);
}
