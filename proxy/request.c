#include "proxy/request.h"

#include <assert.h>
#include <fnmatch.h>
#include <string.h>

enum { METHOD_SIZE_MAX = 32, TARGET_SIZE_MAX = 8192 };

void request_head_init(struct request_head *head, const char *method, const char *target, const char *version)
{
    /* The unused fields stay as they are: three kilobytes of zeros would be wasted on each request. */
    head->method = method;
    head->target = target;
    head->version = version;
    head->headers.count = 0;
    head->too_many_headers = false;
}

static unsigned check_line(const struct request_head *head, struct request_facts *facts)
{
    static const char *const refused[] = {"CONNECT", "TRACE", "TRACK"};
    static const char *const idempotent[] = {"GET", "HEAD", "OPTIONS", "PUT", "DELETE"};
    size_t method_size = strlen(head->method);

    if (strcmp(head->version, "HTTP/1.1") != 0 && strcmp(head->version, "HTTP/1.0") != 0)
        return 505;
    facts->is_http_1_0 = head->version[7] == '0';
    if (!text_is_token(head->method, method_size))
        return 400;
    if (method_size > METHOD_SIZE_MAX)
        return 501;
    for (size_t at = 0; at < sizeof(refused) / sizeof(refused[0]); at++)
        if (strcmp(head->method, refused[at]) == 0)
            return 405;
    for (size_t at = 0; at < sizeof(idempotent) / sizeof(idempotent[0]); at++)
        facts->is_idempotent |= strcmp(head->method, idempotent[at]) == 0;
    facts->is_head = strcmp(head->method, "HEAD") == 0;
    return 0;
}

/* A name or address with or without a port: nothing that could end a host and begin something else. */
static bool is_host(const char *text, size_t size)
{
    for (size_t at = 0; at < size; at++) {
        unsigned char c = (unsigned char)text[at];
        if (c <= ' ' || c == 0x7f || strchr("/?#@\\,<>\"", c))
            return false;
    }
    return true;
}

static unsigned check_host(const struct request_head *head, struct request_facts *facts)
{
    size_t count = 0;

    facts->host = headers_find(&head->headers, "host", &count);
    if (count > 1 || (count == 0 && !facts->is_http_1_0))
        return 400;
    if (facts->host && !is_host(facts->host->value, facts->host->value_size))
        return 400;
    return 0;
}

/* `http://host/path` becomes `/path`; the host has to be that of the Host field (RFC 9112, 3.2.2). */
static unsigned check_absolute(const struct request_head *head, struct request_facts *facts)
{
    const char *scheme_end = strstr(head->target, "://"), *authority;
    size_t authority_size;

    if (!scheme_end)
        return 400;
    if (!text_equal(head->target, (size_t)(scheme_end - head->target), "http") &&
        !text_equal(head->target, (size_t)(scheme_end - head->target), "https"))
        return 400;
    authority = scheme_end + strlen("://");
    authority_size = strcspn(authority, "/?#");
    if (!facts->host || facts->host->value_size != authority_size ||
        strncasecmp(authority, facts->host->value, authority_size) != 0)
        return 400;
    facts->target = authority + authority_size;
    if (facts->target[0] == '\0')
        facts->target = "/";
    return facts->target[0] == '/' ? 0 : 400;
}

static unsigned check_target(const struct request_head *head, struct request_facts *facts)
{
    size_t size = strlen(head->target);

    if (size > TARGET_SIZE_MAX)
        return 414;
    for (size_t at = 0; at < size; at++)
        if ((unsigned char)head->target[at] <= ' ' || head->target[at] == 0x7f)
            return 400;
    facts->target = head->target;
    if (head->target[0] == '/')
        return 0;
    if (strcmp(head->target, "*") == 0)
        return strcmp(head->method, "OPTIONS") == 0 ? 0 : 400;
    return check_absolute(head, facts);
}

static unsigned check_fields(const struct request_head *head)
{
    if (head->too_many_headers)
        return 431;
    for (size_t at = 0; at < head->headers.count; at++) {
        const struct header *header = &head->headers.items[at];
        if (!text_is_token(header->name, header->name_size) ||
            !text_is_value(header->value, header->value_size))
            return 400;
    }
    return 0;
}

static unsigned check_framing(const struct request_head *head, struct request_facts *facts)
{
    size_t lengths = 0, codings = 0;
    const struct header *length = headers_find(&head->headers, "content-length", &lengths);
    const struct header *coding = headers_find(&head->headers, "transfer-encoding", &codings);

    if (lengths > 1 || codings > 1 || (length && coding) || (coding && facts->is_http_1_0))
        return 400;
    if (coding) {
        facts->body = BODY_CHUNKED;
        return text_equal(coding->value, coding->value_size, "chunked") ? 0 : 501;
    }
    if (!length)
        return 0;
    if (!text_to_number(length->value, length->value_size, &facts->length))
        return 400;
    facts->body = facts->length > 0 ? BODY_LENGTH : BODY_NONE;
    return 0;
}

static unsigned check_expectation(const struct request_head *head)
{
    size_t count = 0;
    const struct header *expect = headers_find(&head->headers, "expect", &count);

    if (count == 0)
        return 0;
    return count == 1 && text_equal(expect->value, expect->value_size, "100-continue") ? 0 : 417;
}

/* Only to websocket: h2c would tunnel requests past every rule here. */
static bool wants_websocket(const struct request_head *head, const struct request_facts *facts)
{
    size_t count = 0;
    const struct header *upgrade = headers_find(&head->headers, "upgrade", &count);

    return count == 1 && text_equal(upgrade->value, upgrade->value_size, "websocket") &&
           headers_list_token(&head->headers, "connection", "upgrade", strlen("upgrade")) &&
           strcmp(head->method, "GET") == 0 && !facts->is_http_1_0 && facts->body == BODY_NONE;
}

