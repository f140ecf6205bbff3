/* A record that is damaged counts only when it is taken: a range may end before it. So what can't be parsed
 * at first is parsed again by who asks for it, and fails there. */
#include "snapshot/chain_object.h"

#include "snapshot/archive.h"
#include "snapshot/log.h"

#include <assert.h>

void chain_object_clear(struct chain_object *object)
{
    buf_clear(&object->bytes);
    free(object->records);
    object->records = NULL;
}

static bool parse(const struct chain_object *object, uint64_t position, struct record *ret_record,
                  struct err *err)
{
    const uint8_t *bytes = object->bytes.bytes;
    size_t size = object->bytes.size;

    if (chain_source_is_pack(&object->source))
        bytes = pack_find(&object->pack, position, &size);
    if (log_parse(&object->lineage, position, bytes, size, ret_record, err))
        return true;
    if (chain_source_is_pack(&object->source))
        err_prefix(err, "%s", chain_source_key(&object->source).text);
    return false;
}

static void parse_records(struct chain_object *object, const struct chain_range *range)
{
    const struct chain_source *source = &object->source;
    struct err ignored = {0};

    object->records = xcalloc((size_t)(source->last - source->first + 1), sizeof(object->records[0]));
    for (uint64_t position = source->first; position <= source->last; position++)
        if (position > range->after && position <= range->through)
            (void)!parse(object, position, &object->records[position - source->first], &ignored);
}

/* A pack is proved by whoever fetches it, beside the others. */
bool chain_object_fetch(struct chain_object *object, struct store *store, const struct chain_range *range,
                        const struct chain_source *source, struct err *err)
{
    struct key key = chain_source_key(source);

    object->source = *source;
    object->lineage = range->lineage;
    if (chain_source_is_pack(source)) {
        object->bytes = (struct buf)BUF_INIT(PACK_SIZE_MAX);
        if (!pack_fetch(store, source->first, source->last, &object->bytes, &object->pack, err))
            return false;
    } else {
        object->bytes = (struct buf)BUF_INIT(RECORD_SIZE_MAX);
        if (!store_get(store, key.text, &object->bytes, err))
            return err_wrap(err, "%s", key.text);
    }
    parse_records(object, range);
    return true;
}

bool chain_object_find(const struct chain_object *object, uint64_t position, struct record *ret_record,
                       struct err *err)
{
    const struct record *parsed = &object->records[position - object->source.first];

    assert(position >= object->source.first && position <= object->source.last);
    if (parsed->header.position != position)
        return parse(object, position, ret_record, err);
    *ret_record = *parsed;
    return true;
}
