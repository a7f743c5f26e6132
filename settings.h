/*
 * settings - what the command line asked for, and how `stats settings` says
 * it.
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
#define SETTING(type, field, initial, format, name) type field;
#define SETTING_SAID(name, text)
#include "settings.def"
#undef SETTING
#undef SETTING_SAID
};

extern struct settings settings;

/* Calls `row` for every row of `stats settings`, in stock's order. A NULL
 * value: the figure moves at run time and the caller knows it by the name
 * (maxbytes: store_limit(), verbosity: log_verbosity, oldest, detail_enabled:
 * begins as settings.detail_enabled). */
void settings_visit(void (*row)(void *ctx, const char *name, const char *value),
                    void *ctx);

#endif
