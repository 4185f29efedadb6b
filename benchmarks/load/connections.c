#include "connections.h"

#include <arpa/inet.h>
#include <stdlib.h>

struct connection *readers, *publishers;
uint32_t connectionCount, startedCount, publisherCount, readersPerAddress = 20000;

static struct sockaddr_in server, publishServer;

void setUpConnections(const char *address, int port, int publishPort, uint32_t early,
                      uint32_t late, uint32_t publishing) {
    server.sin_family = publishServer.sin_family = AF_INET;
    server.sin_port = htons((uint16_t)port);
    publishServer.sin_port = htons((uint16_t)publishPort);
    if (inet_pton(AF_INET, address, &server.sin_addr) != 1)
        fail("%s is no address", address);
    publishServer.sin_addr = server.sin_addr;
    connectionCount = early + late;
    publisherCount = publishing;
    readers = need(calloc(connectionCount + publisherCount, sizeof *readers));
    publishers = &readers[connectionCount];
    uint32_t groups = late ? script.groups - 1 : script.groups;
    if (!groups)
        fail("readers that come late need a group of their own");
    for (uint32_t i = 0; i < connectionCount; i++)
        setUpConversation(&readers[i], i, false, i < early ? i % groups : groups);
    for (uint32_t i = 0; i < publisherCount; i++)
        setUpConversation(&publishers[i], connectionCount + i, true, 0);
}

void startReader(void) {
    struct sockaddr_in from = {.sin_family = AF_INET};
    uint32_t index = startedCount++, block = index / readersPerAddress;
    from.sin_addr.s_addr = htonl(ntohl(server.sin_addr.s_addr) + block);
    startSocket(&readers[index].socket, &server, block ? &from : NULL);
}

void startPublishers(void) {
    for (uint32_t i = 0; i < publisherCount; i++)
        startSocket(&publishers[i].socket, &publishServer, NULL);
}

void resetAll(void) {
    for (uint32_t i = 0; i < connectionCount + publisherCount; i++)
        resetSocket(&readers[i].socket);
}
