#define _GNU_SOURCE
#include "script.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct script script;
uint32_t sentSize = RING;

enum { MAX_WORDS = 5 };

static char *unescape(char *in, size_t *size) {
    char *out = in;
    char *const begin = in;
    while (*in) {
        char c = *in++;
        if (c == '\\' && *in) {
            c = *in++;
            if (c == 'n') c = '\n';
            else if (c == 'r') c = '\r';
            else if (c == 't') c = '\t';
            else if (c == 'x' && in[0] && in[1]) {
                char digits[3] = {in[0], in[1], 0};
                c = (char)strtol(digits, NULL, 16);
                in += 2;
            }
        }
        *out++ = c;
    }
    *size = (size_t)(out - begin);
    return begin;
}

static struct bytes copy(const struct bytes *word) {
    struct bytes own = {0};
    append(&own, word->data, word->size);
    append(&own, "", 1); /* a NUL behind it, to print and search it as a string */
    own.size--;
    return own;
}

static uint32_t number(const struct bytes *word) {
    char *end;
    unsigned long value = strtoul(word->data, &end, 10);
    if (end == word->data || value > 10000000)
        fail("%s is no number that is allowed in a script", word->data);
    return (uint32_t)value;
}

static bool is(const struct bytes *word, const char *what) {
    return word->size == strlen(what) && !memcmp(word->data, what, word->size);
}

static void readFraming(struct speech *speech, const struct bytes *word) {
    speech->framing = is(word, "ws") ? WS : is(word, "http") ? HTTP : RAW;
}

static void readStep(struct speech *speech, struct bytes *words, int count) {
    static const char *const verbs[] = {"send", "text", "await", "end", "take"};
    if (speech->steps == MAX_STEPS)
        fail("a script has too many steps");
    struct step *step = &speech->step[speech->steps++];
    int verb = 0;
    while (verb < 5 && !is(&words[1], verbs[verb]))
        verb++;
    if (verb == 5)
        fail("%s is no step", words[1].data);
    step->verb = (enum verb)verb;
    if (step->verb == TAKE) {
        if (count < 5)
            fail("a take needs a slot, and the texts before and behind the value");
        step->slot = (int)number(&words[2]) % SLOTS;
        step->text = copy(&words[3]);
        step->until = copy(&words[4]);
    } else if (count > 2) {
        step->text = copy(&words[2]);
    }
}

static void readReply(struct speech *speech, struct bytes *words) {
    if (speech->replies == MAX_REPLIES)
        fail("a script has too many replies");
    struct reply *reply = &speech->reply[speech->replies++];
    reply->prefix = copy(&words[1]);
    reply->text = copy(&words[2]);
}

static void *another(void *array, uint32_t count, size_t size) {
    if (count & (count - 1))
        return array;
    return need(realloc(array, (count ? (size_t)count * 2 : 1) * size));
}

static void readGroup(struct bytes *words) {
    script.group = another(script.group, script.groups, sizeof *script.group);
    script.group[script.groups++] =
        (struct group){number(&words[1]), number(&words[2]), copy(&words[3])};
}

static void readChannel(struct bytes *words) {
    script.channel = another(script.channel, script.channels, sizeof *script.channel);
    struct channel *channel = &script.channel[script.channels++];
    memset(channel, 0, sizeof *channel);
    channel->name = copy(&words[1]);
}

