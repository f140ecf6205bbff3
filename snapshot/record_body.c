/* What records say besides their header: the bodies of open, drain and base records. As in record.c, one list
 * of rules serves the writer and the reader. */
#include "snapshot/record.h"

#include "snapshot/wire.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

/* The least that one of them takes, so that a count can be held against the bytes that are left. */
enum { DROPPED_SIZE = 8 + DIGEST_SIZE, PIN_SIZE_MIN = 2 + 1 + 8 };

static const char *broken_dropped_rule(const struct base_body *body)
{
    for (size_t at = 0; at < body->dropped_count; at++)
        if (body->dropped[at].tag == 0)
            return "a dropped blob has no tag";
    return NULL;
}

static const char *broken_pin_rule(const struct base_body *body)
{
    for (size_t at = 0; at < body->pins_count; at++)
        if (body->pins[at].position == 0 || body->pins[at].name[0] == '\0')
            return "a pin has no name or no position";
    return NULL;
}

/* The rule that the body of a base record breaks, or NULL. */
static const char *broken_base_rule(const struct base_body *body)
{
    uint64_t key_position, n;
    struct id owner;
    const char *rule;

    if ((body->flags & ~(uint32_t)BASE_RESTARTS) != 0)
        return "it has a flag that is unknown; a newer holdfast may know it";
    if (body->lowest_position == 0 || body->lowest_position > body->position)
        return "its lowest position is 0 or above its position";
    if (!key_parse_base(body->key.text, &key_position, &owner, &n) || key_position != body->position)
        return "its key is not that of a base at its position";
    if (body->horizon == 0)
        return "it has no horizon";
    if (body->taken_from != 0 && (body->flags & BASE_RESTARTS) == 0)
        return "it rolls back and does not restart the state";
    rule = broken_dropped_rule(body);
    return rule ? rule : broken_pin_rule(body);
}

void base_body_encode(const struct base_body *body, struct buf *bytes)
{
    assert(!broken_base_rule(body));
    assert(body->dropped_count <= UINT32_MAX && body->pins_count <= UINT32_MAX);
    wire_add_u32(bytes, body->flags);
    wire_add_u64(bytes, body->lowest_position);
    wire_add_u64(bytes, body->position);
    buf_add(bytes, body->manifest.bytes, DIGEST_SIZE);
    wire_add_str(bytes, body->key.text, strlen(body->key.text));
    wire_add_u64(bytes, body->manifest_bytes);
    wire_add_u64(bytes, body->previous_base);
    wire_add_u64(bytes, body->horizon);
    wire_add_u64(bytes, body->state_bytes);
    wire_add_u64(bytes, body->taken_from);
    wire_add_u32(bytes, (uint32_t)body->dropped_count);
    for (size_t at = 0; at < body->dropped_count; at++) {
        wire_add_u64(bytes, body->dropped[at].tag);
        buf_add(bytes, body->dropped[at].content.bytes, DIGEST_SIZE);
    }
    wire_add_u32(bytes, (uint32_t)body->pins_count);
    for (size_t at = 0; at < body->pins_count; at++) {
        wire_add_str(bytes, body->pins[at].name, strlen(body->pins[at].name));
        wire_add_u64(bytes, body->pins[at].position);
    }
}

/* A str that must fit into room of `room` bytes with a NUL behind it. */
static void read_text(struct wire_reader *reader, char *text, size_t room)
{
    size_t size;
    const char *found = wire_str(reader, &size);

    if (size >= room) {
        reader->failed = true;
        size = 0;
    }
    memcpy(text, found, size);
    memset(text + size, 0, room - size);
}

static void read_dropped(struct wire_reader *reader, struct base_body *body)
{
    uint32_t count = wire_u32(reader);

    if (count > wire_left(reader) / DROPPED_SIZE) {
        reader->failed = true;
        return;
    }
    body->dropped = xcalloc(count, sizeof(*body->dropped));
    body->dropped_count = count;
    for (size_t at = 0; at < count; at++) {
        body->dropped[at].tag = wire_u64(reader);
        wire_copy(reader, &body->dropped[at].content, DIGEST_SIZE);
    }
}

static void read_pins(struct wire_reader *reader, struct base_body *body)
{
    uint32_t count = wire_u32(reader);

    if (count > wire_left(reader) / PIN_SIZE_MIN) {
        reader->failed = true;
        return;
    }
    body->pins = xcalloc(count, sizeof(*body->pins));
    body->pins_count = count;
    for (size_t at = 0; at < count; at++) {
        size_t size;
        const char *name = wire_str(reader, &size);
        body->pins[at].name = xmalloc(size + 1);
        memcpy(body->pins[at].name, name, size);
        body->pins[at].name[size] = '\0';
        body->pins[at].position = wire_u64(reader);
    }
}

