#include "publishing.h"

#include "connections.h"

#include <stdlib.h>

uint64_t published, unanswered;
struct histogram answerTime;

static uint32_t nextChannel, usedChannels, nextPublisher;
static bool isLooping;

void useChannels(uint32_t count) {
    usedChannels = count;
}

static uint32_t newMessage(char *mark, uint64_t time) {
    uint32_t index = nextChannel;
    nextChannel = (nextChannel + 1) % usedChannels;
    struct channel *channel = &script.channel[index];
    if (!channel->sentAt)
        channel->sentAt = need(calloc(sentSize, sizeof *channel->sentAt));
    channel->sentAt[channel->published % sentSize] = time;
    writeMark(mark, index, channel->published++);
    outstanding += channel->readers;
    published++;
    return index;
}

static void publishBatch(struct connection *from, uint32_t size, uint64_t time) {
    static struct bytes lines, out;
    char mark[MARK_SIZE];
    clear(&lines);
    clear(&out);
    for (uint32_t i = 0; i < size; i++) {
        uint32_t channel = newMessage(mark, time);
        if (i)
            append(&lines, script.between.data, script.between.size);
        expand(&lines, &script.line, &from->speaker, channel, mark, NULL);
    }
    expand(&out, &script.batch, &from->speaker, 0, mark, &lines);
    unanswered++;
    say(&from->socket, out.data, out.size);
}

/* Publish over one connection: all messages in one write. */
static void publishFrom(struct connection *from, uint32_t size, uint64_t time) {
    static struct bytes out, one;
    char mark[MARK_SIZE];
    from->askedAt = time;
    if (size > 1 && script.batch.size) {
        publishBatch(from, size, time);
        return;
    }
    clear(&out);
    for (uint32_t i = 0; i < size; i++) {
        uint32_t channel = newMessage(mark, time);
        unanswered++;
        if (from->speech->framing != WS) {
            expand(&out, &script.publish, &from->speaker, channel, mark, NULL);
            continue;
        }
        clear(&one);
        expand(&one, &script.publish, &from->speaker, channel, mark, NULL);
        appendText(&out, from, &one);
    }
    say(&from->socket, out.data, out.size);
}

void publish(uint32_t size, uint64_t time) {
    uint32_t first = size < publisherCount ? nextPublisher : 0;
    for (uint32_t i = 0; i < publisherCount && i < size; i++)
        publishFrom(&publishers[(first + i) % publisherCount],
                    size / publisherCount + (i < size % publisherCount), time);
    nextPublisher = (first + size) % publisherCount;
}

void publishTo(uint32_t channel, uint64_t time) {
    nextChannel = channel;
    publish(1, time);
}

void startLoops(void) {
    isLooping = true;
    publish(publisherCount, now());
}

void stopLoops(void) {
    isLooping = false;
}

void publisherAnswered(struct connection *of) {
    if (!unanswered)
        return;
    unanswered--;
    record(&answerTime, now() - of->askedAt);
    if (isLooping)
        publishFrom(of, 1, now());
}
