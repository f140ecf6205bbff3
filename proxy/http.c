/* libmicrohttpd's adapter.
 *
 * The daemon has no thread and no listening socket: connections are handed to it, and it runs when we say so,
 * in external epoll mode. Works with 0.9.75 (Debian 12) as with 1.0.10, which refuses by itself what
 * request.c has to refuse for the other. */
#include "proxy/http.h"

#include "base/cleanup.h"
#include "proxy/proxy.h"

#include <assert.h>
#include <fcntl.h>
#include <microhttpd.h>
#include <stdio.h>
#include <string.h>

/* Requests with two meanings were accepted up to here (docs/DESIGN.md, Proxy). */
#define STRICT_VERSION 0x01001000
#define HEAD_ONLY_VERSION 0x00097701 /* also the first with MHD_OPTION_CLIENT_DISCIPLINE_LVL */

enum {
    STREAM_BLOCK_SIZE = 64 * 1024,
    POOL_SIZE = 16 * 1024,
    POOL_PER_ITEM = 96, /* what the library keeps of a header beside its bytes */
    POOL_MARGIN = 1024
};

struct http {
    struct http_callbacks callbacks;
    struct MHD_Daemon *daemon;
};

static void *client_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

    assert(info);
    return info->socket_context;
}

/* The library takes the query apart from here, in its own memory, into arguments that nobody asks it for:
 * some two hundred fill a connection's, whatever their size. So none are left. */
static void cut_query(const char *target)
{
    char *query = target ? strchr(target, '?') : NULL;

    if (query)
        query[1] = '\0';
}

static void *on_target(void *context, const char *target, struct MHD_Connection *connection)
{
    struct http *http = context;
    struct http_request *request =
        http->callbacks.begun(http->callbacks.context, client_of(connection), target ? target : "");

    request->http = http;
    request->connection = connection;
    cut_query(target);
    return request;
}

/* NOLINTNEXTLINE(readability-function-size): the library's signature */
static enum MHD_Result on_call(void *context, struct MHD_Connection *connection, const char *url,
                               const char *method, const char *version, const char *bytes, size_t *size,
                               void **request)
{
    struct http_call call = {.method = method, .version = version, .bytes = bytes, .size = *size};
    const struct http *http = context;
    bool goes_on;

    (void)connection, (void)url; /* the url is decoded and cut: on_target() has seen the real one */
    assert(*request);
    goes_on = http->callbacks.called(*request, &call);
    *size = call.size;
    return goes_on ? MHD_YES : MHD_NO;
}

static void on_completed(void *context, struct MHD_Connection *connection, void **request,
                         enum MHD_RequestTerminationCode code)
{
    const struct http *http = context;

    (void)connection, (void)code;
    if (*request)
        http->callbacks.completed(*request);
    *request = NULL;
}

static void on_connection(void *context, struct MHD_Connection *connection, void **client,
                          enum MHD_ConnectionNotificationCode code)
{
    const struct http *http = context;

    (void)connection;
    if (code == MHD_CONNECTION_NOTIFY_STARTED)
        *client = http->callbacks.arrived(http->callbacks.context);
    else
        http->callbacks.departed(*client);
}

/* What the library refuses, some of it before there is a request that it could tell of, is said to nobody but
 * its log, as a message whose first argument is the code (0.9.75 and 1.0.10 alike). */
static void on_log(void *context, const char *format, va_list arguments)
{
    const struct http *http = context;

    if (strstr(format, "(HTTP response code is %u"))
        http->callbacks.refused(http->callbacks.context, va_arg(arguments, unsigned));
}

bool http_open(const struct http_callbacks *callbacks, const struct http_limits *limits,
               struct http **ret_http, struct err *err)
{
    /* TURBO: no shutdown() before close(), which would reach the duplicates of a socket too. */
    static const unsigned flags = MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME |
                                  MHD_ALLOW_UPGRADE | MHD_USE_TURBO | MHD_USE_ERROR_LOG
#if MHD_VERSION >= HEAD_ONLY_VERSION
                                  | MHD_USE_NO_THREAD_SAFETY
#endif
        ;
    struct http *http = xcalloc(1, sizeof(*http));

