/* The life of a run as plain values: states and their moves, the time each part of a shutdown gets, and what
 * the exit code says. Nothing here waits, logs or looks at a clock, so that tables can test all of it. */
#ifndef SIDECAR_LIFECYCLE_H
#define SIDECAR_LIFECYCLE_H

#include "base/err.h"

#include <stdint.h>

enum life_state {
    LIFE_LISTEN,
    LIFE_RESTORE,
    LIFE_LAUNCH,
    LIFE_SERVE,
    LIFE_DRAIN,
    LIFE_FLUSH,
    LIFE_FENCED,
    LIFE_EXIT,
    LIFE_STATES
};

/* "listen", "restore", …: what /_holdfast/ready, /status and the log show. Static. */
const char *life_state_name(enum life_state state);

/* True if the design's table allows it. */
bool life_may_move(enum life_state from, enum life_state to);

/* Moves, and asserts that it is allowed: a forbidden move is a bug, and going on would make readiness, gate
 * and exit code disagree. */
void life_move(enum life_state *state, enum life_state to);

/* HOLDFAST_SHUTDOWN_TIMEOUT, shared out. All times are of the monotonic clock. */
struct life_budget {
    uint64_t begin_ms;
    uint64_t total_ms;
};

/* Until when requests in flight may finish: a fifth of the time. */
uint64_t life_drain_deadline(const struct life_budget *budget);
/* Until when the child may end after its signal was sent at now_ms: two fifths from then, never past the
 * whole. */
uint64_t life_child_deadline(const struct life_budget *budget, uint64_t now_ms);
/* What is left for shipping at now_ms; at least a fifth of the whole, even when the clock was missed. */
uint64_t life_flush_ms(const struct life_budget *budget, uint64_t now_ms);

enum {
    EXIT_OK = 0,
    EXIT_CONFIG = 64,
    EXIT_DAMAGED = 65,
    EXIT_NOT_RUNNING = 69,
    EXIT_NOT_SHIPPED = 74,
    EXIT_FENCED = 76,
    EXIT_NOT_EXECUTABLE = 126,
    EXIT_NOT_FOUND = 127,
    EXIT_SIGNAL_BASE = 128
};

/* How a run ended. */
struct life_outcome {
    bool fenced;
    bool launched;       /* the child was started */
    bool shipped;        /* everything was, and the close is in the store */
    bool killed;         /* the child had to be */
    int child_exit_code; /* 128 + n if signal n ended it */
    int refusal; /* not launched: the code for what stopped the start, EXIT_OK for a stop that was asked for
                  */
};

/* Fenced beats not shipped, which beats the child's code. */
int life_exit_code(const struct life_outcome *outcome);

/* The code for an error that ends a command, or a start. A full or unwritable local disk is the operator's
 * (64), what else the kernel reports counts as out of reach (74). */
int life_error_exit_code(const struct err *err);

/* The same for a command that can't be launched: 127 not found, 126 anything else. */
int life_command_exit_code(const struct err *err);

#endif
