#include "sidecar/lifecycle.h"

#include <assert.h>
#include <errno.h>

#define TO(state) (1u << LIFE_##state)

static const struct {
    const char *name;
    unsigned next; /* the states it may move to */
} states[LIFE_STATES] = {
    [LIFE_LISTEN] = {"listen", TO(RESTORE) | TO(EXIT)},
    [LIFE_RESTORE] = {"restore", TO(LAUNCH) | TO(FENCED) | TO(EXIT)},
    /* A child that dies, or can't be started, skips the drain: nobody is left to answer. */
    [LIFE_LAUNCH] = {"launch", TO(SERVE) | TO(DRAIN) | TO(FLUSH) | TO(FENCED)},
    [LIFE_SERVE] = {"serve", TO(DRAIN) | TO(FLUSH) | TO(FENCED)},
    [LIFE_DRAIN] = {"drain", TO(FLUSH) | TO(FENCED)},
    [LIFE_FLUSH] = {"flush", TO(FENCED) | TO(EXIT)},
    [LIFE_FENCED] = {"fenced", TO(EXIT)},
    [LIFE_EXIT] = {"exit", 0},
};

const char *life_state_name(enum life_state state)
{
    assert(state < LIFE_STATES);
    return states[state].name;
}

bool life_may_move(enum life_state from, enum life_state to)
{
    assert(from < LIFE_STATES && to < LIFE_STATES);
    return states[from].next & (1u << to);
}

void life_move(enum life_state *state, enum life_state to)
{
    assert(life_may_move(*state, to));
    *state = to;
}

uint64_t life_drain_deadline(const struct life_budget *budget)
{
    return budget->begin_ms + budget->total_ms / 5;
}

uint64_t life_child_deadline(const struct life_budget *budget, uint64_t now_ms)
{
    uint64_t end_ms = budget->begin_ms + budget->total_ms, deadline_ms = now_ms + budget->total_ms * 2 / 5;

    assert(now_ms >= budget->begin_ms);
    return deadline_ms < end_ms ? deadline_ms : end_ms;
}

uint64_t life_flush_ms(const struct life_budget *budget, uint64_t now_ms)
{
    uint64_t end_ms = budget->begin_ms + budget->total_ms, least_ms = budget->total_ms / 5;
    uint64_t left_ms = now_ms < end_ms ? end_ms - now_ms : 0;

    return left_ms > least_ms ? left_ms : least_ms;
}

int life_exit_code(const struct life_outcome *outcome)
{
    if (outcome->fenced)
        return EXIT_FENCED;
    if (!outcome->launched)
        return outcome->refusal;
    if (!outcome->shipped)
        return EXIT_NOT_SHIPPED;
    return outcome->killed ? EXIT_SIGNAL_BASE + 9 : outcome->child_exit_code;
}

static int system_exit_code(int number)
{
    return number == ENOSPC || number == EDQUOT || number == EROFS || number == ENOTDIR ? EXIT_CONFIG
                                                                                        : EXIT_NOT_SHIPPED;
}

int life_error_exit_code(const struct err *err)
{
    switch (err->code) {
    case ERR_NONE:
    case ERR_CANCELED:
        return EXIT_OK;
    case ERR_CONFIG:
    case ERR_DENIED:
    case ERR_NOT_FOUND:
        return EXIT_CONFIG;
    case ERR_CORRUPT:
        return EXIT_DAMAGED;
    case ERR_FENCED:
        return EXIT_FENCED;
    case ERR_SYSTEM:
        return system_exit_code(err->number);
    case ERR_CONFLICT:
    case ERR_TRANSIENT:
        break;
    }
    return EXIT_NOT_SHIPPED;
}

int life_command_exit_code(const struct err *err)
{
    return err->code == ERR_NOT_FOUND ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE;
}
