#include "tests/double/proxy_stand.h"

#include "base/thread.h"

#include <string.h>
#include <time.h>

static void status(void *context, struct proxy_status *ret_status)
{
    struct stand *stand = context;

    MUTEX_GUARD(&stand->mutex);
    *ret_status = stand->status;
}

static uint64_t position_now(void *context)
{
    return atomic_load(&((struct stand *)context)->position);
}

static void waiting(void *context)
{
    atomic_fetch_add(&((struct stand *)context)->waiting_told, 1);
}

static void answered(void *context)
{
    event_raise(((struct stand *)context)->answered);
}

static void drained(void *context)
{
    struct stand *stand = context;

    proxy_counters(stand->proxy, &stand->at_drained);
    event_raise(stand->drained);
}

static bool admin(void *context, const struct proxy_admin_request *request, struct buf *body,
                  const char **ret_content_type, unsigned *ret_code)
{
    (void)context;
    if (strcmp(request->path, "/echo") != 0)
        return false;
    buf_printf(body, "%s %s\n", request->method, request->path);
    *ret_content_type = "text/x-echo";
    *ret_code = strcmp(request->method, "POST") != 0 ? 200 : request->is_deliberate ? 202 : 403;
    return true;
}

static void forwarded(void *context)
{
    struct stand *stand = context;

    atomic_fetch_add(&stand->forwarded, 1);
}

static struct address any_port(void)
{
    struct address address;

    if (!address_parse("127.0.0.1:1", &address))
        abort();
    address.v4.sin_port = 0;
    return address;
}

struct proxy_config stand_config(struct stand *stand)
{
    struct err err = {0};

    memset(stand, 0, sizeof(*stand));
    stand->status = (struct proxy_status){.state = PROXY_SERVE, .progress = 1};
    if (pthread_mutex_init(&stand->mutex, NULL) != 0 || !event_open(&stand->answered, &err) ||
        !event_open(&stand->drained, &err))
        abort();
    stand->backend = peer_listen(&stand->backend_port);
    struct proxy_config config = {
        .fronts = {{.address = any_port(), .variable = "HOLDFAST_LISTEN", .prefix = ""},
                   {.address = any_port(), .variable = "HOLDFAST_SITE_LISTEN", .prefix = "/http"}},
        .fronts_count = 2,
        .admin = any_port(),
        .admin_variable = "HOLDFAST_ADMIN_LISTEN",
        .upstream = any_port(),
        .health_path = "/version",
        .hold_timeout_ms = 60 * 1000,
        .durability = {.position_now = position_now, .waiting = waiting, .context = stand},
        .context = stand,
        .status = status,
        .admin_answer = admin,
        .forwarded = forwarded,
        .answered = answered,
        .drained = drained,
    };
    config.upstream.v4.sin_port = htons(stand->backend_port);
    return config;
}

void stand_start(struct stand *stand, const struct proxy_config *config)
{
    struct err err = {0};

    if (!proxy_open(config, &stand->proxy, &err) || !proxy_start(stand->proxy, &err)) {
        (void)fprintf(stderr, "%s\n", err.text);
        abort();
    }
    stand->front = proxy_port(stand->proxy, 0);
    stand->site = config->fronts_count > 1 ? proxy_port(stand->proxy, 1) : 0;
    stand->admin = proxy_port(stand->proxy, config->fronts_count);
}

void stand_start_plain(struct stand *stand)
{
    struct proxy_config config = stand_config(stand);

    stand_start(stand, &config);
}

void stand_stop(struct stand *stand)
{
    proxy_free(stand->proxy);
    stand->proxy = NULL;
    (void)close(stand->backend);
    (void)close(stand->answered);
    (void)close(stand->drained);
    (void)pthread_mutex_destroy(&stand->mutex);
}

void stand_set_state(struct stand *stand, enum proxy_state state)
{
    {
        MUTEX_GUARD(&stand->mutex);
        stand->status.state = state;
    }
    proxy_wake(stand->proxy);
}

void stand_set_degraded(struct stand *stand, bool degraded)
{
    {
        MUTEX_GUARD(&stand->mutex);
        stand->status.degraded = degraded;
    }
    proxy_wake(stand->proxy);
}

void stand_set_failed(struct stand *stand, const char *reason, int exit_code)
{
    {
        MUTEX_GUARD(&stand->mutex);
        stand->status.failed = true;
        stand->status.exit_code = exit_code;
        (void)snprintf(stand->status.reason, sizeof(stand->status.reason), "%s", reason);
    }
    proxy_wake(stand->proxy);
}

enum counter { COUNT_HELD, COUNT_IN_FLIGHT, COUNT_TUNNELS };

static unsigned count_of(const struct stand *stand, enum counter counter)
{
    struct proxy_counters counters;

    proxy_counters(stand->proxy, &counters);
    switch (counter) {
    case COUNT_HELD:
        return counters.held;
    case COUNT_IN_FLIGHT:
        return counters.in_flight;
    case COUNT_TUNNELS:
    default:
        return counters.tunnels;
    }
}

/* The counters raise no event, so they are looked at every millisecond. */
static bool reaches(const struct stand *stand, enum counter counter, unsigned wanted)
{
    static const struct timespec moment = {.tv_nsec = 1000 * 1000};

    for (int look = 0; look < PEER_PATIENCE_S * 1000; look++) {
        if (count_of(stand, counter) == wanted)
            return true;
        (void)nanosleep(&moment, NULL);
    }
    return false;
}

bool stand_held(struct stand *stand, unsigned count)
{
    return reaches(stand, COUNT_HELD, count);
}

bool stand_in_flight(struct stand *stand, unsigned count)
{
    return reaches(stand, COUNT_IN_FLIGHT, count);
}

bool stand_tunnels(struct stand *stand, unsigned count)
{
    return reaches(stand, COUNT_TUNNELS, count);
}

int stand_backend_request(struct stand *stand, const char **ret_head)
{
    int fd = peer_accept(stand->backend);

    *ret_head = peer_head(fd);
    return fd;
}

int stand_exchange(struct stand *stand, const char *request, const char *answer)
{
    const char *head;
    int client = peer_ask(stand->front, request);
    int backend = stand_backend_request(stand, &head);

    peer_say(backend, answer);
    return client;
}

bool stand_is_kept(int client)
{
    peer_say(client, "GET /_holdfast/live HTTP/1.1\r\nHost: x\r\n\r\n");
    return peer_has(peer_head(client), "HTTP/1.1 200 OK");
}
