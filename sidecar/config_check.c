/* What only several variables together can tell, and what the kinds of config_table.c are too coarse for. */
#include "sidecar/config_table.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <string.h>

enum {
    DRILL_LEAST_MS = 1000,
    GLOB_MAX = 255 /* of what the proxy compares with */
};

static bool is_given(const struct store_secret *secret)
{
    return secret->value || secret->file;
}

static void check_credentials(const struct config *config, struct config_report *report)
{
    const struct store_config *store = &config->store;
    const char *family = config->used_aws_credentials ? "AWS_" : "HOLDFAST_S3_";
    bool key = is_given(&store->access_key_id), secret = is_given(&store->secret_access_key);

    if (!key && !secret)
        config_fault(report,
                     "HOLDFAST_S3_ACCESS_KEY_ID and HOLDFAST_S3_SECRET_ACCESS_KEY are not set: give them, "
                     "or AWS_* of the same name, or their _FILE (instance metadata and web identity are not "
                     "supported)");
    else if (!key || !secret)
        config_fault(report, "%s%s is not set, but its partner is: credentials are given together", family,
                     key ? "SECRET_ACCESS_KEY" : "ACCESS_KEY_ID");
}

/* True if path is directory or below it, by name. */
static bool is_within(const char *path, const char *directory)
{
    size_t size = strlen(directory);

    while (size > 1 && directory[size - 1] == '/')
        size--;
    return strncmp(path, directory, size) == 0 && (path[size] == '/' || path[size] == '\0' || size == 1);
}

static void check_directory(struct config *config, struct config_report *report)
{
    const char *store = config->store.directory, *data = config->data_directory;

    config->used_aws_credentials = false; /* whatever is there is the application's */
    if (is_within(store, data) || is_within(data, store))
        config_fault(
            report,
            "HOLDFAST_STORE and HOLDFAST_DATA_DIR lie within each other: put the store outside of %.120s",
            data);
}

static void check_store(struct config *config, enum config_scope scope, struct config_report *report)
{
    struct err err = {0};

    if (!config->store_url) {
        if (scope == CONFIG_WITH_STORE)
            config_fault(report,
                         "HOLDFAST_STORE is not set: say where the data is kept, s3://BUCKET/PREFIX, "
                         "r2://ACCOUNT/BUCKET/PREFIX or file:///DIR");
        return;
    }
    if (!store_config_parse_url(&config->store, config->store_url, &err)) {
        config_fault(report, "%s", err.text);
        return;
    }
    if (config->store.kind == STORE_S3)
        check_credentials(config, report);
    else
        check_directory(config, report);
}

static bool is_loopback(const struct address *address)
{
    if (address->any.sa_family == AF_INET)
        return (ntohl(address->v4.sin_addr.s_addr) >> 24) == 127;
    return IN6_IS_ADDR_LOOPBACK(&address->v6.sin6_addr);
}

static bool is_wildcard(const struct address *address)
{
    if (address->any.sa_family == AF_INET)
        return address->v4.sin_addr.s_addr == htonl(INADDR_ANY);
    return IN6_IS_ADDR_UNSPECIFIED(&address->v6.sin6_addr);
}

static bool is_same(const struct address *a, const struct address *b)
{
    return a->size == b->size && memcmp(a, b, a->size) == 0;
}

/* True if both can't be listened on at once. The port stands at the same place in both families. */
static bool clash(const struct address *a, const struct address *b)
{
    if (a->size == 0 || b->size == 0 || a->v4.sin_port != b->v4.sin_port)
        return false;
    return is_same(a, b) || is_wildcard(a) || is_wildcard(b);
}

static void check_addresses(const struct config *config, struct config_report *report)
{
    const struct {
        const char *name;
        const struct address *address;
    } taken[] = {
        {"LISTEN", &config->listen},
        {"SITE_LISTEN", &config->site_listen},
        {"ADMIN_LISTEN", &config->admin_listen},
        {"UPSTREAM", is_loopback(&config->upstream) ? &config->upstream : &(struct address){.size = 0}},
    };

    for (size_t a = 0; a < sizeof(taken) / sizeof(taken[0]); a++)
        for (size_t b = a + 1; b < sizeof(taken) / sizeof(taken[0]); b++)
            if (clash(taken[a].address, taken[b].address))
                config_fault(report,
                             "HOLDFAST_%s and HOLDFAST_%s are the same port: give one of them another",
                             taken[a].name, taken[b].name);
}

/* Goes into a request line: a path, without anything that would end it. */
static bool is_request_path(const char *text)
{
    if (*text != '/')
        return false;
    for (; *text; text++)
        if (*text <= ' ' || *text == 0x7f)
            return false;
    return true;
}

/* Stands before a path: it can't end one, and what follows begins with a slash of its own. */
static bool is_prefix(const char *text)
{
    return is_request_path(text) && !strpbrk(text, "?#") && text[strlen(text) - 1] != '/';
}

/* Colon-separated, each able to match a path, which begins with a slash. */
static bool are_request_globs(const char *text)
{
    while (true) {
        size_t size = strcspn(text, ":");
        if (size == 0 || size > GLOB_MAX || !strchr("/*?[", *text))
            return false;
        if (*text == '[' && !memchr(text, ']', size))
            return false;
        if (text[size] == '\0')
            return true;
        text += size + 1;
    }
}

static bool are_names(const char *text)
{
    static const char separators[] = CONFIG_NAME_SEPARATORS;

    for (text += strspn(text, separators); *text; text += strspn(text, separators)) {
        size_t size = strcspn(text, separators);
        for (size_t at = 0; at < size; at++)
            if (!isalnum((unsigned char)text[at]) && text[at] != '_')
                return false;
        text += size;
    }
    return true;
}

static void check_texts(const struct config *config, struct config_report *report)
{
    if (!is_request_path(config->health_path))
        config_fault(report, "HOLDFAST_HEALTH_PATH is not a path: write for example /version");
    if (!is_prefix(config->site_prefix))
        config_fault(
            report,
            "HOLDFAST_SITE_PREFIX is not a path that can stand before another: write for example /http");
    if (config->drain_allow && *config->drain_allow && !are_request_globs(config->drain_allow))
        config_fault(report,
                     "HOLDFAST_DRAIN_ALLOW is not a list of globs of paths: write for example "
                     "/api/actions/*:/callback");
    if (config->child_env && !are_names(config->child_env)) /* not shown: it may hold a value */
        config_fault(
            report,
            "HOLDFAST_CHILD_ENV is not a list of names: write for example AWS_ACCESS_KEY_ID,AWS_REGION "
            "without their values");
}

static void check_rest(const struct config *config, struct config_report *report)
{
    if (is_within("/", config->data_directory))
        config_fault(
            report,
            "HOLDFAST_DATA_DIR is the root directory: name the directory that the backend keeps its data in");
    check_texts(config, report);
    if (config->drill_interval_ms > 0 && config->drill_interval_ms < DRILL_LEAST_MS)
        config_fault(report,
                     "HOLDFAST_DRILL_INTERVAL is below a second, and each drill reads everything in the "
                     "store: write for example 24h, or 0 for none");
    if (config->durability == DURABILITY_SYNC)
        config_fault(report, "HOLDFAST_DURABILITY=sync is not supported by this release: write async");
}

void config_check(struct config *config, enum config_scope scope, struct config_report *report)
{
    check_store(config, scope, report);
    check_addresses(config, report);
    check_rest(config, report);
}
