#include "snapshot/patience.h"

#include "base/clock.h"

enum { DUEL_FIRST_MS = 1000 };

#define DUEL_WINDOW_NS (10 * 60 * NS_PER_SECOND)

/* What the predecessor would like to have, from now. */
static uint64_t wanted_ms(const struct engine_config *config, const struct record_header *head,
                          uint64_t now_ns)
{
    if (head->position == 0 || head->kind == RECORD_CLOSE || config->predecessor == PREDECESSOR_GONE)
        return 0;
    if (head->draining_until_ns == 0)
        return config->predecessor == PREDECESSOR_ALIVE ? config->takeover_wait_ms : 0;
    return head->draining_until_ns > now_ns ? (head->draining_until_ns - now_ns) / NS_PER_MS : 0;
}

uint64_t patience_handover_ms(struct patience *patience, const struct engine_config *config,
                              const struct record_header *head, uint64_t now_ns, uint64_t now_ms)
{
    uint64_t wanted = wanted_ms(config, head, now_ns), waited, left;

    if (wanted == 0)
        return 0;
    if (patience->first_sight_ms == 0)
        patience->first_sight_ms = now_ms;
    waited = now_ms - patience->first_sight_ms;
    left = waited < config->takeover_wait_ms ? config->takeover_wait_ms - waited : 0;
    return wanted < left ? wanted : left;
}

unsigned patience_opens(const struct record_header *header, uint64_t now_ns)
{
    unsigned opens = 0;

    for (size_t at = 0; at < RECORD_OPENS && header->open_times_ns[at] != 0; at++)
        if (header->open_times_ns[at] + DUEL_WINDOW_NS >= now_ns)
            opens++;
    return opens;
}

uint64_t patience_duel_ms(unsigned opens, uint64_t duel_wait_ms)
{
    uint64_t wait_ms = DUEL_FIRST_MS;

    if (opens < PATIENCE_DUEL_OPENS)
        return 0;
    for (unsigned at = PATIENCE_DUEL_OPENS; at < opens && wait_ms < duel_wait_ms; at++)
        wait_ms *= 2;
    return wait_ms < duel_wait_ms ? wait_ms : duel_wait_ms;
}