    http->callbacks = *callbacks;
    http->daemon = MHD_start_daemon(flags, 0, NULL, NULL, on_call, http, MHD_OPTION_EXTERNAL_LOGGER, on_log,
                                    http, MHD_OPTION_CONNECTION_LIMIT, limits->connections_max,
                                    MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)POOL_SIZE,
                                    MHD_OPTION_CONNECTION_TIMEOUT, limits->silence_s,
                                    MHD_OPTION_URI_LOG_CALLBACK, on_target, http, MHD_OPTION_NOTIFY_COMPLETED,
                                    on_completed, http, MHD_OPTION_NOTIFY_CONNECTION, on_connection, http,
#if MHD_VERSION >= HEAD_ONLY_VERSION
                                    MHD_OPTION_CLIENT_DISCIPLINE_LVL, 1,
#else
                                    MHD_OPTION_STRICT_FOR_CLIENT, 1,
#endif
                                    MHD_OPTION_END);
    if (!http->daemon) {
        free(http);
        return err_set(err, ERR_SYSTEM, "libmicrohttpd %s can't be started", MHD_get_version());
    }
    *ret_http = http;
    return true;
}

void http_free(struct http *http)
{
    if (!http)
        return;
    MHD_stop_daemon(http->daemon);
    free(http);
}

void http_add(struct http *http, int fd, const struct sockaddr *address, socklen_t address_size)
{
    (void)MHD_add_connection(http->daemon, fd, address, address_size); /* it closes fd if it fails */
}

int http_fd(const struct http *http)
{
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_EPOLL_FD);

    assert(info);
    return info->epoll_fd;
}

void http_run(struct http *http)
{
    (void)MHD_run(http->daemon);
}

uint64_t http_timeout_ms(const struct http *http)
{
    MHD_UNSIGNED_LONG_LONG timeout_ms = 0;

    return MHD_get_timeout(http->daemon, &timeout_ms) == MHD_YES ? timeout_ms : UINT64_MAX;
}

static enum MHD_Result collect(void *context, enum MHD_ValueKind kind, const char *name, size_t name_size,
                               const char *value, size_t value_size)
{
    struct request_head *head = context;

    (void)kind;
    if (head->headers.count == HEADERS_MAX) {
        head->too_many_headers = true;
        return MHD_NO;
    }
    head->headers.items[head->headers.count++] = (struct header){
        .name = name, .name_size = name_size, .value = value ? value : "", .value_size = value_size};
    return MHD_YES;
}

static size_t pool_used(const struct request_head *head)
{
    size_t used = strlen(head->target) + POOL_PER_ITEM;

    for (size_t at = 0; at < head->headers.count; at++)
        used += head->headers.items[at].name_size + head->headers.items[at].value_size + POOL_PER_ITEM;
    return used;
}

void http_headers(struct http_request *request, struct request_head *head)
{
    (void)MHD_get_connection_values_n(request->connection, MHD_HEADER_KIND, collect, head);
    request->pool_used = pool_used(head);
}

bool http_fits(const struct http_request *request, size_t response_head_size)
{
    return request->pool_used + response_head_size + POOL_MARGIN <= POOL_SIZE;
}

void http_suspend(const struct http_request *request)
{
    MHD_suspend_connection(request->connection);
}

void http_resume(const struct http_request *request)
{
    MHD_resume_connection(request->connection);
}

/* A socket whose other end is closed. */
static int dead_socket(void)
{
    int ends[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0)
        return -1;
    (void)close(ends[1]);
    return ends[0];
}

static int socket_of(const struct http_request *request)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_CONNECTION_FD);

    assert(info);
    return info->connect_fd;
}

bool http_take_socket(const struct http_request *request, int *ret_fd)
{
    int fd = socket_of(request);
    CLEANUP(close_fdp) int dead_fd = dead_socket();
    CLEANUP(close_fdp) int taken_fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);

    if (dead_fd < 0 || taken_fd < 0)
        return false;
    /* A mere duplicate would still be read by the library, which would answer what it can't make sense of.
     * While suspended, the descriptor is in no epoll set of its: it can be replaced behind its back. */
    MHD_suspend_connection(request->connection);
    if (dup3(dead_fd, fd, O_CLOEXEC) < 0) {
        MHD_resume_connection(request->connection);
        return false;
    }
    MHD_resume_connection(request->connection);
    *ret_fd = MOVE_FD(taken_fd);
    return true;
}