static void readLine(struct bytes *words, int count) {
    const struct bytes *first = &words[0];
    if (is(first, "framing")) readFraming(&script.reader, &words[1]);
    else if (is(first, "step")) readStep(&script.reader, words, count);
    else if (is(first, "reply")) readReply(&script.reader, words);
    else if (is(first, "next")) script.next = copy(&words[1]);
    else if (is(first, "cursor")) script.cursor[number(&words[1]) % SLOTS] = copy(&words[2]);
    else if (is(first, "publisher")) readFraming(&script.publisher, &words[1]);
    else if (is(first, "pstep")) readStep(&script.publisher, words, count);
    else if (is(first, "preply")) readReply(&script.publisher, words);
    else if (is(first, "publish")) script.publish = copy(&words[1]);
    else if (is(first, "batch")) script.batch = copy(&words[1]);
    else if (is(first, "line")) script.line = copy(&words[1]);
    else if (is(first, "between")) script.between = copy(&words[1]);
    else if (is(first, "ack")) script.ack = copy(&words[1]);
    else if (is(first, "bystander")) script.bystander = copy(&words[1]);
    else if (is(first, "channel")) readChannel(words);
    else if (is(first, "group")) readGroup(words);
    else fail("%s is no line of a script", first->data);
}

void readScript(const char *path) {
    FILE *file = fopen(path, "r");
    if (!file)
        fail("%s cannot be read", path);
    char *line = NULL;
    size_t capacity = 0;
    ssize_t length;
    while ((length = getline(&line, &capacity, file)) > 0) {
        if (line[length - 1] == '\n')
            line[length - 1] = 0;
        struct bytes words[MAX_WORDS] = {0};
        int count = 0;
        for (char *at = line; at && count < MAX_WORDS; count++) {
            char *tab = strchr(at, '\t');
            if (tab)
                *tab++ = 0;
            words[count].data = unescape(at, &words[count].size);
            words[count].data[words[count].size] = 0;
            at = tab;
        }
        for (int i = count; i < MAX_WORDS; i++)
            words[i].data = "";
        if (count > 0 && words[0].size)
            readLine(words, count);
    }
    free(line);
    fclose(file);
    for (uint32_t i = 0; i < script.groups; i++)
        if (script.group[i].first >= script.channels || script.group[i].span > script.channels)
            fail("group %u reads channels that do not exist", i);
    sentSize = script.channels > MANY_CHANNELS ? FEW_TIMES : RING;
    if (!script.channels || !script.groups)
        fail("a script needs a channel and a group");
}

static void expandInto(struct bytes *out, const char *from, size_t size,
                       const struct speaker *of, uint32_t channel, const char *message,
                       const struct bytes *batch, size_t length) {
    const char *const end = from + size;
    while (from < end) {
        const char *percent = memchr(from, '%', (size_t)(end - from));
        if (!percent || percent + 1 == end) {
            append(out, from, (size_t)(end - from));
            return;
        }
        append(out, from, (size_t)(percent - from));
        from = percent + 2;
        char text[24];
        switch (percent[1]) {
        case 'N':
            append(out, of->group->names.data, of->group->names.size);
            break;
        case 'C':
            append(out, script.channel[channel].name.data, script.channel[channel].name.size);
            break;
        case 'M':
            append(out, message, MARK_SIZE);
            break;
        case 'B':
            append(out, batch->data, batch->size);
            break;
        case 'R':
            append(out, text, (size_t)snprintf(text, sizeof text, "%u", of->number));
            break;
        case 'L':
            append(out, text, (size_t)snprintf(text, sizeof text, "%zu", length));
            break;
        case '0': case '1': case '2': case '3':
            if (of->slot[percent[1] - '0'])
                append(out, of->slot[percent[1] - '0'], strlen(of->slot[percent[1] - '0']));
            break;
        default:
            append(out, percent + 1, 1);
        }
    }
}

void expand(struct bytes *out, const struct bytes *template, const struct speaker *of,
            uint32_t channel, const char *message, const struct bytes *batch) {
    const char *body = memmem(template->data, template->size, "\r\n\r\n", 4);
    if (!body || !memmem(template->data, template->size, "%L", 2)) {
        expandInto(out, template->data, template->size, of, channel, message, batch, 0);
        return;
    }
    static struct bytes text;
    size_t head = (size_t)(body + 4 - template->data);
    clear(&text);
    expandInto(&text, template->data + head, template->size - head, of, channel, message, batch, 0);
    expandInto(out, template->data, head, of, channel, message, batch, text.size);
    append(out, text.data, text.size);
}
