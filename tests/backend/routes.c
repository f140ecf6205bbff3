#include "tests/backend/backend.h"

#include <string.h>

static const struct {
    const char *method, *path; /* a path that ends in a star is a prefix */
    void (*handle)(struct exchange *exchange);
} routes[] = {
    {"GET", "/", route_name},
    {"GET", "/version", route_version},
    {"GET", "/instance_name", route_name},
    {"POST", "/write", route_write},
    {"GET", "/read", route_read},
    {"GET", "/count", route_count},
    {"GET", "/stats", route_stats},
    {"GET", "/list", route_list},
    {"GET", "/integrity", route_integrity},
    {"POST", "/hold", route_hold},
    {"POST", "/upload", route_upload},
    {"GET", "/download", route_download},
    {"DELETE", "/file", route_delete},
    {"POST", "/echo", route_echo},
    {"GET", "/headers", route_headers},
    {"GET", "/stream", route_stream},
    {"GET", "/large", route_large},
    {"GET", "/sleep", route_sleep},
    {"GET", "/env", route_env},
    {"POST", "/die", route_die},
    {"GET", "/api/sync", route_sync},
    {"*", "/http*", route_site},
};

static bool path_fits(const char *pattern, const char *path)
{
    size_t size = strlen(pattern);

    if (pattern[size - 1] == '*')
        return strncmp(pattern, path, size - 1) == 0;
    return strcmp(pattern, path) == 0;
}

static bool method_fits(const char *wanted, const char *method)
{
    return strcmp(wanted, "*") == 0 || strcmp(wanted, method) == 0 ||
           (strcmp(wanted, "GET") == 0 && strcmp(method, "HEAD") == 0);
}

void route_request(struct exchange *exchange)
{
    bool known = false;

    for (size_t at = 0; at < sizeof(routes) / sizeof(routes[0]); at++) {
        if (!path_fits(routes[at].path, exchange->path))
            continue;
        known = true;
        if (!method_fits(routes[at].method, exchange->head.start[0]))
            continue;
        routes[at].handle(exchange);
        return;
    }
    answer_json(exchange, known ? 405 : 404, "{\"error\":\"%s\"}", known ? "no such method" : "no such path");
}