unsigned request_check(const struct request_head *head, struct request_facts *ret_facts)
{
    struct request_facts facts = {.body = BODY_NONE};
    unsigned code = check_line(head, &facts);

    if (code == 0)
        code = check_fields(head);
    if (code == 0)
        code = check_host(head, &facts);
    if (code == 0)
        code = check_target(head, &facts);
    if (code == 0)
        code = check_framing(head, &facts);
    if (code == 0)
        code = check_expectation(head);
    if (code != 0)
        return code;
    facts.is_upgrade = wants_websocket(head, &facts);
    *ret_facts = facts;
    return 0;
}

static void write_field(struct buf *text, const char *name, const char *value, size_t value_size)
{
    buf_add_text(text, name);
    buf_add_text(text, ": ");
    buf_add(text, value, value_size);
    buf_add_text(text, "\r\n");
}

/* The first element of a field that may come several times and as a list: what the nearest trusted proxy
 * meant when it had to choose one. */
static bool write_first(struct buf *text, const struct headers *headers, const char *name)
{
    const struct header *header = headers_find(headers, name, NULL);
    const char *comma;
    size_t size;

    if (!header)
        return false;
    comma = memchr(header->value, ',', header->value_size);
    size = comma ? (size_t)(comma - header->value) : header->value_size;
    while (size > 0 && (header->value[size - 1] == ' ' || header->value[size - 1] == '\t'))
        size--;
    if (size == 0)
        return false;
    write_field(text, name, header->value, size);
    return true;
}

static void write_forwarded_for(struct buf *text, const struct headers *headers,
                                const struct request_route *route)
{
    buf_add_text(text, "x-forwarded-for: ");
    for (size_t at = 0; route->trust_forwarded && at < headers->count; at++) {
        const struct header *header = &headers->items[at];
        if (!header_is(header, "x-forwarded-for") || header->value_size == 0)
            continue;
        buf_add(text, header->value, header->value_size);
        buf_add_text(text, ", ");
    }
    buf_add_text(text, route->client_ip);
    buf_add_text(text, "\r\n");
}

static void write_forwarded(struct buf *text, const struct request_head *head,
                            const struct request_facts *facts, const struct request_route *route)
{
    write_forwarded_for(text, &head->headers, route);
    if (!route->trust_forwarded || !write_first(text, &head->headers, "x-forwarded-proto"))
        buf_add_text(text, "x-forwarded-proto: http\r\n");
    if (route->trust_forwarded && write_first(text, &head->headers, "x-forwarded-host"))
        return;
    if (facts->host && facts->host->value_size > 0)
        write_field(text, "x-forwarded-host", facts->host->value, facts->host->value_size);
}

/* Fields that request_write() says itself, or that end here. libmicrohttpd has answered the expectation. */
static bool is_ours(const struct header *header)
{
    return header_is(header, "host") || header_is(header, "expect") || header_is(header, "forwarded") ||
           header_is(header, "x-forwarded-for") || header_is(header, "x-forwarded-proto") ||
           header_is(header, "x-forwarded-host");
}

static void write_framing(struct buf *text, const struct request_facts *facts, bool had_length)
{
    if (facts->is_upgrade)
        buf_add_text(text, "connection: upgrade\r\nupgrade: websocket\r\n");
    if (facts->body == BODY_CHUNKED)
        buf_add_text(text, "transfer-encoding: chunked\r\n");
    else if (facts->body == BODY_LENGTH || had_length)
        buf_printf(text, "content-length: %llu\r\n", (unsigned long long)facts->length);
}

void request_write(struct buf *text, const struct request_head *head, const struct request_facts *facts,
                   const struct request_route *route)
{
    const struct headers *headers = &head->headers;

    assert(facts->target && facts->body != BODY_UNTIL_CLOSE);
    buf_add_text(text, head->method);
    buf_add_text(text, " ");
    buf_add_text(text, facts->target[0] == '/' ? route->prefix : "");
    buf_add_text(text, facts->target);
    buf_add_text(text, " HTTP/1.1\r\n");
    if (facts->host)
        write_field(text, "host", facts->host->value, facts->host->value_size);
    else
        write_field(text, "host", route->default_host, strlen(route->default_host));
    for (size_t at = 0; at < headers->count; at++) {
        const struct header *header = &headers->items[at];
        if (is_ours(header) || headers_is_hop_by_hop(headers, header))
            continue;
        buf_add(text, header->name, header->name_size);
        buf_add_text(text, ": ");
        buf_add(text, header->value, header->value_size);
        buf_add_text(text, "\r\n");
    }
    write_forwarded(text, head, facts, route);
    write_framing(text, facts, headers_find(headers, "content-length", NULL) != NULL);
    buf_add_text(text, "\r\n");
}

bool request_matches(const char *target, const char *globs)
{
    size_t path_size = strcspn(target, "?#");
    char path[TARGET_SIZE_MAX + 1], glob[256];

    if (!globs || path_size >= sizeof(path))
        return false;
    memcpy(path, target, path_size);
    path[path_size] = '\0';
    for (const char *at = globs; *at;) {
        size_t size = strcspn(at, ":");
        if (size > 0 && size < sizeof(glob)) {
            memcpy(glob, at, size);
            glob[size] = '\0';
            if (fnmatch(glob, path, 0) == 0)
                return true;
        }
        at += size + (at[size] == ':');
    }
    return false;
}
