#define _GNU_SOURCE
#include "bystander.h"

#include "faults.h"
#include "script.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { PATIENCE = 10, ANSWER = 8192 };

static const struct timespec PAUSE = {.tv_nsec = 5000000};

static pthread_t thread;
static struct sockaddr_in server;
static struct histogram *into;
static atomic_bool isOver;
static const char *trouble; /* read when the thread has ended */

static uint64_t nanoseconds(const struct timespec *time) {
    return (uint64_t)time->tv_sec * 1000000000u + (uint64_t)time->tv_nsec;
}

/* The clock by which the kernel notes when data comes. */
static uint64_t wallTime(void) {
    struct timespec time;
    clock_gettime(CLOCK_REALTIME, &time);
    return nanoseconds(&time);
}

static int reach(void) {
    const int yes = 1;
    const struct timeval patience = {.tv_sec = PATIENCE};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &yes, sizeof yes);
    if (connect(fd, (const struct sockaddr *)&server, sizeof server)) {
        close(fd);
        return -1;
    }
    return fd;
}

/* Receive, and note when the kernel got the last of it. */
static ssize_t receive(int fd, char *data, size_t size, uint64_t *arrival) {
    char room[CMSG_SPACE(sizeof(struct timespec))];
    struct iovec vector = {.iov_base = data, .iov_len = size};
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1, .msg_control = room,
                             .msg_controllen = sizeof room};
    ssize_t got = recvmsg(fd, &message, 0);
    *arrival = wallTime();
    for (struct cmsghdr *each = CMSG_FIRSTHDR(&message); each; each = CMSG_NXTHDR(&message, each))
        if (each->cmsg_level == SOL_SOCKET && each->cmsg_type == SCM_TIMESTAMPNS) {
            struct timespec time;
            memcpy(&time, CMSG_DATA(each), sizeof time);
            *arrival = nanoseconds(&time);
        }
    return got;
}

/* Whether an answer, which a NUL ends, is complete. */
static bool isWhole(const char *answer, size_t size) {
    const char *end = strstr(answer, "\r\n\r\n");
    if (!end)
        return false;
    const char *length = strcasestr(answer, "\r\ncontent-length:");
    if (length && length < end)
        return size >= (size_t)(end + 4 - answer) + strtoul(length + 17, NULL, 10);
    const char *coding = strcasestr(answer, "\r\ntransfer-encoding: chunked");
    return !coding || coding > end || (size > 5 && !memcmp(answer + size - 5, "0\r\n\r\n", 5));
}

/* Publish once.  Return what went wrong, or NULL. */
static const char *ask(int fd) {
    char answer[ANSWER];
    size_t size = 0;
    const uint64_t begin = wallTime();
    uint64_t arrival;
    if (send(fd, script.bystander.data, script.bystander.size, MSG_NOSIGNAL)
        != (ssize_t)script.bystander.size)
        return "could not send";
    do {
        ssize_t got = receive(fd, answer + size, ANSWER - 1 - size, &arrival);
        if (got <= 0)
            return got ? "was not answered in time" : "was disconnected";
        size += (size_t)got;
        answer[size] = 0;
    } while (!isWhole(answer, size) && size < ANSWER - 1);
    if (size < 12 || answer[9] != '2')
        return "was refused";
    record(into, arrival > begin ? arrival - begin : 0);
    return NULL;
}

static void *live(void *unused) {
    (void)unused;
    int fd = reach();
    trouble = fd < 0 ? "could not connect" : NULL;
    while (!trouble && !isOver) {
        trouble = ask(fd);
        nanosleep(&PAUSE, NULL);
    }
    if (fd >= 0)
        close(fd);
    return NULL;
}

void startBystander(const char *address, int port, struct histogram *waits) {
    server = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    if (inet_pton(AF_INET, address, &server.sin_addr) != 1)
        fail("%s is no address", address);
    into = waits;
    isOver = false;
    if (pthread_create(&thread, NULL, live, NULL))
        fail("no thread can be started");
}

void stopBystander(void) {
    isOver = true;
    pthread_join(thread, NULL);
    if (trouble) {
        errors.other++;
        fault("the bystander %s", trouble);
    }
}
