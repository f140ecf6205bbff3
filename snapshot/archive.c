#include "snapshot/archive.h"

#include "snapshot/log.h"

#include <assert.h>
#include <inttypes.h>

bool pack_fetch(struct store *store, uint64_t first, uint64_t last, struct buf *bytes, struct pack *ret_pack,
                struct err *err)
{
    struct key key = key_pack(first, last);

    if (!store_get(store, key.text, bytes, err))
        return err_wrap(err, "%s", key.text);
    return pack_open(first, last, bytes->bytes, bytes->size, ret_pack, err);
}

struct archive archive_of(struct store *store, const struct id *lineage)
{
    return (struct archive){.store = store,
                            .lineage = *lineage,
                            .loose = BUF_INIT(RECORD_SIZE_MAX),
                            .packed = BUF_INIT(PACK_SIZE_MAX)};
}

void archive_clear(struct archive *archive)
{
    buf_clear(&archive->loose);
    buf_clear(&archive->packed);
    archive->loose_position = 0;
}

/* The pack that holds a position; first 0: none. */
struct search {
    uint64_t position;
    uint64_t first;
    uint64_t last;
};

static bool visit_pack(void *context, const struct store_entry *entry, struct err *err)
{
    struct search *search = context;
    uint64_t first = 0, last = 0;

    (void)err;
    if (key_parse_pack(entry->key, &first, &last) && first <= search->position && last >= search->position) {
        search->first = first;
        search->last = last;
    }
    return true;
}

/* *ret_found false: no pack holds it. */
static bool fetch_pack(struct archive *archive, uint64_t position, bool *ret_found, struct err *err)
{
    struct search search = {.position = position};
    struct key after = pack_search_key(position);

    *ret_found = false;
    /* Not more than one for each position that such a pack may end at, unless there are crossing ones. */
    if (!store_list(archive->store, "pack/", after.text, (size_t)2 * PACK_RECORDS_MAX, visit_pack, &search,
                    err))
        return false;
    if (search.first == 0)
        return true;
    buf_reset(&archive->packed);
    if (!pack_fetch(archive->store, search.first, search.last, &archive->packed, &archive->pack, err)) {
        buf_reset(&archive->packed);
        archive->lost_first = search.first;
        archive->lost_last = search.last;
        return false;
    }
    *ret_found = true;
    return true;
}

static bool holds(const struct archive *archive, uint64_t position)
{
    return archive->packed.size > 0 && position >= archive->pack.first && position <= archive->pack.last;
}

static bool read_packed(struct archive *archive, uint64_t position, struct record *ret_record,
                        struct err *err)
{
    size_t size = 0;
    const uint8_t *bytes = pack_find(&archive->pack, position, &size);

    return log_parse(&archive->lineage, position, bytes, size, ret_record, err) ||
           err_wrap(err, "%s", key_pack(archive->pack.first, archive->pack.last).text);
}

bool archive_read(struct archive *archive, uint64_t position, struct record *ret_record, struct err *err)
{
    struct record loose;
    struct err why = {0};
    bool found, packed = false;

    archive->lost_first = archive->lost_last = position;
    if (holds(archive, position))
        return read_packed(archive, position, ret_record, err);
    if (archive->loose_position == position)
        return log_parse(&archive->lineage, position, archive->loose.bytes, archive->loose.size, ret_record,
                         err);
    archive->loose_position = 0;
    found = log_read(archive->store, &archive->lineage, position, &archive->loose, &loose, &why);
    if (!found && why.code != ERR_NOT_FOUND && why.code != ERR_CORRUPT) {
        *err = why;
        return false;
    }
    if ((!found || loose.header.kind == RECORD_OPEN) && !fetch_pack(archive, position, &packed, err))
        return false;
    if (packed)
        return read_packed(archive, position, ret_record, err);
    if (!found) {
        *err = why;
        return false;
    }
    archive->loose_position = position;
    *ret_record = loose;
    return true;
}

bool archive_read_base(struct archive *archive, uint64_t position, struct record *ret_record,
                       struct base_body *ret_body, struct err *err)
{
    struct record record;

    if (!archive_read(archive, position, &record, err))
        return false;
    if (record.header.kind != RECORD_BASE)
        return err_set(err, ERR_CORRUPT, "record %" PRIu64 " is named as a base and is none", position);
    if (!record_base_body(&record, ret_body, err))
        return false;
    *ret_record = record;
    return true;
}
