/* The proxy's life and its one thread. What other threads ask for is left in atomics and an event is raised;
 * the thread does it between two rounds of its loop. */
#include "proxy/proxy.h"

#include "base/clock.h"
#include "base/thread.h"
#include "proxy/core.h"
#include "proxy/exchange.h"
#include "proxy/health.h"
#include "proxy/linger.h"
#include "proxy/listener.h"
#include "proxy/server.h"
#include "proxy/tunnel.h"

#include <assert.h>

enum order {
    ORDER_LOOK = 1 << 0,
    ORDER_HEALTH = 1 << 1,
    ORDER_RELEASE = 1 << 2,
    ORDER_FAIL = 1 << 3,
    ORDER_DRAIN = 1 << 4,
    ORDER_FENCE = 1 << 5,
    ORDER_STOP = 1 << 6,
};

struct proxy {
    struct core core;
    struct server *servers[SERVER_KINDS];
    struct health health;
    struct listener listeners[PROXY_FRONTS_MAX + 1]; /* the fronts, then admin */
    struct loop_source event;
    struct loop_timer drain_timer;
    pthread_t thread;
    bool started;
    bool stopping;

    atomic_uint orders;
    atomic_bool failing;          /* of ORDER_FAIL */
    _Atomic uint64_t drain_at_ms; /* of ORDER_DRAIN: the earliest that was asked for */
};

static void order(struct proxy *proxy, enum order what)
{
    atomic_fetch_or(&proxy->orders, (unsigned)what);
    event_raise(proxy->event.fd);
}

void proxy_wake(struct proxy *proxy)
{
    order(proxy, ORDER_LOOK);
}

void proxy_health_begin(struct proxy *proxy)
{
    order(proxy, ORDER_HEALTH);
}

void proxy_set_durable(struct proxy *proxy, uint64_t position)
{
    if (durable_advance(&proxy->core.durable, position))
        order(proxy, ORDER_RELEASE);
}

void proxy_fail_held(struct proxy *proxy, bool on)
{
    atomic_store(&proxy->failing, on);
    order(proxy, ORDER_FAIL);
}

void proxy_drain(struct proxy *proxy, uint64_t deadline_ms)
{
    uint64_t at_ms = clock_monotonic_ms() + deadline_ms;
    uint64_t known = atomic_load(&proxy->drain_at_ms);

    while (at_ms < known && !atomic_compare_exchange_weak(&proxy->drain_at_ms, &known, at_ms))
        ;
    order(proxy, ORDER_DRAIN);
}

void proxy_fence(struct proxy *proxy)
{
    order(proxy, ORDER_FENCE);
}

/* No work of a drain is left after this: what it cuts is closed as soon as the library runs. */
static void drain_expired(struct loop_timer *timer)
{
    struct proxy *proxy = LIST_ENTRY(timer, struct proxy, drain_timer);

    exchange_cut(&proxy->core, EXCHANGES_COUNTED);
    tunnel_cut_all(&proxy->core);
}

static void begin_drain(struct proxy *proxy)
{
    struct core *core = &proxy->core;
    uint64_t at_ms = atomic_load(&proxy->drain_at_ms);

    loop_timer_set(&core->loop, &proxy->drain_timer,
                   at_ms > core->loop.now_ms ? at_ms - core->loop.now_ms : 0);
    if (core->gate.draining)
        return;
    core->gate.draining = true;
    gate_look(&core->gate);
    server_close_idle(proxy->servers[SERVER_FRONTS]);
    tunnel_drain_all(core);
    core_check_drained(core);
}

static void begin_fence(struct proxy *proxy)
{
    proxy->core.gate.fenced = true;
    exchange_cut(&proxy->core, EXCHANGES_FORWARDED);
    tunnel_cut_all(&proxy->core);
    gate_look(&proxy->core.gate);
}

static void obey(struct loop_source *source, uint32_t events)
{
    struct proxy *proxy = LIST_ENTRY(source, struct proxy, event);
    unsigned orders;

    (void)events;
    (void)event_take(source->fd);
    orders = atomic_exchange(&proxy->orders, 0);
    if (orders & ORDER_FENCE)
        begin_fence(proxy);
    if (orders & ORDER_RELEASE)
        durable_release(&proxy->core.durable);
    if (orders & ORDER_FAIL)
        durable_fail(&proxy->core.durable, atomic_load(&proxy->failing));
    if (orders & ORDER_LOOK)
        gate_look(&proxy->core.gate);
    if (orders & ORDER_HEALTH)
        health_begin(&proxy->health);
    if (orders & ORDER_DRAIN)
        begin_drain(proxy);
    if (orders & ORDER_STOP)
        proxy->stopping = true;
}

static uint64_t earlier(uint64_t left_ms, uint64_t right_ms)
{
    return left_ms < right_ms ? left_ms : right_ms;
}

static void *run(void *context)
{
    struct proxy *proxy = context;

    gate_look(&proxy->core.gate);
    while (!proxy->stopping) {
        uint64_t timeout_ms = UINT64_MAX;
        for (int kind = 0; kind < SERVER_KINDS; kind++)
            server_run(proxy->servers[kind]);
        for (int kind = 0; kind < SERVER_KINDS; kind++)
            timeout_ms = earlier(timeout_ms, server_timeout_ms(proxy->servers[kind]));
        core_publish(&proxy->core);
        loop_run(&proxy->core.loop, timeout_ms);
    }
    return NULL;
}

