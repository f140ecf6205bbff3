/* Records.
 *
 * What a writer may put into a header and what a reader accepts is one list of rules, broken_rule(): the
 * writer aborts on it and the reader refuses, so that no release writes a record that its own readers would
 * stumble over at the next start, when nobody can mend it any more. */
#include "snapshot/record.h"

#include "snapshot/envelope.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

enum { HEADER_SIZE = 242, BODY_SIZE_MAX = RECORD_SIZE_MAX - 4096 }; /* the header's key comes on top */

static const struct envelope_type type = {"HFRECORD", "a record"};

const char *record_kind_name(enum record_kind kind)
{
    switch (kind) {
    case RECORD_OPEN:
        return "open";
    case RECORD_DATA:
        return "data";
    case RECORD_BASE:
        return "base";
    case RECORD_DRAIN:
        return "drain";
    case RECORD_CLOSE:
        return "close";
    case RECORD_PIN:
        return "pin";
    }
    return "unknown";
}

static bool is_zero(const struct digest *digest)
{
    static const struct digest zero;

    return digest_equal(digest, &zero);
}

static const char *broken_chain_rule(const struct record_header *header)
{
    if (header->kind < RECORD_OPEN || header->kind > RECORD_PIN)
        return "its kind is unknown; a newer holdfast may know it";
    if ((header->epoch == header->position) != (header->kind == RECORD_OPEN))
        return "an epoch is the position of its open record";
    if (is_zero(&header->previous) != (header->position == 1))
        return "every record but the first has the hash of the one before";
    if (header->data_position > header->position)
        return "its data position is above its own";
    if (header->kind == RECORD_DATA && header->data_position < header->position)
        return "a data record is the newest that changed data";
    if (header->kind != RECORD_DATA && header->kind != RECORD_BASE &&
        header->data_position == header->position)
        return "only data and base records change data";
    return NULL;
}

static const char *broken_base_rule(const struct record_header *header)
{
    const struct base_reference *base = &header->base;
    uint64_t key_position, n;
    struct id owner;

    if (base->position == 0) {
        bool none = base->announced == 0 && is_zero(&base->manifest) && base->key.text[0] == '\0';
        if (header->kind == RECORD_BASE)
            return "a base record names its base";
        return none && header->horizon == 0 ? NULL : "its base is named in part";
    }
    if (is_zero(&base->manifest) || !key_parse_base(base->key.text, &key_position, &owner, &n) ||
        key_position != base->position)
        return "its base has no hash or a key that is not its own";
    if (base->position >= base->announced || base->announced > header->position)
        return "a base comes before the record that announces it, and that not after this one";
    if ((base->announced == header->position) != (header->kind == RECORD_BASE))
        return "the newest base of a base record is its own";
    if (header->horizon == 0 || header->horizon > base->announced)
        return "its horizon is not that of an announced base";
    return NULL;
}

static const char *broken_time_rule(const struct record_header *header)
{
    const uint64_t *times = header->open_times_ns;

    if (header->kind == RECORD_DRAIN && header->draining_until_ns == 0)
        return "a drain record says until when";
    if (header->kind == RECORD_OPEN && times[0] != header->time_ns)
        return "an open record is the newest open";
    if (header->kind == RECORD_CLOSE && times[0] != 0)
        return "a close record leaves no open behind";
    if (times[0] > header->time_ns)
        return "an open is later than this record";
    for (size_t at = 1; at < RECORD_OPENS; at++)
        if (times[at] > times[at - 1])
            return "the times of opens are not newest first";
    return NULL;
}

static const char *broken_point_rule(const struct record_header *header)
{
    const struct point *point = &header->roll_back;

    if (point->kind > POINT_TIME)
        return "its roll-back is of a kind that is unknown; a newer holdfast may know it";
    if (point->kind == POINT_NONE)
        return point->value == 0 ? NULL : "its roll-back is named in part";
    if (header->base.announced == 0)
        return "a roll-back ends with a base";
    if (point->kind == POINT_RECORD && (point->value == 0 || point->value >= header->base.announced))
        return "a roll-back goes to a record before its base";
    return NULL;
}

/* What is known of bodies without reading their kind's own fields. */
static const char *broken_body_rule(const struct record_header *header, const void *body, size_t body_size)
{
    struct wire_reader reader = wire_reader_of(body, body_size);

    if (header->kind == RECORD_CLOSE && body_size > 0)
        return "a close record has no body";
    if (header->kind == RECORD_DRAIN &&
        (wire_u64(&reader) != header->draining_until_ns || !wire_done(&reader)))
        return "the body of a drain record repeats its header";
    return NULL;
}

/* The rule that a record breaks, or NULL. */
static const char *broken_rule(const struct record_header *header, const void *body, size_t body_size)
{
    const char *rule = broken_chain_rule(header);

    if (!rule)
        rule = broken_base_rule(header);
    if (!rule)
        rule = broken_time_rule(header);
    if (!rule)
        rule = broken_point_rule(header);
    if (!rule)
        rule = broken_body_rule(header, body, body_size);
    return rule;
}

