/* Log lines on standard error, one write(2) each, so that threads need no lock and lines never interleave.
 *
 * text: `2026-11-21T10:00:00.123Z holdfast info restored 3 databases in 0.8 s`
 * json: `{"time":"…","source":"holdfast","level":"info","message":"…"}`
 *
 * The word "holdfast" makes each line recognisable beside the child's own output. Only sidecar/ logs above
 * debug; an error is logged once, where it stops travelling. Secrets are never passed here. Any thread may
 * log. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/err.h"

enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG };
enum log_format { LOG_TEXT, LOG_JSON };

/* Call before the first thread starts; the default is text, info. */
void log_configure(enum log_format format, enum log_level level);

bool log_is_enabled(enum log_level level);

void log_write(enum log_level level, const char *format, ...) PRINTF_LIKE(2, 3);

#define log_error(...) log_write(LOG_ERROR, __VA_ARGS__)
#define log_warning(...) log_write(LOG_WARNING, __VA_ARGS__)
#define log_info(...) log_write(LOG_INFO, __VA_ARGS__)
#define log_debug(...)                         \
    do {                                       \
        if (log_is_enabled(LOG_DEBUG))         \
            log_write(LOG_DEBUG, __VA_ARGS__); \
    } while (0)

#endif
