#include "connections.h"

#include <arpa/inet.h>
#include <stdlib.h>

struct connection *readers, *publisher;
uint32_t connectionCount, startedCount;

static struct sockaddr_in server, publishing;

void setUpConnections(const char *address, int port, int publishPort, uint32_t early,
                      uint32_t late) {
    server.sin_family = publishing.sin_family = AF_INET;
    server.sin_port = htons((uint16_t)port);
    publishing.sin_port = htons((uint16_t)publishPort);
    if (inet_pton(AF_INET, address, &server.sin_addr) != 1)
        fail("%s is no address", address);
    publishing.sin_addr = server.sin_addr;
    connectionCount = early + late;
    readers = need(calloc(connectionCount + 1, sizeof *readers));
    publisher = &readers[connectionCount];
    uint32_t groups = late ? script.groups - 1 : script.groups;
    if (!groups)
        fail("readers that come late need a group of their own");
    for (uint32_t i = 0; i < connectionCount; i++)
        setUpConversation(&readers[i], i, false, i < early ? i % groups : groups);
    setUpConversation(publisher, connectionCount, true, 0);
}

void startReader(void) {
    startSocket(&readers[startedCount++].socket, &server);
}

void startPublisher(void) {
    startSocket(&publisher->socket, &publishing);
}

void resetAll(void) {
    for (uint32_t i = 0; i <= connectionCount; i++)
        resetSocket(&readers[i].socket);
}