static void base_body_clearp(struct base_body *body)
{
    base_body_clear(body);
}

bool base_body_decode(const void *bytes, size_t size, struct base_body *ret_body, struct err *err)
{
    struct wire_reader reader = wire_reader_of(bytes, size);
    CLEANUP(base_body_clearp) struct base_body body = {0};
    const char *rule;

    body.flags = wire_u32(&reader);
    body.lowest_position = wire_u64(&reader);
    body.position = wire_u64(&reader);
    wire_copy(&reader, &body.manifest, DIGEST_SIZE);
    read_text(&reader, body.key.text, sizeof(body.key.text));
    body.manifest_bytes = wire_u64(&reader);
    body.previous_base = wire_u64(&reader);
    body.horizon = wire_u64(&reader);
    body.state_bytes = wire_u64(&reader);
    body.taken_from = wire_u64(&reader);
    read_dropped(&reader, &body);
    read_pins(&reader, &body);
    if (!wire_done(&reader))
        return err_set(err, ERR_CORRUPT, "the body of a base record does not end where it should");
    rule = broken_base_rule(&body);
    if (rule)
        return err_set(err, ERR_CORRUPT, "the body of a base record: %s", rule);
    *ret_body = body;
    body = (struct base_body){0};
    return true;
}

void base_body_clear(struct base_body *body)
{
    for (size_t at = 0; at < body->pins_count; at++)
        free(body->pins[at].name);
    free(body->pins);
    free(body->dropped);
    *body = (struct base_body){0};
}

/* The rule by which body and header of one record contradict each other, or NULL. */
static const char *broken_match_rule(const struct record_header *header, const struct base_body *body)
{
    bool changes_data = header->data_position == header->position;

    if (body->position != header->base.position || body->horizon != header->horizon ||
        !digest_equal(&body->manifest, &header->base.manifest) ||
        strcmp(body->key.text, header->base.key.text) != 0)
        return "its body names another base or horizon than its header";
    if (body->previous_base >= header->position)
        return "the base record before it is not before it";
    if (((body->flags & BASE_RESTARTS) != 0) != changes_data)
        return "a base record changes data if it restarts, and only then";
    if (body->taken_from >= header->position)
        return "it rolls back to a record that is not before it";
    if (body->taken_from != 0 && header->roll_back.kind == POINT_NONE)
        return "it rolls back and its header names no roll-back";
    for (size_t at = 0; at < body->pins_count; at++)
        if (body->pins[at].position > header->position)
            return "a pin is above its position";
    return NULL;
}

bool record_base_body(const struct record *record, struct base_body *ret_body, struct err *err)
{
    CLEANUP(base_body_clearp) struct base_body body = {0};
    const char *rule;

    assert(record->header.kind == RECORD_BASE);
    if (!base_body_decode(record->body, record->body_size, &body, err))
        return err_wrap(err, "the record at %" PRIu64, record->header.position);
    rule = broken_match_rule(&record->header, &body);
    if (rule)
        return err_set(err, ERR_CORRUPT, "a base record at %" PRIu64 ": %s", record->header.position, rule);
    *ret_body = body;
    body = (struct base_body){0};
    return true;
}

void open_body_encode(const char *version, const char *host, struct buf *bytes)
{
    struct open_body limits;

    wire_add_str(bytes, version, strnlen(version, sizeof(limits.version) - 1));
    wire_add_str(bytes, host, strnlen(host, sizeof(limits.host) - 1));
}

bool open_body_decode(const void *bytes, size_t size, struct open_body *ret_body, struct err *err)
{
    struct wire_reader reader = wire_reader_of(bytes, size);
    struct open_body body;

    read_text(&reader, body.version, sizeof(body.version));
    read_text(&reader, body.host, sizeof(body.host));
    if (!wire_done(&reader))
        return err_set(err, ERR_CORRUPT, "the body of an open record is not a version and a host name");
    *ret_body = body;
    return true;
}

void drain_body_encode(uint64_t until_ns, struct buf *bytes)
{
    wire_add_u64(bytes, until_ns);
}

bool drain_body_decode(const void *bytes, size_t size, uint64_t *ret_until_ns, struct err *err)
{
    struct wire_reader reader = wire_reader_of(bytes, size);
    uint64_t until_ns = wire_u64(&reader);

    if (!wire_done(&reader))
        return err_set(err, ERR_CORRUPT, "the body of a drain record is not a time");
    *ret_until_ns = until_ns;
    return true;
}
