#include "tests/backend/background.h"

#include <stddef.h>
#include <string.h>

enum { BUMP_INTERVAL_MS = 5000, PAUSE_MIN_MS = 100, PAUSE_MAX_MS = 10000 };

static const struct {
    const char *global;
    uint64_t after_ms;
} writes[BACKGROUND_WRITES] = {
    {"max_repeatable_ts", 2},
    {"min_snapshot_ts", 26000},
    {"confirmed_deleted_ts", 54000},
};

void background_note_commit(struct background *background, uint64_t now_ms)
{
    if (!background->enabled || now_ms - background->bumped_ms < BUMP_INTERVAL_MS)
        return;
    for (size_t at = 0; at < BACKGROUND_WRITES; at++)
        if (background->due_ms[at] == 0)
            background->due_ms[at] = now_ms + writes[at].after_ms;
}

uint64_t background_next_ms(const struct background *background)
{
    uint64_t next_ms = UINT64_MAX;

    for (size_t at = 0; at < BACKGROUND_WRITES; at++)
        if (background->due_ms[at] && background->due_ms[at] < next_ms)
            next_ms = background->due_ms[at];
    return next_ms;
}

const char *background_take(struct background *background, uint64_t now_ms)
{
    for (size_t at = 0; at < BACKGROUND_WRITES; at++) {
        if (background->due_ms[at] == 0 || background->due_ms[at] > now_ms)
            continue;
        background->due_ms[at] = 0;
        return writes[at].global;
    }
    return NULL;
}

void background_done(struct background *background, const char *global, bool written, uint64_t now_ms)
{
    if (written) {
        background->pause_ms = 0;
        if (strcmp(global, writes[0].global) == 0)
            background->bumped_ms = now_ms;
        return;
    }
    background->pause_ms = background->pause_ms ? background->pause_ms * 2 : PAUSE_MIN_MS;
    if (background->pause_ms > PAUSE_MAX_MS)
        background->pause_ms = PAUSE_MAX_MS;
    for (size_t at = 0; at < BACKGROUND_WRITES; at++)
        if (strcmp(global, writes[at].global) == 0)
            background->due_ms[at] = now_ms + background->pause_ms;
}
