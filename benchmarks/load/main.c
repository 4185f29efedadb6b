/*
 * The load generator: one thread, one epoll, many readers and some publishers.
 *
 *   load SCRIPT name=value ...
 *
 * Connects the readers, publishes to them in one of several ways, and prints
 * its counts and times as one line of JSON.  Exits with 0 if every message
 * reached each of its readers once and in order, with 1 if not, with 2 if it
 * could not work at all.
 *
 * The parts, lower first; a part includes only parts that stand above it here:
 * bytes, faults, histogram, script, check, tls, sockets, conversation, connections,
 * measure, publishing, bystander, main.
 */
#define _GNU_SOURCE
#include "bystander.h"
#include "connections.h"
#include "faults.h"
#include "measure.h"
#include "publishing.h"

#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static struct {
    const char *address, *pids, *mode;
    double port, publishPort, core, readers, late, publishers, batch, rate, warmup, seconds, wave,
        queue, patience, bystander, bystanderPort, tls,
        channels, perAddress;
} options = {
    .address = "127.0.0.1", .pids = "", .mode = "closed", .core = -1, .readers = 10, .batch = 1,
    .publishers = 1,
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
    {"publishers", NULL, &options.publishers}, {"bystander", NULL, &options.bystander},
    {"bystander-port", NULL, &options.bystanderPort},
    {"patience", NULL, &options.patience},     {"tls", NULL, &options.tls},
    {"channels", NULL, &options.channels},     {"per-address", NULL, &options.perAddress},
};

static uint64_t lastProgress, progress;
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
            fail("%s is no option: options are written name=value", words[i]);
        if (names[which].text)
            *names[which].text = value;
        else
            *names[which].number = atof(value);
    }
}

static bool is(const char *mode) {
    return !strcmp(options.mode, mode);
}

/* ---- waiting -------------------------------------------------------------- */

/* Whether nothing has happened for so long that waiting is useless. */
static bool isStuck(void) {
    uint64_t seen = tally.deliveries + answerTime.count + readyCount + startedCount
        + readyPublishers;
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
            startReader();
        turn(100);
        if (isStuck() || errors.connect || errors.reset || errors.closed)
            fail("%u of %u readers are connected, and no more: %s", readyCount, upTo, firstFault);
    }
}

static void connectPublishers(void) {
    lastProgress = 0;
    startPublishers();
    while (readyPublishers < publisherCount) {
        turn(100);
        if (isStuck() || errors.connect || errors.reset || errors.closed || errors.status)
            fail("%u of %u publishers get through: %s", readyPublishers, publisherCount,
                 firstFault);
    }
}

static void drain(void) {
    lastProgress = 0;
    while ((outstanding > 0 || unanswered) && !isStuck())
        turn(100);
}

/* What the readers cost that are there before the measuring begins. */
struct begun {
    double memoryEach, seconds, connected;
    uint64_t cpu;
    struct shares shares;
};

static struct begun begin(uint32_t early) {
    struct begun begun = {0};
    /* The first make a server load and keep what it needs for all of them. */
    const uint32_t first = early > 200 ? 100 : 0;
    openFiles(NULL);
    connectAll(first);
    waitUntilQuiet();
    const uint64_t before = memory(), cpu = cpuTime(), start = now();
    connectAll(early);
    begun.seconds = (double)(now() - start) / 1e9;
    begun.cpu = cpuTime() - cpu;
    begun.connected = early - first;
    waitUntilQuiet();
    if (early > first)
        begun.memoryEach = ((double)memory() - (double)before) / (early - first);
    openFiles(&begun.shares);
    return begun;
}

/* Start late readers as fast as possible, but no more at once than the server's
 * queue holds.  The kernel drops a connection that finds the queue full and
 * tries again a second later; then that second would be all that is measured. */
static void storm(void) {
    if (!stormStart)
        stormStart = now();
    for (int i = 0; i < 32 && startedCount < connectionCount
         && startedCount - readyCount < (uint32_t)options.queue; i++)
        startReader();
}