static struct server *server_of(const struct proxy *proxy, const struct proxy_front *front)
{
    return proxy->servers[front ? SERVER_FRONTS : SERVER_ADMIN];
}

static bool has_room(void *context, const struct proxy_front *front)
{
    return server_has_room(server_of(context, front));
}

static void accepted(void *context, int fd, const struct sockaddr *address, socklen_t address_size,
                     const struct proxy_front *front)
{
    server_add(server_of(context, front), fd, address, address_size, front);
}

static bool open_listener(struct proxy *proxy, size_t at, struct err *err)
{
    const struct proxy_config *config = &proxy->core.config;
    const struct proxy_front *front = at < config->fronts_count ? &config->fronts[at] : NULL;
    struct listener *listener = &proxy->listeners[at];

    if (!listener_open(listener, &proxy->core, front ? &front->address : &config->admin,
                       front ? front->variable : config->admin_variable, err))
        return false;
    listener->front = front;
    listener->has_room = has_room;
    listener->accepted = accepted;
    listener->context = proxy;
    return true;
}

static bool open_all(struct proxy *proxy, struct err *err)
{
    for (size_t at = 0; at <= proxy->core.config.fronts_count; at++)
        if (!open_listener(proxy, at, err))
            return false;
    if (!event_open(&proxy->event.fd, err))
        return false;
    proxy->event.ready = obey;
    if (!loop_add(&proxy->core.loop, &proxy->event, EPOLLIN))
        return err_errno(err, "watch an event");
    for (int kind = 0; kind < SERVER_KINDS; kind++)
        if (!server_open(&proxy->core, (enum server_kind)kind, &proxy->servers[kind], err))
            return false;
    return true;
}

bool proxy_open(const struct proxy_config *config, struct proxy **ret_proxy, struct err *err)
{
    CLEANUP(proxy_freep) struct proxy *proxy = NULL;

    assert(config->status && config->answered && config->health_path && config->upstream.size > 0);
    assert(config->fronts_count <= PROXY_FRONTS_MAX && config->admin.size > 0);
    proxy = xcalloc(1, sizeof(*proxy));
    proxy->event.fd = -1;
    proxy->core.loop.epoll_fd = -1;
    atomic_store(&proxy->drain_at_ms, UINT64_MAX);
    for (size_t at = 0; at <= PROXY_FRONTS_MAX; at++)
        proxy->listeners[at].source.fd = -1;
    core_init(&proxy->core, config);
    health_init(&proxy->health, &proxy->core);
    loop_timer_init(&proxy->drain_timer, drain_expired);
    if (!loop_open(&proxy->core.loop, err) || !open_all(proxy, err))
        return false;
    *ret_proxy = MOVE(proxy);
    return true;
}

bool proxy_start(struct proxy *proxy, struct err *err)
{
    assert(!proxy->started);
    for (size_t at = 0; at <= proxy->core.config.fronts_count; at++)
        if (!listener_start(&proxy->listeners[at], err))
            return false;
    if (!thread_start(&proxy->thread, "proxy", run, proxy, err))
        return false;
    proxy->started = true;
    return true;
}

void proxy_free(struct proxy *proxy)
{
    if (!proxy)
        return;
    if (proxy->started) {
        order(proxy, ORDER_STOP);
        (void)pthread_join(proxy->thread, NULL);
    }
    proxy->core.drained = true; /* nobody is told any more */
    for (size_t at = 0; at <= PROXY_FRONTS_MAX; at++)
        listener_close(&proxy->listeners[at]);
    exchange_cut(&proxy->core, EXCHANGES_ALL);
    for (int kind = 0; kind < SERVER_KINDS; kind++)
        server_free(proxy->servers[kind]);
    tunnel_cut_all(&proxy->core);
    linger_end_all(&proxy->core);
    health_clear(&proxy->health);
    core_clear(&proxy->core);
    close_fdp(&proxy->event.fd);
    free(proxy);
}

uint16_t proxy_port(const struct proxy *proxy, size_t at)
{
    assert(at <= proxy->core.config.fronts_count);
    return listener_port(&proxy->listeners[at]);
}

void proxy_counters(const struct proxy *proxy, struct proxy_counters *ret_counters)
{
    const struct core *core = &proxy->core;

    for (size_t at = 0; at < PROXY_CODES_MAX; at++)
        ret_counters->requests[at] = atomic_load_explicit(&core->requests[at], memory_order_relaxed);
    ret_counters->forwarded = atomic_load_explicit(&core->forwarded, memory_order_relaxed);
    ret_counters->held = atomic_load_explicit(&core->held_shown, memory_order_relaxed);
    ret_counters->in_flight = atomic_load_explicit(&core->in_flight_shown, memory_order_relaxed);
    ret_counters->tunnels = atomic_load_explicit(&core->tunnels_shown, memory_order_relaxed);
}
