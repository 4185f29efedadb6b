#include "faults.h"

#include <stdarg.h>
#include <stdio.h>

struct errors errors;
char firstFault[256];

void fault(const char *format, ...) {
    if (firstFault[0])
        return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(firstFault, sizeof firstFault, format, arguments);
    va_end(arguments);
    /* The text stands in JSON between quotes. */
    for (char *at = firstFault; *at; at++)
        if (*at < ' ' || *at == '"' || *at == '\\' || *at == 127)
            *at = '?';
}
