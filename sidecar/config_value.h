/* The values that variables can hold, each parsed by one pure function: true and *ret_… on success, false for
 * anything that isn't exactly the syntax of README.md. Any thread. */
#ifndef SIDECAR_CONFIG_VALUE_H
#define SIDECAR_CONFIG_VALUE_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

/* `200ms`, `1s`, `2m`, `24h`, `7d`, a bare `0`; at most 100 years. */
bool value_duration(const char *text, uint64_t *ret_ms) CHECKED;

/* `512B`, `64KiB`, `64MiB`, `1GiB`, `1TiB`, a bare `0`. */
bool value_size(const char *text, uint64_t *ret_bytes) CHECKED;

/* `TERM`, `SIGTERM`, `15`: a signal that a process can be stopped with. */
bool value_signal(const char *text, int *ret_signal) CHECKED;

/* `0` or `1`. */
bool value_switch(const char *text, bool *ret_on) CHECKED;

/* The place of text among `choices`, which are separated by '|'. */
bool value_choice(const char *text, const char *choices, unsigned *ret_index) CHECKED;

/* Colon-separated globs that stay below a directory: no leading '/', no `..`. */
bool value_globs(const char *text) CHECKED;

/* The candidate that a person may have meant by `text` (two of its letters differ, or a third), or NULL.
 * `next` gives the candidates one by one, NULL after the last. */
const char *value_nearest(const char *text, const char *(*next)(void *context, size_t index), void *context);

#endif
