/*
 * settings - what the command line asked for.
 *
 * Layer:   1. Includes layer 0 only.
 * Threads: written before threads start, read by all; the few that change at
 *          run time are atomics elsewhere (log_verbosity, store_limit).
 */
#ifndef SETTINGS_H
#define SETTINGS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/util.h"

struct settings {
#define SETTING(type, field, initial) type field;
#include "settings.def"
#undef SETTING
};

extern struct settings settings;

#endif