/* Publish at the given rate.  A storm begins when a quarter of the time is over. */
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

/* Publish the next batch when all of the last one has arrived and is answered. */
static void runClosed(uint64_t end) {
    lastProgress = 0;
    while (now() < end && !isStuck()) {
        if (outstanding <= 0 && !unanswered)
            publish((uint32_t)options.batch, now());
        turn(100);
    }
}

/* Let each publisher publish as soon as it is answered, whatever the others do. */
static void runEach(uint64_t end) {
    lastProgress = 0;
    startLoops();
    while (now() < end && !isStuck())
        turn(100);
    stopLoops();
}

static void run(double seconds) {
    uint64_t end = now() + (uint64_t)(seconds * 1e9);
    if (is("paced") || is("storm"))
        runPaced(end);
    else if (is("each"))
        runEach(end);
    else
        runClosed(end);
    drain();
    if (is("storm") && readyCount >= connectionCount) {
        /* The readers that came late must hear a message, too. */
        waitUntilQuiet();
        isTimed = false;
        publishTo(script.channels - 1, now());
        drain();
    }
}

/* ---- the bystander ---------------------------------------------------------- */

static struct histogram alone, beside; /* a bystander's waits, without the load and with it */

/* Find out how long a client waits that has nothing to do with the load. */
static void watchBystander(void) {
    const int port = (int)options.bystanderPort;
    if (options.bystander <= 0)
        return;
    waitUntilQuiet();
    startBystander(options.address, port, &alone);
    for (uint64_t end = now() + (uint64_t)(options.bystander * 5e8); now() < end;)
        turn(10);
    stopBystander();
    startBystander(options.address, port, &beside);
    run(options.bystander);
    stopBystander();
}

/* ---- the report ------------------------------------------------------------ */

static void reset(void) {
    published = tally.deliveries = 0;
    traffic = (struct traffic){0};
    forget(&latency);
    forget(&answerTime);
}

static void number(const char *name, double value) {
    printf("\"%s\": %.17g, ", name, value);
}

static int report(uint64_t cpu, uint64_t ownCpu, double seconds, const struct begun *begun) {
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
    number("bystanderAloneNs", (double)alone.most);
    number("bystanderMostNs", (double)beside.most);
    number("bytesDown", (double)traffic.down);
    number("bytesUp", (double)traffic.up);
    number("publishDown", (double)traffic.publishDown);
    number("publishUp", (double)traffic.publishUp);
    number("memoryEach", begun->memoryEach);
    number("connectSeconds", begun->seconds);
    number("connectCpuNs", (double)begun->cpu);
    number("connected", begun->connected);
    number("processes", begun->shares.processes);
    number("shareLeast", begun->shares.least);
    number("shareMost", begun->shares.most);
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
    uint32_t early = (uint32_t)options.readers, late = (uint32_t)options.late;
    /* A server may take what comes from several connections in any order. */
    isOrdered = options.publishers < 2;
    isEncrypted = options.tls > 0;
    if (options.perAddress > 0)
        readersPerAddress = (uint32_t)options.perAddress;
    openConversations(publisherAnswered);
    setUpConnections(options.address, (int)options.port,
                     (int)(options.publishPort > 0 ? options.publishPort : options.port), early,
                     late, (uint32_t)options.publishers);
    connectPublishers();
    uint32_t used = script.channels - (late ? 1 : 0);
    useChannels(options.channels > 0 && options.channels < used ? (uint32_t)options.channels
                                                                : used);
    struct begun begun = begin(early);
    if (!is("storm"))
        run(options.warmup);
    watchBystander();
    reset();
    uint64_t cpu = cpuTime(), ownCpu = ownCpuTime(), start = now();
    run(options.seconds);
    double seconds = (double)(now() - start) / 1e9;
    int result = report(cpuTime() - cpu, ownCpuTime() - ownCpu, seconds, &begun);
    resetAll();
    return result;
}
