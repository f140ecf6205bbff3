#include "snapshot/envelope.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

enum { MAGIC_SIZE = 8 };

/* The rule that the fields break, or NULL. Asserted by the writer, refused by the reader. */
static const char *broken_rule(const struct envelope *envelope)
{
    if (envelope->epoch == 0 || envelope->position == 0)
        return "epochs and positions begin at 1";
    if (envelope->epoch > envelope->position)
        return "its epoch is above its position";
    if (envelope->key_id != 0)
        return "it is encrypted, which needs a newer holdfast";
    return NULL;
}

void envelope_add(const struct envelope_type *type, const struct envelope *envelope, struct buf *bytes)
{
    assert(!broken_rule(envelope));
    assert(envelope->header_size >= ENVELOPE_SIZE);
    buf_add(bytes, type->magic, MAGIC_SIZE);
    wire_add_u16(bytes, FORMAT_VERSION);
    wire_add_u16(bytes, envelope->kind);
    wire_add_u32(bytes, envelope->header_size);
    wire_add_u64(bytes, envelope->body_size);
    buf_add(bytes, envelope->lineage.bytes, ID_SIZE);
    buf_add(bytes, envelope->owner.bytes, ID_SIZE);
    wire_add_u64(bytes, envelope->epoch);
    wire_add_u64(bytes, envelope->position);
    wire_add_u64(bytes, envelope->time_ns);
    wire_add_u64(bytes, envelope->key_id);
}

struct digest envelope_seal(struct buf *bytes, size_t start)
{
    struct digest hash;

    assert(start <= bytes->size);
    hash = digest_of(bytes->bytes + start, bytes->size - start);
    buf_add(bytes, hash.bytes, DIGEST_SIZE);
    return hash;
}

/* Everything up to the version, which says how to read on. */
static bool check_shell(const struct envelope_type *type, const uint8_t *bytes, size_t size,
                        struct digest *ret_hash, struct err *err)
{
    struct digest hash;
    unsigned version;

    if (size < MAGIC_SIZE + sizeof(uint16_t) + DIGEST_SIZE || memcmp(bytes, type->magic, MAGIC_SIZE) != 0)
        return err_set(err, ERR_CORRUPT, "not %s", type->noun);
    hash = digest_of(bytes, size - DIGEST_SIZE);
    if (memcmp(hash.bytes, bytes + size - DIGEST_SIZE, DIGEST_SIZE) != 0)
        return err_set(err, ERR_CORRUPT, "%s that does not match its own hash", type->noun);
    version = bytes[MAGIC_SIZE] | (unsigned)bytes[MAGIC_SIZE + 1] << 8;
    if (version > FORMAT_VERSION)
        return err_set(err, ERR_CORRUPT,
                       "%s of format %u, and this holdfast reads format %d: run a newer holdfast", type->noun,
                       version, FORMAT_VERSION);
    if (version < FORMAT_VERSION)
        return err_set(err, ERR_CORRUPT, "%s of format %u, which never existed", type->noun, version);
    *ret_hash = hash;
    return true;
}

static struct envelope read_fields(struct wire_reader *reader)
{
    struct envelope envelope;

    (void)wire_bytes(reader, MAGIC_SIZE + sizeof(uint16_t)); /* magic and version are known */
    envelope.kind = wire_u16(reader);
    envelope.header_size = wire_u32(reader);
    envelope.body_size = wire_u64(reader);
    wire_copy(reader, &envelope.lineage, ID_SIZE);
    wire_copy(reader, &envelope.owner, ID_SIZE);
    envelope.epoch = wire_u64(reader);
    envelope.position = wire_u64(reader);
    envelope.time_ns = wire_u64(reader);
    envelope.key_id = wire_u64(reader);
    return envelope;
}

bool envelope_open(const struct envelope_type *type, const void *bytes, size_t size,
                   struct envelope *ret_envelope, struct envelope_content *ret_content, struct err *err)
{
    struct envelope_content content;
    struct envelope envelope;
    struct wire_reader reader;
    const uint8_t *header;
    const char *rule;

    if (!check_shell(type, bytes, size, &content.hash, err))
        return false;
    reader = wire_reader_of(bytes, size - DIGEST_SIZE);
    envelope = read_fields(&reader);
    if (reader.failed || envelope.header_size < ENVELOPE_SIZE)
        return err_set(err, ERR_CORRUPT, "%s whose header is too short", type->noun);
    header = wire_bytes(&reader, envelope.header_size - ENVELOPE_SIZE);
    if (!header || wire_left(&reader) != envelope.body_size)
        return err_set(err, ERR_CORRUPT, "%s of %zu bytes, which is not what its header says", type->noun,
                       size);
    rule = broken_rule(&envelope);
    if (rule)
        return err_set(err, ERR_CORRUPT, "%s at %" PRIu64 ": %s", type->noun, envelope.position, rule);
    content.header = wire_reader_of(header, envelope.header_size - ENVELOPE_SIZE);
    content.body_size = wire_left(&reader);
    content.body = wire_bytes(&reader, content.body_size);
    *ret_envelope = envelope;
    *ret_content = content;
    return true;
}
