#include "snapshot/record_refs.h"

#include "snapshot/data_body.h"

static void add_dropped(struct record_refs *refs, const struct data_dropped *dropped)
{
    struct blob_names more = {.list = xcalloc(dropped->count, sizeof(more.list[0])), .count = dropped->count};

    for (size_t at = 0; at < dropped->count; at++)
        more.list[at] = data_dropped_name(dropped, at);
    blob_names_merge(&refs->dropped, &more);
}

static void add_named(struct record_refs *refs, const struct data_put *put)
{
    struct blob_names more = {0};
    const struct tree_piece *pieces;

    if (put->entry->content != CONTENT_PIECES)
        return;
    pieces = tree_pieces(put->tree, put->entry);
    more.list = xcalloc(put->entry->extra, sizeof(more.list[0]));
    for (uint32_t at = 0; at < put->entry->extra; at++)
        if (pieces[at].tag != 0)
            more.list[more.count++] = (struct blob_name){pieces[at].tag, pieces[at].content};
    blob_names_merge(&refs->named, &more);
}

static void add_part(struct record_refs *refs, uint64_t n)
{
    refs->parts = xrealloc(refs->parts, (refs->parts_count + 1) * sizeof(refs->parts[0]));
    refs->parts[refs->parts_count++] = n;
}

static void add_section(struct record_refs *refs, const struct data_section *section)
{
    switch (section->kind) {
    case DATA_PUT:
        add_named(refs, &section->put);
        break;
    case DATA_BULK:
        add_part(refs, section->bulk.n);
        break;
    case DATA_DROPPED:
        add_dropped(refs, &section->dropped);
        break;
    case DATA_RUN:
    case DATA_GONE:
    case DATA_DATABASE_GONE:
    case DATA_ATTRIBUTES:
        break;
    }
}

static bool read_data(const struct record *record, struct record_refs *refs, struct err *err)
{
    CLEANUP(data_reader_freep) struct data_reader *reader = data_reader_new(record->body, record->body_size);
    struct data_section section;
    bool end = false;

    while (data_next(reader, &section, &end, err)) {
        if (end)
            return true;
        add_section(refs, &section);
    }
    return false;
}

static bool read_base(const struct record *record, struct record_refs *refs, struct err *err)
{
    struct base_body body;
    struct blob_names dropped;

    if (!record_base_body(record, &body, err))
        return false;
    dropped = (struct blob_names){MOVE(body.dropped), body.dropped_count};
    body.dropped_count = 0;
    blob_names_merge(&refs->dropped, &dropped);
    base_body_clear(&body);
    return true;
}

bool record_refs_read(const struct record *record, struct record_refs *ret_refs, struct err *err)
{
    struct record_refs refs = {0};
    bool read = true;

    if (record->header.kind == RECORD_DATA)
        read = read_data(record, &refs, err);
    else if (record->header.kind == RECORD_BASE)
        read = read_base(record, &refs, err);
    if (read)
        *ret_refs = refs;
    else
        record_refs_clear(&refs);
    return read;
}

bool record_refs_has_part(const struct record_refs *refs, uint64_t n)
{
    for (size_t at = 0; at < refs->parts_count; at++)
        if (refs->parts[at] == n)
            return true;
    return false;
}

void record_refs_clear(struct record_refs *refs)
{
    blob_names_clear(&refs->named);
    blob_names_clear(&refs->dropped);
    free(refs->parts);
    *refs = (struct record_refs){0};
}
