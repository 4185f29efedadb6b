/*
 * load SCRIPT name=value ...
 *
 * Connects the readers, publishes to them in one of several ways, and writes
 * what it saw as one line of JSON.  Exits with 0 if every message reached
 * each of its readers once and in order, with 1 if not, with 2 if it could
 * not work at all.
 */
#define _GNU_SOURCE
#include "load.h"

#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static struct {
    const char *address, *pids, *mode;
    double port, publishPort, core, readers, late, batch, rate, warmup, seconds, wave, queue, patience;
} options = {
    .address = "127.0.0.1", .pids = "", .mode = "closed", .core = -1, .readers = 10, .batch = 1,
    .rate = 50, .warmup = 0.5, .seconds = 2, .wave = 200, .queue = 3000, .patience = 10,
};

static const struct {
    const char *name;
    const char **text;
    double *number;
} names[] = {
    {"address", &options.address, NULL},       {"pids", &options.pids, NULL},
    {"mode", &options.mode, NULL},             {"port", NULL, &options.port},
    {"publish-port", NULL, &options.publishPort}, {"core", NULL, &options.core},
    {"readers", NULL, &options.readers},       {"late", NULL, &options.late},
    {"batch", NULL, &options.batch},           {"rate", NULL, &options.rate},
    {"warmup", NULL, &options.warmup},         {"seconds", NULL, &options.seconds},
    {"wave", NULL, &options.wave},             {"queue", NULL, &options.queue},
    {"patience", NULL, &options.patience},
};

static uint32_t nextChannel, usedChannels;
static uint64_t unanswered, published, askedAt, lastProgress, progress;
static struct histogram answerTime;
static double stormSeconds;
static uint64_t stormStart;

static void readOptions(int count, char **words) {
    for (int i = 0; i < count; i++) {
        char *value = strchr(words[i], '=');
        size_t known = sizeof names / sizeof *names, which = 0;
        if (value)
            *value++ = 0;
        while (which < known && strcmp(names[which].name, words[i]))
            which++;
        if (!value || which == known)
            fail("%s is no option; name=value is needed", words[i]);
        if (names[which].text)
            *names[which].text = value;
        else
            *names[which].number = atof(value);
    }
}

static bool is(const char *mode) {
    return !strcmp(options.mode, mode);
}

/* ---- publishing --------------------------------------------------------- */

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

static void publishBatch(struct connection *publisher, int size, uint64_t time) {
    static struct bytes lines, out;
    char mark[MARK_SIZE];
    clear(&lines);
    clear(&out);
    for (int i = 0; i < size; i++) {
        uint32_t channel = newMessage(mark, time);
        if (i)
            append(&lines, script.between.data, script.between.size);
        expand(&lines, &script.line, publisher, channel, mark, NULL);
    }
    expand(&out, &script.batch, publisher, 0, mark, &lines);
    unanswered++;
    say(publisher, out.data, out.size);
}

static void publish(int size, uint64_t time) {
    static struct bytes out, one;
    struct connection *publisher = &connections[connectionCount];
    char mark[MARK_SIZE];
    askedAt = time;
    if (size > 1 && script.batch.size) {
        publishBatch(publisher, size, time);
        return;
    }
    clear(&out);
    for (int i = 0; i < size; i++) {
        uint32_t channel = newMessage(mark, time);
        unanswered++;
        if (publisher->speech->framing != WS) {
            expand(&out, &script.publish, publisher, channel, mark, NULL);
            continue;
        }
        clear(&one);
        expand(&one, &script.publish, publisher, channel, mark, NULL);
        sayText(publisher, &one);
    }
    if (out.size)
        say(publisher, out.data, out.size);
}

void answered(struct connection *of) {
    static struct bytes out;
    if (of->isPublisher) {
        if (!unanswered)
            return;
        unanswered--;
        record(&answerTime, now() - askedAt);
    } else if (script.next.size) {
        clear(&out);
        expand(&out, &script.next, of, 0, "", NULL);
        say(of, out.data, out.size);
    }
}

/* ---- waiting -------------------------------------------------------------- */

/* Whether nothing has happened for so long that nothing will. */
static bool isStuck(void) {
    uint64_t seen = tally.deliveries + answerTime.count + readyCount + startedCount;
    uint64_t time = now();
    if (seen != progress || !lastProgress) {
        progress = seen;
        lastProgress = time;
    }
    return (double)(time - lastProgress) > options.patience * 1e9;
}

static void connectAll(uint32_t upTo) {
    lastProgress = 0;
    while (readyCount < upTo) {
        while (startedCount < upTo && startedCount - readyCount < (uint32_t)options.wave)
            startConnection(&connections[startedCount]);
        turn(100);
        if (isStuck() || errors.connect || errors.reset || errors.closed)
            fail("%u of %u readers are connected, and no more: %s", readyCount, upTo, firstFault);
    }
}

static void connectPublisher(void) {
    struct connection *publisher = &connections[connectionCount];
    lastProgress = 0;
    startConnection(publisher);
    while (!publisher->ready) {
        turn(100);
        if (isStuck() || publisher->fd < 0)
            fail("the publisher does not get through: %s", firstFault);
    }
}

static void drain(void) {
    lastProgress = 0;
    while ((outstanding > 0 || unanswered) && !isStuck())
        turn(100);
}

/* As fast as they can, but no more than the server's queue holds: one that
 * finds it full is dropped by the system and comes again a second later, and
 * that second would be all that is measured. */
static void storm(void) {
    if (!stormStart)
        stormStart = now();
    for (int i = 0; i < 32 && startedCount < connectionCount
         && startedCount - readyCount < (uint32_t)options.queue; i++)
        startConnection(&connections[startedCount]);
}

