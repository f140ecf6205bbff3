/* What the admin port shows: one picture of the run as JSON, as metrics, and as a page for a person. Pure
 * text. */
#ifndef SIDECAR_STATUS_H
#define SIDECAR_STATUS_H

#include "base/buf.h"
#include "proxy/proxy.h"
#include "sidecar/counters.h"
#include "sidecar/lifecycle.h"
#include "snapshot/drill.h"
#include "snapshot/engine.h"

enum {
    STATUS_WARNING_SIZE = 1200,
    STATUS_LEFT_OUT_MAX = 64, /* databases that are named; of more it is said how many */
};

/* Everything that is shown, taken at one moment. */
struct status {
    enum life_state state;
    struct engine_status engine;
    struct engine_left_out left_out[STATUS_LEFT_OUT_MAX];
    size_t left_out_count; /* in the list */
    struct proxy_counters proxy;
    const struct counters *store;
    bool drills; /* HOLDFAST_DRILL_INTERVAL is set */
    struct drill_status drill;
};

/* `/status`: one object with the names of README.md. */
void status_json(const struct status *status, struct buf *text);
/* `/status.txt`: the same for `holdfast status`, a line each. */
void status_text(const struct status *status, struct buf *text);
/* `/metrics`, Prometheus' text format 0.0.4. */
void status_metrics(const struct status *status, struct buf *text);
/* What an operator should know, from the first (0) on: each database that isn't protected, and since when;
 * why changes wait, if they do; the engine's warnings; and the last drill if it came to nothing. NULL: that
 * were all. Points into *status or text. */
const char *status_warning(const struct status *status, size_t at, char text[STATUS_WARNING_SIZE]);
/* Whether something that ought to be in the store is not on its way there. */
bool status_is_degraded(const struct status *status);
/* One sentence for a person. Static. */
const char *status_verdict(const struct status *status);
/* What is under way at the start or at the end; NULL: nothing of that kind. Points into *status. */
const char *status_step(const struct status *status);
/* `/`: a page that refreshes itself, without anything from elsewhere. */
void status_page(const struct status *status, struct buf *text);

#endif
