#include "log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

atomic_int log_verbosity;

void log_print(int level, const char *format, ...)
{
    va_list ap;

    if (!log_wanted(level)) {
        return;
    }
    va_start(ap, format);
    (void)vfprintf(stderr, format, ap); /* nowhere to report a failure */
    va_end(ap);
}

void log_fatal(int code, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    (void)vfprintf(stderr, format, ap);
    va_end(ap);
    exit(code);
}
