#include "tests/backend/http.h"

#include "tests/backend/flags.h"

#include "base/fs.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool body_begin(struct http_body *body, const struct http_head *head, enum http_body_kind otherwise,
                struct err *err)
{
    const char *length = head_value(head, "Content-Length"),
               *encoding = head_value(head, "Transfer-Encoding");

    *body = (struct http_body){.kind = otherwise};
    if (length && encoding)
        return err_set(err, ERR_CORRUPT, "both Content-Length and Transfer-Encoding");
    if (encoding) {
        if (strcmp(encoding, "chunked") != 0)
            return err_set(err, ERR_CORRUPT, "Transfer-Encoding: %s", encoding);
        body->kind = HTTP_BODY_CHUNKED;
    } else if (length) {
        if (!parse_number(length, &body->left))
            return err_set(err, ERR_CORRUPT, "Content-Length: %s", length);
        body->kind = HTTP_BODY_SIZED;
    }
    body->ended = body->kind == HTTP_BODY_NONE || (body->kind == HTTP_BODY_SIZED && body->left == 0);
    return true;
}

static bool read_line(struct http_stream *stream, char *line, size_t size, struct err *err)
{
    size_t at = 0;

    while (at + 1 < size) {
        if (!stream_read_all(stream, &line[at], 1, err))
            return false;
        if (line[at] != '\n') {
            at++;
            continue;
        }
        if (at == 0 || line[at - 1] != '\r')
            return err_set(err, ERR_CORRUPT, "a bare line feed in chunked framing");
        line[at - 1] = '\0';
        return true;
    }
    return err_set(err, ERR_CORRUPT, "a line of chunked framing is too long");
}

static bool read_trailers(struct http_stream *stream, struct err *err)
{
    char line[1024];

    do {
        if (!read_line(stream, line, sizeof(line), err))
            return false;
    } while (line[0]);
    return true;
}

static bool next_chunk(struct http_body *body, struct http_stream *stream, struct err *err)
{
    char line[256], *end;
    size_t digits;

    if (body->in_chunk && (!read_line(stream, line, sizeof(line), err) || line[0]))
        return err_set(err, ERR_CORRUPT, "a chunk is longer than it said");
    if (!read_line(stream, line, sizeof(line), err))
        return false;
    digits = strspn(line, "0123456789abcdefABCDEF");
    if (digits == 0 || digits > 15 || (line[digits] && !strchr("; \t", line[digits])))
        return err_set(err, ERR_CORRUPT, "a chunk's size is malformed");
    body->left = strtoull(line, &end, 16);
    body->in_chunk = true;
    if (body->left > 0)
        return true;
    body->ended = true;
    return read_trailers(stream, err);
}

bool body_read(struct http_body *body, struct http_stream *stream, void *bytes, size_t size, size_t *ret_size,
               struct err *err)
{
    size_t got;

    assert(size > 0);
    if (!body->ended && body->kind == HTTP_BODY_CHUNKED && body->left == 0 && !next_chunk(body, stream, err))
        return false;
    if (body->ended) {
        *ret_size = 0;
        return true;
    }
    if (body->kind != HTTP_BODY_TO_END && size > body->left)
        size = (size_t)body->left;
    if (!stream_read(stream, bytes, size, &got, err))
        return false;
    if (got == 0 && body->kind != HTTP_BODY_TO_END)
        return err_set(err, ERR_TRANSIENT, "the body was cut off");
    if (body->kind == HTTP_BODY_TO_END)
        body->ended = got == 0;
    else
        body->left -= got;
    if (body->kind == HTTP_BODY_SIZED)
        body->ended = body->left == 0;
    *ret_size = got;
    return true;
}

bool body_read_whole(struct http_body *body, struct http_stream *stream, struct buf *whole, struct err *err)
{
    uint8_t piece[16 * 1024];
    size_t got;

    do {
        if (!body_read(body, stream, piece, sizeof(piece), &got, err))
            return false;
        buf_add(whole, piece, got);
    } while (got > 0);
    return buf_check(whole, "the body", err);
}

bool chunk_write(int fd, const void *bytes, size_t size, struct err *err)
{
    char line[32];

    if (size == 0)
        return true;
    return fs_write_all(fd, line, (size_t)snprintf(line, sizeof(line), "%zx\r\n", size), err) &&
           fs_write_all(fd, bytes, size, err) && fs_write_all(fd, "\r\n", 2, err);
}

bool chunk_end(int fd, struct err *err)
{
    return fs_write_all(fd, "0\r\n\r\n", 5, err);
}
