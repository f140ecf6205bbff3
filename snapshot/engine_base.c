/* The order "a base now", and its answer: a number that is asked for and a number up to which is answered.
 *
 * A request is a number, so nobody has to be remembered: who goes away leaves nothing behind, and any number
 * of them share the next base. That one must have been begun after they asked, or it might lack what they
 * had just written; the shipper sees to that. */
#include "snapshot/engine_internal.h"

static const char *refusal(const struct engine *engine)
{
    switch (engine->status.phase) {
    case ENGINE_STARTING:
    case ENGINE_RESTORED:
    case ENGINE_SERVING:
        if (engine->orders.drain || engine->orders.flush)
            return "holdfast is stopping: what is left is shipped anyway";
        return engine->orders.answered ? NULL
                                       : "the backend has not answered yet, and nothing is published before";
    case ENGINE_FLUSHING:
    case ENGINE_DONE:
        return "holdfast is stopping: what is left is shipped anyway";
    case ENGINE_FENCED:
        return "another container has taken over";
    case ENGINE_FAILED:
    default:
        return "holdfast has failed: its log says why";
    }
}

bool engine_ask_base(struct engine *engine, uint64_t *ret_request, struct err *err)
{
    const char *reason;

    MUTEX_GUARD(&engine->mutex);
    reason = refusal(engine);
    if (reason)
        return err_set(err, ERR_CONFLICT, "%s", reason);
    *ret_request = ++engine->orders.bases_asked;
    event_raise(engine->order_fd);
    return true;
}

enum engine_answer engine_answer_base(struct engine *engine, uint64_t request, struct engine_base *ret_base)
{
    const struct shipper_given *given = &engine->given;

    MUTEX_GUARD(&engine->mutex);
    if (request == 0 || request > engine->orders.bases_asked)
        return ENGINE_ANSWER_UNKNOWN;
    if (request > given->request)
        return refusal(engine) ? ENGINE_ANSWER_REFUSED : ENGINE_ANSWER_WAITS;
    *ret_base = (struct engine_base){given->record, given->position, given->time_ns};
    return ENGINE_ANSWER_BASE;
}