static ssize_t on_read(void *context, uint64_t position, char *bytes, size_t size)
{
    struct http_request *request = context;
    ssize_t got = request->http->callbacks.read(request, bytes, size);

    (void)position;
    if (got >= 0)
        return got;
    if (got == HTTP_END && !request->ends_with_connection)
        return MHD_CONTENT_READER_END_OF_STREAM;
    /* Told so, the library would note that the connection is to be closed, but if it had only waited, forget
     * it until it was silent for too long. It doesn't forget one to which it can't send: so our direction is
     * ended here, and a byte given that goes nowhere. */
    (void)shutdown(socket_of(request), SHUT_WR);
    bytes[0] = '\0';
    return 1;
}

static void on_upgrade(void *context, struct MHD_Connection *connection, void *request_context,
                       const char *bytes, size_t size, MHD_socket fd,
                       struct MHD_UpgradeResponseHandle *handle)
{
    struct http_request *request = context;

    (void)connection, (void)request_context;
    request->http->callbacks.upgraded(request, fd, bytes, size);
    (void)MHD_upgrade_action(handle, MHD_UPGRADE_ACTION_CLOSE);
}

/* The length that a body would have, if there is one, and no body. */
static struct MHD_Response *create_headless(struct http_request *request,
                                            const struct http_response *response)
{
    struct MHD_Response *created;
#if MHD_VERSION >= HEAD_ONLY_VERSION
    char length[24];

    (void)request;
    created = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    if (!created)
        return NULL;
    (void)MHD_set_response_options(created, MHD_RF_HEAD_ONLY_RESPONSE, MHD_RO_END);
    (void)snprintf(length, sizeof(length), "%llu", (unsigned long long)response->length);
    if (response->has_length)
        (void)MHD_add_response_header(created, "Content-Length", length);
#else
    /* A length that is not known would be sent as a chunked body, unless the connection is closed. */
    created = MHD_create_response_from_callback(response->has_length ? response->length : MHD_SIZE_UNKNOWN,
                                                1024, on_read, request, NULL);
    if (created && !response->has_length)
        (void)MHD_set_response_options(created, MHD_RF_HTTP_1_0_COMPATIBLE_STRICT, MHD_RO_END);
#endif
    return created;
}

static struct MHD_Response *create_stream(struct http_request *request, const struct http_response *response)
{
    uint64_t length = response->has_length ? response->length : MHD_SIZE_UNKNOWN;

    return MHD_create_response_from_callback(
        length, length < STREAM_BLOCK_SIZE ? (size_t)length : STREAM_BLOCK_SIZE, on_read, request, NULL);
}

static struct MHD_Response *create(struct http_request *request, const struct http_response *response)
{
    switch (response->body) {
    case HTTP_STREAM:
        return create_stream(request, response);
    case HTTP_HEADLESS:
        return create_headless(request, response);
    case HTTP_UPGRADE:
        return MHD_create_response_for_upgrade(on_upgrade, request);
    case HTTP_BYTES:
    default:
        return MHD_create_response_from_buffer(response->size, (void *)(uintptr_t)response->bytes,
                                               MHD_RESPMEM_PERSISTENT);
    }
}

/* The library says itself where the message ends and whether the connection goes on; empty values it refuses.
 */
static void add_headers(struct MHD_Response *created, const struct http_response *response)
{
    for (size_t at = 0; at < response->headers->count; at++) {
        const struct header *header = &response->headers->items[at];
        if (!headers_is_hop_by_hop(response->headers, header))
            (void)MHD_add_response_header(created, header->name, header->value);
    }
    if (response->body == HTTP_UPGRADE)
        (void)MHD_add_response_header(created, "Upgrade", "websocket");
    else if (response->closes)
        (void)MHD_add_response_header(created, "Connection", "close");
}

bool http_respond(struct http_request *request, const struct http_response *response)
{
    struct MHD_Response *created = create(request, response);
    enum MHD_Result result;

    if (!created)
        return false;
    add_headers(created, response);
    request->ends_with_connection =
        response->body == HTTP_STREAM && !response->has_length && response->is_http_1_0;
    result = MHD_queue_response(request->connection, response->code, created);
    MHD_destroy_response(created); /* the library keeps its own reference */
    return result == MHD_YES;
}

const char *proxy_http_library(void)
{
    return MHD_get_version();
}

bool proxy_http_library_is_strict(void)
{
    return MHD_VERSION >= STRICT_VERSION;
}
