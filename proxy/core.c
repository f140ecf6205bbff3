#include "proxy/core.h"

#include <assert.h>
#include <string.h>
#include <sys/resource.h>

enum {
    HEAD_TIMEOUT_MS = 30 * 1000,
    IDLE_TIMEOUT_MS = 75 * 1000,
    CONNECTIONS_MAX = 8192,
    HELD_MAX = 1024,
    FILES_RESERVED = 256 /* for everything in the process that isn't a client or its backend connection */
};

static unsigned connections_for_files(unsigned wanted)
{
    struct rlimit limit;
    rlim_t files;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY)
        return wanted;
    files = limit.rlim_cur > 2 * FILES_RESERVED ? limit.rlim_cur - FILES_RESERVED : limit.rlim_cur / 2;
    return files / 2 < wanted ? (unsigned)(files / 2) : wanted;
}

static void fill_defaults(struct proxy_config *config)
{
    if (config->head_timeout_ms == 0)
        config->head_timeout_ms = HEAD_TIMEOUT_MS;
    if (config->idle_timeout_ms == 0)
        config->idle_timeout_ms = IDLE_TIMEOUT_MS;
    if (config->connections_max == 0)
        config->connections_max = CONNECTIONS_MAX;
    if (config->held_max == 0)
        config->held_max = HELD_MAX;
    config->connections_max = connections_for_files(config->connections_max);
}

void core_init(struct core *core, const struct proxy_config *config)
{
    core->config = *config;
    fill_defaults(&core->config);
    upstream_init(&core->upstream, &core->loop, &config->upstream);
    durable_init(&core->durable, &config->durability);
    gate_init(&core->gate, &core->loop, &core->config);
    list_init(&core->exchanges);
    list_init(&core->tunnels);
    list_init(&core->lingers);
    list_init(&core->spare_buffers);
}

void core_clear(struct core *core)
{
    struct list *link;

    assert(list_is_empty(&core->exchanges) && list_is_empty(&core->tunnels));
    upstream_clear(&core->upstream);
    while ((link = list_take_first(&core->spare_buffers)))
        free(LIST_ENTRY(link, struct receive_buffer, link));
    loop_close(&core->loop);
}

struct receive_buffer *core_take_buffer(struct core *core)
{
    struct list *link = list_take_first(&core->spare_buffers);
    struct receive_buffer *buffer;

    if (link) {
        core->spare_count--;
        buffer = LIST_ENTRY(link, struct receive_buffer, link);
    } else {
        buffer = xmalloc(sizeof(*buffer));
        list_init(&buffer->link);
    }
    buffer->at = buffer->end = 0;
    return buffer;
}

void core_give_buffer(struct core *core, struct receive_buffer *buffer)
{
    if (!buffer)
        return;
    if (core->spare_count >= SPARE_BUFFERS_MAX) {
        free(buffer);
        return;
    }
    list_add_after(&core->spare_buffers, &buffer->link);
    core->spare_count++;
}

void core_count(struct core *core, unsigned code)
{
    assert(code < PROXY_CODES_MAX);
    atomic_fetch_add_explicit(&core->requests[code], 1, memory_order_relaxed);
}

void core_publish(struct core *core)
{
    atomic_store_explicit(&core->held_shown, core->gate.waiting_count + core->durable.count,
                          memory_order_relaxed);
    atomic_store_explicit(&core->in_flight_shown, core->in_flight, memory_order_relaxed);
    atomic_store_explicit(&core->tunnels_shown, core->tunnels_count, memory_order_relaxed);
}

void core_note_forwarded(struct core *core)
{
    if (core->config.forwarded)
        core->config.forwarded(core->config.context);
}

void core_check_drained(struct core *core)
{
    if (!core->gate.draining || core->drained || core->in_flight > 0 || core->tunnels_count > 0)
        return;
    core->drained = true;
    if (core->config.drained)
        core->config.drained(core->config.context);
}
