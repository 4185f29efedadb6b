/*
 * What went wrong: how often, by kind, and the first of it in words.
 */
#ifndef FAULTS_H
#define FAULTS_H

#include <stdint.h>

extern struct errors {
    uint64_t connect, reset, closed, status, protocol, other;
} errors;

extern char firstFault[256];

/* Keep the text of the first fault; the texts of later ones are dropped. */
void fault(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
