#include "tests/backend/websocket.h"

#include "base/cleanup.h"
#include "base/fs.h"

#include <assert.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

/* Sec-WebSocket-Accept: base64 of SHA-1 of the key and a fixed text (RFC 6455, 4.2.2). */
static void accept_key(const char *key, char accepted[32])
{
    static const char magic[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    char text[128];
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size;
    int done;

    (void)snprintf(text, sizeof(text), "%.64s%s", key, magic);
    done = EVP_Digest(text, strlen(text), digest, &size, EVP_sha1(), NULL);
    assert(done == 1 && size == 20);
    (void)EVP_EncodeBlock((unsigned char *)accepted, digest, (int)size);
}

bool websocket_accept(struct http_stream *stream, const struct http_head *head, struct err *err)
{
    const char *key = head_value(head, "Sec-WebSocket-Key"),
               *version = head_value(head, "Sec-WebSocket-Version");
    char accepted[32], answer[256];
    int size;

    if (!head_has_token(head, "Upgrade", "websocket") || !head_has_token(head, "Connection", "upgrade"))
        return err_set(err, ERR_CORRUPT, "not an upgrade to WebSocket");
    if (!key || strlen(key) != 24 || !version || strcmp(version, "13") != 0)
        return err_set(err, ERR_CORRUPT, "the WebSocket handshake lacks its key or its version");
    accept_key(key, accepted);
    size = snprintf(answer, sizeof(answer),
                    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                    "Sec-WebSocket-Accept: %s\r\n\r\n",
                    accepted);
    return fs_write_all(stream->fd, answer, (size_t)size, err);
}

struct frame {
    bool final;
    enum websocket_opcode opcode;
    uint64_t size;
    uint8_t mask[4];
};

static bool read_size(struct http_stream *stream, unsigned size_bytes, uint64_t *ret_size, struct err *err)
{
    uint8_t bytes[8];
    uint64_t size = 0;

    if (!stream_read_all(stream, bytes, size_bytes, err))
        return false;
    for (unsigned at = 0; at < size_bytes; at++)
        size = size << 8 | bytes[at];
    *ret_size = size;
    return true;
}

static bool check_frame(const struct frame *frame, bool masked, unsigned reserved, struct err *err)
{
    bool control = frame->opcode >= WEBSOCKET_CLOSE;

    if (reserved || (frame->opcode > WEBSOCKET_BINARY && !control) || frame->opcode > WEBSOCKET_PONG)
        return err_set(err, ERR_CORRUPT, "a frame with reserved bits or opcode");
    if (!masked)
        return err_set(err, ERR_CORRUPT, "a frame that is not masked");
    if (control && (!frame->final || frame->size > WEBSOCKET_CONTROL_MAX))
        return err_set(err, ERR_CORRUPT, "a control frame that is fragmented or too long");
    return true;
}

static bool read_frame(struct http_stream *stream, struct frame *frame, struct err *err)
{
    uint8_t start[2];

    if (!stream_read_all(stream, start, sizeof(start), err))
        return false;
    frame->final = (start[0] & 0x80) != 0;
    frame->opcode = (enum websocket_opcode)(start[0] & 0x0f);
    frame->size = start[1] & 0x7f;
    if (frame->size >= 126 && !read_size(stream, frame->size == 126 ? 2 : 8, &frame->size, err))
        return false;
    if (!check_frame(frame, (start[1] & 0x80) != 0, start[0] & 0x70, err))
        return false;
    return stream_read_all(stream, frame->mask, sizeof(frame->mask), err);
}

static bool read_payload(struct http_stream *stream, const struct frame *frame, struct buf *payload,
                         struct err *err)
{
    size_t before = payload->size;
    uint8_t *bytes;

    if (frame->size > WEBSOCKET_MESSAGE_MAX)
        return err_set(err, ERR_CORRUPT, "a message that is too long");
    bytes = buf_extend(payload, (size_t)frame->size);
    if (!buf_check(payload, "a message", err) || !stream_read_all(stream, bytes, (size_t)frame->size, err))
        return false;
    for (size_t at = 0; at < frame->size; at++)
        payload->bytes[before + at] ^= frame->mask[at % 4];
    return true;
}

bool websocket_read(struct http_stream *stream, struct websocket_reader *reader,
                    struct websocket_message *ret_message, struct err *err)
{
    struct frame frame;

    reader->message.size_max = WEBSOCKET_MESSAGE_MAX;
    for (;;) {
        if (!read_frame(stream, &frame, err))
            return false;
        if (frame.opcode >= WEBSOCKET_CLOSE) {
            ret_message->opcode = frame.opcode;
            return read_payload(stream, &frame, &ret_message->payload, err);
        }
        if ((frame.opcode == WEBSOCKET_CONTINUATION) != (reader->opcode != WEBSOCKET_CONTINUATION))
            return err_set(err, ERR_CORRUPT, "fragments in the wrong order");
        if (frame.opcode != WEBSOCKET_CONTINUATION)
            reader->opcode = frame.opcode;
        if (!read_payload(stream, &frame, &reader->message, err))
            return false;
        if (!frame.final)
            continue;
        ret_message->opcode = reader->opcode;
        buf_add(&ret_message->payload, reader->message.bytes, reader->message.size);
        buf_clear(&reader->message);
        reader->opcode = WEBSOCKET_CONTINUATION;
        return true;
    }
}

bool websocket_write(int fd, enum websocket_opcode opcode, const void *bytes, size_t size, struct err *err)
{
    uint8_t start[10] = {(uint8_t)(0x80 | opcode)};
    size_t start_size = 2;

    if (size < 126) {
        start[1] = (uint8_t)size;
    } else {
        size_t size_bytes = size <= UINT16_MAX ? 2 : 8;
        start[1] = size_bytes == 2 ? 126 : 127;
        for (size_t at = 0; at < size_bytes; at++)
            start[2 + at] = (uint8_t)((uint64_t)size >> (8 * (size_bytes - 1 - at)));
        start_size += size_bytes;
    }
    return fs_write_all(fd, start, start_size, err) && fs_write_all(fd, bytes, size, err);
}

bool websocket_write_close(int fd, unsigned code, const char *reason, struct err *err)
{
    CLEANUP(buf_clearp) struct buf payload = BUF_INIT(WEBSOCKET_CONTROL_MAX);
    uint8_t bytes[2] = {(uint8_t)(code >> 8), (uint8_t)code};

    buf_add(&payload, bytes, sizeof(bytes));
    buf_add_text(&payload, reason);
    return buf_check(&payload, "a close frame", err) &&
           websocket_write(fd, WEBSOCKET_CLOSE, payload.bytes, payload.size, err);
}

unsigned websocket_close_code(const struct buf *payload)
{
    return payload->size >= 2 ? (unsigned)(payload->bytes[0] << 8 | payload->bytes[1]) : 1005;
}