static void abort_if_broken(const char *rule)
{
    if (!rule)
        return;
    (void)fprintf(stderr, "holdfast: about to write a record that breaks a rule: %s\n", rule);
    abort();
}

static struct envelope envelope_of(const struct record_header *header, size_t key_size, size_t body_size)
{
    return (struct envelope){
        .kind = (uint16_t)header->kind,
        .header_size = (uint32_t)(HEADER_SIZE + key_size),
        .body_size = body_size,
        .lineage = header->lineage,
        .owner = header->owner,
        .epoch = header->epoch,
        .position = header->position,
        .time_ns = header->time_ns,
        .key_id = header->key_id,
    };
}

void record_encode(const struct record_header *header, const void *body, size_t body_size, struct buf *bytes,
                   struct digest *ret_hash)
{
    size_t start = bytes->size, key_size = strlen(header->base.key.text);
    struct envelope envelope = envelope_of(header, key_size, body_size);

    assert(body_size <= BODY_SIZE_MAX);
    abort_if_broken(broken_rule(header, body, body_size));
    envelope_add(&type, &envelope, bytes);
    buf_add(bytes, header->previous.bytes, DIGEST_SIZE);
    wire_add_u64(bytes, header->data_position);
    wire_add_u64(bytes, header->base.position);
    wire_add_u64(bytes, header->base.announced);
    buf_add(bytes, header->base.manifest.bytes, DIGEST_SIZE);
    wire_add_u64(bytes, header->horizon);
    wire_add_u64(bytes, header->draining_until_ns);
    for (size_t at = 0; at < RECORD_OPENS; at++)
        wire_add_u64(bytes, header->open_times_ns[at]);
    wire_add_u64(bytes, header->roll_back.kind);
    wire_add_u64(bytes, header->roll_back.value);
    wire_add_str(bytes, header->base.key.text, key_size);
    assert(bytes->size == start + envelope.header_size);
    buf_add(bytes, body, body_size);
    *ret_hash = envelope_seal(bytes, start);
    assert(!bytes->overflowed);
}

/* A kind that doesn't fit is one that is unknown. */
static struct point read_point(struct wire_reader *reader)
{
    uint64_t kind = wire_u64(reader);

    return (struct point){kind <= POINT_TIME ? (enum point_kind)kind : POINT_TIME + 1, wire_u64(reader)};
}

static bool read_key(struct wire_reader *reader, struct key *ret_key)
{
    size_t size;
    const char *text = wire_str(reader, &size);
    struct key key = {""};

    if (size >= sizeof(key.text))
        return false;
    memcpy(key.text, text, size);
    *ret_key = key;
    return true;
}

static bool read_header(struct wire_reader *reader, const struct envelope *envelope,
                        struct record_header *ret_header)
{
    struct record_header header = {
        .kind = (enum record_kind)envelope->kind,
        .lineage = envelope->lineage,
        .owner = envelope->owner,
        .epoch = envelope->epoch,
        .position = envelope->position,
        .time_ns = envelope->time_ns,
        .key_id = envelope->key_id,
    };

    wire_copy(reader, &header.previous, DIGEST_SIZE);
    header.data_position = wire_u64(reader);
    header.base.position = wire_u64(reader);
    header.base.announced = wire_u64(reader);
    wire_copy(reader, &header.base.manifest, DIGEST_SIZE);
    header.horizon = wire_u64(reader);
    header.draining_until_ns = wire_u64(reader);
    for (size_t at = 0; at < RECORD_OPENS; at++)
        header.open_times_ns[at] = wire_u64(reader);
    header.roll_back = read_point(reader);
    if (!read_key(reader, &header.base.key) || !wire_done(reader))
        return false;
    *ret_header = header;
    return true;
}

bool record_decode(const void *bytes, size_t size, struct record *ret_record, struct err *err)
{
    struct envelope_content content;
    struct envelope envelope;
    struct record record;
    const char *rule;

    if (size > RECORD_SIZE_MAX)
        return err_set(err, ERR_CORRUPT, "a record of %zu bytes, above the limit of %d", size,
                       RECORD_SIZE_MAX);
    if (!envelope_open(&type, bytes, size, &envelope, &content, err))
        return false;
    if (!read_header(&content.header, &envelope, &record.header))
        return err_set(err, ERR_CORRUPT, "a record at %" PRIu64 " whose header does not end where it should",
                       envelope.position);
    rule = broken_rule(&record.header, content.body, content.body_size);
    if (rule)
        return err_set(err, ERR_CORRUPT, "a record at %" PRIu64 ": %s", envelope.position, rule);
    record.body = content.body;
    record.body_size = content.body_size;
    record.hash = content.hash;
    record.bytes = bytes;
    record.size = size;
    *ret_record = record;
    return true;
}
