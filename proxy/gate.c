#include "proxy/gate.h"

#include "proxy/request.h"

#include <assert.h>

void gate_init(struct gate *gate, struct loop *loop, const struct proxy_config *config)
{
    *gate = (struct gate){.loop = loop, .config = config};
    list_init(&gate->waiting);
}

/* A start that has failed goes on showing where it did. */
static enum proxy_state state_of(const struct gate *gate)
{
    if (gate->fenced)
        return PROXY_FENCED;
    if (gate->draining && gate->status.state < PROXY_DRAIN && !gate->status.failed)
        return PROXY_DRAIN;
    return gate->status.state;
}

bool gate_is_ready(const struct gate *gate)
{
    return state_of(gate) == PROXY_SERVE && !gate->status.degraded;
}

bool gate_is_ending(const struct gate *gate)
{
    return gate->status.failed || state_of(gate) >= PROXY_DRAIN;
}

void gate_status(const struct gate *gate, struct proxy_status *ret_status)
{
    *ret_status = gate->status;
    ret_status->state = state_of(gate);
    if (gate_is_ready(gate))
        ret_status->retry_after_s = 0;
    else if (ret_status->retry_after_s == 0)
        ret_status->retry_after_s = ret_status->state < PROXY_SERVE && !ret_status->failed ? 2 : 5;
}

static enum gate_verdict decide(const struct gate *gate, const struct gate_entry *entry)
{
    switch (state_of(gate)) {
    case PROXY_SERVE:
        return GATE_PASS;
    case PROXY_DRAIN:
        return entry->allowed ? GATE_PASS : GATE_REFUSE;
    case PROXY_LISTEN:
    case PROXY_RESTORE:
    case PROXY_LAUNCH:
        return gate->status.failed ? GATE_REFUSE : GATE_HOLD;
    case PROXY_FLUSH:
    case PROXY_FENCED:
    case PROXY_STATES:
    default:
        return GATE_REFUSE;
    }
}

static void timer_expired(struct loop_timer *timer)
{
    struct gate_entry *entry = LIST_ENTRY(timer, struct gate_entry, timer);

    entry->timed_out = true;
    gate_leave(entry);
    entry->changed(entry);
}

void gate_entry_init(struct gate_entry *entry, struct gate *gate, const char *target,
                     void (*changed)(struct gate_entry *entry))
{
    *entry = (struct gate_entry){.gate = gate, .changed = changed};
    entry->allowed = request_matches(target, gate->config->drain_allow);
    list_init(&entry->link);
    loop_timer_init(&entry->timer, timer_expired);
}

static bool may_wait(const struct gate_entry *entry)
{
    const struct gate *gate = entry->gate;

    return !entry->timed_out && gate->config->hold_timeout_ms > 0 &&
           gate->waiting_count < gate->config->held_max;
}

enum gate_verdict gate_enter(struct gate_entry *entry)
{
    struct gate *gate = entry->gate;
    enum gate_verdict verdict = decide(gate, entry);

    if (verdict != GATE_HOLD) {
        gate_leave(entry);
        return verdict;
    }
    if (!list_is_empty(&entry->link))
        return GATE_HOLD;
    if (!may_wait(entry))
        return GATE_REFUSE;
    list_add_last(&gate->waiting, &entry->link);
    gate->waiting_count++;
    loop_timer_set(gate->loop, &entry->timer, gate->config->hold_timeout_ms);
    return GATE_HOLD;
}

void gate_leave(struct gate_entry *entry)
{
    loop_timer_clear(&entry->timer);
    if (list_is_empty(&entry->link))
        return;
    assert(entry->gate->waiting_count > 0);
    list_remove(&entry->link);
    entry->gate->waiting_count--;
}

/* One round only: an entry that goes on waiting stays where it is. */
static void ask_again(struct gate *gate)
{
    for (struct list *link = gate->waiting.next, *next; link != &gate->waiting; link = next) {
        struct gate_entry *entry = LIST_ENTRY(link, struct gate_entry, link);
        next = link->next;
        if (decide(gate, entry) != GATE_HOLD) {
            gate_leave(entry);
            entry->changed(entry);
        }
    }
}

void gate_look(struct gate *gate)
{
    struct proxy_status status = {.state = PROXY_LISTEN};

    gate->config->status(gate->config->context, &status);
    gate->status = status;
    ask_again(gate);
}
