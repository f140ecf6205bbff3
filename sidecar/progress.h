/* How far long work has come, for whoever watches standard error: a bar on a terminal, else a log line every
 * five seconds. */
#ifndef SIDECAR_PROGRESS_H
#define SIDECAR_PROGRESS_H

#include "base/buf.h"
#include "base/cleanup.h"

#include <stdint.h>

enum { PROGRESS_BAR_MS = 100, PROGRESS_LINE_MS = 5000 };

struct progress {
    const char *verb; /* "restoring", "verifying" */
    bool is_terminal;
    bool has_bar; /* one stands on the terminal's last line */
    uint64_t begin_ms;
    uint64_t shown_ms;
};

/* Begins; nothing is shown before the first interval is over, so short work stays silent. */
void progress_begin(struct progress *progress, const char *verb);

/* Shows it if it is time. One thread at a time. */
void progress_report(struct progress *progress, uint64_t bytes_done, uint64_t bytes_total);

/* The same for work that has no measure: says what it waits for, and for how long already. */
void progress_say(struct progress *progress, const char *text);

/* Takes the bar away. */
void progress_end(struct progress *progress);

/* "1.2 GB": at most three digits. */
void progress_format_bytes(uint64_t bytes, char text[16]);

/* One line without its end: "[#####     ] 51 %, 1.2 GB of 2.4 GB, 3 s left". */
void progress_format_bar(struct buf *text, const char *verb, uint64_t elapsed_ms, uint64_t bytes_done,
                         uint64_t bytes_total);

#endif