/* A storm breaks out when a quarter of the time is over. */
static void runPaced(uint64_t end) {
    uint64_t interval = (uint64_t)(1e9 / options.rate), due = now(), begin = due;
    lastProgress = 0;
    while (!isStuck()) {
        uint64_t time = now();
        if (time >= end && (readyCount >= connectionCount || !is("storm")))
            return;
        for (; due <= time && due < end; due += interval)
            publish(1, due);
        if (is("storm") && time > begin + (end - begin) / 4)
            storm();
        turn(startedCount < connectionCount && stormStart ? 0 : due > time + 2000000 ? 1 : 0);
        if (readyCount >= connectionCount && stormStart && stormSeconds == 0)
            stormSeconds = (double)(now() - stormStart) / 1e9;
    }
}

static void runClosed(uint64_t end) {
    lastProgress = 0;
    while (now() < end && !isStuck()) {
        if (outstanding <= 0 && !unanswered)
            publish((int)options.batch, now());
        turn(100);
    }
}

static void run(double seconds) {
    uint64_t end = now() + (uint64_t)(seconds * 1e9);
    if (is("paced") || is("storm"))
        runPaced(end);
    else
        runClosed(end);
    drain();
    if (is("storm") && readyCount >= connectionCount) {
        /* Those who came late hear of it. */
        waitUntilQuiet();
        nextChannel = script.channels - 1;
        isTimed = false;
        publish(1, now());
        drain();
    }
}

/* ---- the report ------------------------------------------------------------ */

static void reset(void) {
    published = tally.deliveries = 0;
    bytesDown = bytesUp = publishDown = publishUp = 0;
    forget(&latency);
    forget(&answerTime);
}

static void number(const char *name, double value) {
    printf("\"%s\": %.17g, ", name, value);
}

static int report(uint64_t cpu, uint64_t ownCpu, double seconds, double memoryEach,
                  double connectSeconds) {
    if (readyCount < connectionCount) {
        errors.connect += connectionCount - readyCount;
        fault("%u of %u readers got through", readyCount, connectionCount);
    }
    uint64_t lost = outstanding > 0 ? (uint64_t)outstanding : 0;
    uint64_t wrong = lost + tally.repeated + tally.disordered + tally.damaged
        + tally.unexpected + errors.connect + errors.reset + errors.closed + errors.status
        + errors.protocol + errors.other + unanswered;
    putchar('{');
    number("readers", options.readers);
    number("late", options.late);
    number("seconds", seconds);
    number("messages", (double)published);
    number("deliveries", (double)tally.deliveries);
    number("cpuNs", (double)cpu);
    number("loadCpuNs", (double)ownCpu);
    number("latencyP50Ns", (double)quantile(&latency, 0.5));
    number("latencyP99Ns", (double)quantile(&latency, 0.99));
    number("latencyMostNs", (double)latency.most);
    number("answerP50Ns", (double)quantile(&answerTime, 0.5));
    number("answerP99Ns", (double)quantile(&answerTime, 0.99));
    number("bytesDown", (double)bytesDown);
    number("bytesUp", (double)bytesUp);
    number("publishDown", (double)publishDown);
    number("publishUp", (double)publishUp);
    number("memoryEach", memoryEach);
    number("connectSeconds", connectSeconds);
    number("stormSeconds", stormSeconds);
    number("lost", (double)lost);
    number("repeated", (double)tally.repeated);
    number("disordered", (double)tally.disordered);
    number("damaged", (double)tally.damaged);
    number("unexpected", (double)tally.unexpected);
    number("unanswered", (double)unanswered);
    number("connectErrors", (double)errors.connect);
    number("resets", (double)errors.reset);
    number("closes", (double)errors.closed);
    number("badStatuses", (double)errors.status);
    number("protocolErrors", (double)errors.protocol);
    number("otherErrors", (double)errors.other);
    printf("\"firstFault\": \"%s\"}\n", firstFault);
    return wrong ? 1 : 0;
}

static uint64_t ownCpuTime(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000000u
        + (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1000u;
}

static void prepare(void) {
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    if (options.core >= 0) {
        cpu_set_t set;
        CPU_ZERO(&set);
        CPU_SET((size_t)options.core, &set);
        sched_setaffinity(0, sizeof set, &set);
    }
    watch(options.pids);
}

int main(int count, char **words) {
    if (count < 2)
        fail("a script is needed");
    readOptions(count - 2, words + 2);
    readScript(words[1]);
    prepare();
    uint32_t readers = (uint32_t)options.readers, late = (uint32_t)options.late;
    openConnections(options.address, (int)options.port,
                    (int)(options.publishPort > 0 ? options.publishPort : options.port), readers,
                    late);
    connectPublisher();
    usedChannels = script.channels - (late ? 1 : 0);
    double memoryEach = 0, connectSeconds = 0;
    uint32_t first = readers > 200 ? 100 : 0;
    connectAll(first);
    waitUntilQuiet();
    uint64_t memoryBefore = memory(), begin = now();
    connectAll(readers);
    connectSeconds = (double)(now() - begin) / 1e9;
    waitUntilQuiet();
    if (readers > first)
        memoryEach = ((double)memory() - (double)memoryBefore) / (readers - first);
    if (!is("storm"))
        run(options.warmup);
    reset();
    uint64_t cpu = cpuTime(), ownCpu = ownCpuTime();
    begin = now();
    run(options.seconds);
    double seconds = (double)(now() - begin) / 1e9;
    int result = report(cpuTime() - cpu, ownCpuTime() - ownCpu, seconds, memoryEach,
                        connectSeconds);
    closeAll();
    return result;
}
