#include "tests/backend/http.h"

#include "base/cleanup.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

static bool stream_fill(struct http_stream *stream, struct err *err)
{
    ssize_t got;

    assert(stream->at == stream->end);
    do
        got = recv(stream->fd, stream->bytes, sizeof(stream->bytes), 0);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return err_set(err, ERR_TRANSIENT, "receive: %s", strerrordesc_np(errno));
    stream->at = 0;
    stream->end = (size_t)got;
    return true;
}

bool stream_read(struct http_stream *stream, void *bytes, size_t size, size_t *ret_size, struct err *err)
{
    size_t ready;

    if (stream->at == stream->end && !stream_fill(stream, err))
        return false;
    ready = stream->end - stream->at;
    if (ready > size)
        ready = size;
    memcpy(bytes, stream->bytes + stream->at, ready);
    stream->at += ready;
    *ret_size = ready;
    return true;
}

bool stream_read_all(struct http_stream *stream, void *bytes, size_t size, struct err *err)
{
    uint8_t *at = bytes;

    while (size > 0) {
        size_t got;
        if (!stream_read(stream, at, size, &got, err))
            return false;
        if (got == 0)
            return err_set(err, ERR_TRANSIENT, "the peer closed the connection");
        at += got;
        size -= got;
    }
    return true;
}

static bool head_is_complete(const struct buf *raw)
{
    return raw->size >= 4 && memcmp(raw->bytes + raw->size - 4, "\r\n\r\n", 4) == 0;
}

/* Cuts the first line at its first two spaces. */
static bool cut_start(struct http_head *head, char *line, struct err *err)
{
    for (size_t at = 0; at < 2; at++) {
        char *space = strchr(line, ' ');
        if (!space || space == line)
            return err_set(err, ERR_CORRUPT, "the first line of the head is malformed");
        *space = '\0';
        head->start[at] = line;
        line = space + 1;
    }
    head->start[2] = line;
    return true;
}

static bool cut_header(struct http_head *head, char *line, struct err *err)
{
    char *colon = strchr(line, ':'), *value, *end;

    if (!colon || colon == line || strcspn(line, " \t") < (size_t)(colon - line))
        return err_set(err, ERR_CORRUPT, "a header line is malformed");
    if (head->header_count == HTTP_HEADERS_MAX)
        return err_set(err, ERR_CORRUPT, "too many header lines");
    *colon = '\0';
    value = colon + 1 + strspn(colon + 1, " \t");
    end = value + strlen(value);
    while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
        *--end = '\0';
    head->headers[head->header_count++] = (struct http_header){.name = line, .value = value};
    return true;
}

static bool head_cut(struct http_head *head, struct err *err)
{
    char *line, *end;

    if (memchr(head->raw.bytes, '\0', head->raw.size))
        return err_set(err, ERR_CORRUPT, "a NUL in the head");
    line = head->text = xstrdup(buf_text(&head->raw));
    for (size_t number = 0; *line != '\r' || number == 0; number++) {
        end = strstr(line, "\r\n");
        if (!end)
            return err_set(err, ERR_CORRUPT, "a line of the head has no end");
        *end = '\0';
        if (!(number == 0 ? cut_start(head, line, err) : cut_header(head, line, err)))
            return false;
        line = end + 2;
    }
    return true;
}

bool head_read(struct http_stream *stream, struct http_head *head, struct err *err)
{
    head->raw.size_max = HTTP_HEAD_MAX;
    while (!head_is_complete(&head->raw)) {
        if (stream->at == stream->end && !stream_fill(stream, err))
            return false;
        if (stream->at == stream->end)
            return err_set(err, ERR_TRANSIENT, "the peer closed the connection");
        buf_add(&head->raw, &stream->bytes[stream->at++], 1);
        if (!buf_check(&head->raw, "the head", err))
            return false;
    }
    return head_cut(head, err);
}

void head_clear(struct http_head *head)
{
    buf_clear(&head->raw);
    free(head->text);
    *head = (struct http_head){0};
}

const char *head_value(const struct http_head *head, const char *name)
{
    for (size_t at = 0; at < head->header_count; at++)
        if (strcasecmp(head->headers[at].name, name) == 0)
            return head->headers[at].value;
    return NULL;
}

static bool list_has_token(const char *list, const char *token)
{
    size_t size = strlen(token);

    while (*list) {
        list += strspn(list, " \t,");
        if (strncasecmp(list, token, size) == 0 && strchr(" \t,;", list[size]))
            return true;
        list += strcspn(list, ",");
    }
    return false;
}

bool head_has_token(const struct http_head *head, const char *name, const char *token)
{
    for (size_t at = 0; at < head->header_count; at++)
        if (strcasecmp(head->headers[at].name, name) == 0 && list_has_token(head->headers[at].value, token))
            return true;
    return false;
}
