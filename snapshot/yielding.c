#include "snapshot/yielding.h"

void yielding_note_append(struct yielding *yielding, uint64_t begun_ms, uint64_t ended_ms)
{
    if (yielding->ended_ms == 0 || begun_ms >= yielding->ended_ms + YIELDING_GAP_MS)
        yielding->busy_since_ms = begun_ms;
    yielding->ended_ms = ended_ms;
}

uint64_t yielding_until_ms(const struct yielding *yielding)
{
    if (yielding->ended_ms == 0 || yielding->ended_ms - yielding->busy_since_ms < YIELDING_EVERY_MS)
        return 0;
    return yielding->ended_ms + YIELDING_GAP_MS;
}
