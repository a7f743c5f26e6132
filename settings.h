/*
 * settings - what the command line asked for, and how `stats settings` says
 * it.
 *
 * Layer:   1. Includes layer 0 only.
 * Threads: written before threads start, read by all. What administration
 *          changes at run time (the page mover's, the crawler's, the queues')
 *          is read and written between settings_take and settings_drop; a few
 *          are atomics elsewhere (log_verbosity, store_limit).
 * Locks:   settings_take takes a LOCK_QUEUE; settings_visit calls nothing
 *          while it holds that.
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

/* Of binding_protocol. */
enum settings_protocol { SETTINGS_AUTO, SETTINGS_ASCII, SETTINGS_BINARY };

extern struct settings settings;

void settings_take(void);
void settings_drop(void);

/* Calls `row` for every row of `stats settings`, in stock's order. A NULL
 * value: the figure moves at run time and the caller knows it by the name
 * (maxbytes: store_limit(), verbosity: log_verbosity, oldest, detail_enabled:
 * begins as settings.detail_enabled). */
void settings_visit(void (*row)(void *ctx, const char *name, const char *value),
                    void *ctx);

#endif
