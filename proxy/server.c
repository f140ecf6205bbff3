/* Driving the HTTP library from our own event loop: it runs when its descriptor is readable, when a visit was
 * woken, and when a timeout of its own is due; again while a round did something, since an answer that was
 * queued is only sent by the next one. */
#include "proxy/server.h"

#include "base/cleanup.h"
#include "proxy/visit.h"

#include <assert.h>

enum { ADMIN_PLACES = 32, PARKED_LOOK_MS = 25, ROUNDS_MAX = 8 };

struct server {
    struct core *core;
    enum server_kind kind;
    struct http *http;
    struct loop_source source; /* the library's descriptor */
    struct clients clients;
    struct client *arriving; /* being added at this moment */
    struct pace pace;
    uint64_t last_run_ms;
};

static void *arrived(void *context)
{
    struct server *server = context;

    assert(server->arriving);
    return MOVE(server->arriving);
}

static void departed(void *connection)
{
    client_end(connection);
}

static struct http_request *begun(void *context, void *connection, const char *target)
{
    struct server *server = context;

    return visit_begin(connection, &server->pace, target);
}

static void refused(void *context, unsigned code)
{
    struct server *server = context;

    server->clients.hushed = true;
    if (server->kind == SERVER_FRONTS)
        core_count(server->core, code);
}

static void library_ready(struct loop_source *source, uint32_t events)
{
    (void)events;
    LIST_ENTRY(source, struct server, source)->pace.wanted = true;
}

static unsigned places(const struct server *server)
{
    return server->kind == SERVER_ADMIN ? ADMIN_PLACES : server->core->config.connections_max;
}

static bool open_library(struct server *server, struct err *err)
{
    const struct proxy_config *config = &server->core->config;
    const struct http_callbacks callbacks = {
        .context = server,
        .arrived = arrived,
        .departed = departed,
        .refused = refused,
        .begun = begun,
        .called = visit_call,
        .read = visit_read,
        .upgraded = visit_upgrade,
        .completed = visit_end,
    };
    const struct http_limits limits = {.connections_max = places(server),
                                       .silence_s = (unsigned)((config->idle_timeout_ms + 999) / 1000)};

    if (!http_open(&callbacks, &limits, &server->http, err))
        return false;
    server->source = (struct loop_source){.fd = http_fd(server->http), .ready = library_ready};
    if (!loop_add(&server->core->loop, &server->source, EPOLLIN))
        return err_errno(err, "watch the HTTP library");
    return true;
}

bool server_open(struct core *core, enum server_kind kind, struct server **ret_server, struct err *err)
{
    struct server *server = xcalloc(1, sizeof(*server));

    server->core = core;
    server->kind = kind;
    clients_init(&server->clients, core);
    if (!open_library(server, err)) {
        http_free(server->http);
        free(server);
        return false;
    }
    *ret_server = server;
    return true;
}

void server_free(struct server *server)
{
    if (!server)
        return;
    loop_remove(&server->core->loop, &server->source);
    server->clients.hushed = true;
    http_free(server->http);
    assert(server->clients.count == 0 && server->pace.parked == 0);
    free(server);
}

bool server_has_room(const struct server *server)
{
    unsigned tunnels = server->kind == SERVER_FRONTS ? server->core->tunnels_count : 0;

    return server->clients.count + tunnels < places(server);
}

void server_add(struct server *server, int fd, const struct sockaddr *address, socklen_t address_size,
                const struct proxy_front *front)
{
    assert((server->kind == SERVER_ADMIN) == !front);
    server->arriving = client_begin(&server->clients, fd, address, front);
    http_add(server->http, fd, address, address_size);
    if (server->arriving)
        client_forget(MOVE(server->arriving)); /* it was refused, and its socket closed */
    server->pace.wanted = true;
}

static bool is_due(const struct server *server)
{
    if (server->pace.wanted)
        return true;
    if (server->pace.parked > 0)
        return server->core->loop.now_ms - server->last_run_ms >= VISIT_PARKED_MS;
    return http_timeout_ms(server->http) == 0;
}

void server_run(struct server *server)
{
    int round;

    if (!is_due(server))
        return;
    server->last_run_ms = server->core->loop.now_ms;
    for (round = 0; round < ROUNDS_MAX; round++) {
        server->pace.wanted = server->pace.progress = false;
        server->clients.hushed = false;
        http_run(server->http);
        if (!server->pace.progress && !server->pace.wanted)
            break;
    }
    server->pace.wanted |= server->pace.progress;
}

uint64_t server_timeout_ms(const struct server *server)
{
    if (server->pace.wanted)
        return 0;
    /* The library always says 0 while anything is parked. */
    return server->pace.parked > 0 ? PARKED_LOOK_MS : http_timeout_ms(server->http);
}

void server_close_idle(struct server *server)
{
    clients_close_idle(&server->clients);
    server->pace.wanted = true;
}
