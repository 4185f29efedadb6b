#include "publishing.h"

#include "connections.h"

uint64_t published, unanswered;
struct histogram answerTime;

static uint32_t nextChannel, usedChannels;
static uint64_t askedAt;

void useChannels(uint32_t count) {
    usedChannels = count;
}

static uint32_t newMessage(char *mark, uint64_t time) {
    uint32_t index = nextChannel;
    nextChannel = (nextChannel + 1) % usedChannels;
    struct channel *channel = &script.channel[index];
    channel->sentAt[channel->published % RING] = time;
    writeMark(mark, index, channel->published++);
    outstanding += channel->readers;
    published++;
    return index;
}

static void publishBatch(int size, uint64_t time) {
    static struct bytes lines, out;
    char mark[MARK_SIZE];
    clear(&lines);
    clear(&out);
    for (int i = 0; i < size; i++) {
        uint32_t channel = newMessage(mark, time);
        if (i)
            append(&lines, script.between.data, script.between.size);
        expand(&lines, &script.line, &publisher->speaker, channel, mark, NULL);
    }
    expand(&out, &script.batch, &publisher->speaker, 0, mark, &lines);
    unanswered++;
    say(&publisher->socket, out.data, out.size);
}

void publish(int size, uint64_t time) {
    static struct bytes out, one;
    char mark[MARK_SIZE];
    askedAt = time;
    if (size > 1 && script.batch.size) {
        publishBatch(size, time);
        return;
    }
    clear(&out);
    for (int i = 0; i < size; i++) {
        uint32_t channel = newMessage(mark, time);
        unanswered++;
        if (publisher->speech->framing != WS) {
            expand(&out, &script.publish, &publisher->speaker, channel, mark, NULL);
            continue;
        }
        clear(&one);
        expand(&one, &script.publish, &publisher->speaker, channel, mark, NULL);
        sayText(publisher, &one);
    }
    if (out.size)
        say(&publisher->socket, out.data, out.size);
}

void publishTo(uint32_t channel, uint64_t time) {
    nextChannel = channel;
    publish(1, time);
}

void publisherAnswered(void) {
    if (!unanswered)
        return;
    unanswered--;
    record(&answerTime, now() - askedAt);
}
