/* The sections of a data record, read one by one.
 *
 * A restore does what they say, in their order, and with no more checks than its own state calls for. So what
 * a record can say about itself is decided here: each section is whole and known, they stand in the order of
 * the format, and the runs of a commit follow one another with ascending pages, end with the last one and
 * never mix with another's. Nothing is copied but paths, and nothing is allocated for a count. */
#include "snapshot/data_layout.h"
#include "snapshot/entry.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

struct data_reader {
    const uint8_t *body;
    struct wire_reader wire;
    uint32_t sections; /* read so far */
    uint32_t bulks;    /* which come first and have all the same size: found again by their number */
    uint64_t last_n;   /* of a bulk */
    int rank;
    bool is_refused;
    bool in_commit;      /* `run` is not the last one of its commit */
    struct data_run run; /* the one before; its path is path[!current] */
    uint32_t last_page;
    char path[2][TREE_PATH_MAX + 1]; /* of this section and of the one before */
    int current;
    struct tree *tree; /* of a put */
};

struct data_reader *data_reader_new(const void *body, size_t size)
{
    struct data_reader *reader = xcalloc(1, sizeof(*reader));

    reader->wire = wire_reader_of(body, size);
    reader->body = reader->wire.at;
    return reader;
}

void data_reader_free(struct data_reader *reader)
{
    if (!reader)
        return;
    tree_free(reader->tree);
    free(reader);
}

/* The place of a kind in the order of a record; 0: unknown. */
static int rank_of(uint16_t kind)
{
    static const int ranks[] = {
        [DATA_BULK] = 1, [DATA_RUN] = 2, [DATA_DATABASE_GONE] = 2, [DATA_ATTRIBUTES] = 3,
        [DATA_GONE] = 4, [DATA_PUT] = 5, [DATA_DROPPED] = 6,
    };

    return kind < sizeof(ranks) / sizeof(ranks[0]) ? ranks[kind] : 0;
}

static bool read_path(struct data_reader *reader, struct wire_reader *content, const char **ret_path,
                      struct err *err)
{
    reader->current = !reader->current;
    if (!entry_decode_path(content, reader->path[reader->current], err))
        return false;
    *ret_path = reader->path[reader->current];
    return true;
}

/* Paths ascend among sections of one kind. */
static bool check_ascending(const struct data_reader *reader, bool is_first, const char *path,
                            struct err *err)
{
    if (!is_first && strcmp(reader->path[!reader->current], path) >= 0)
        return err_set(err, ERR_CORRUPT, "%.400s: paths are not in ascending order, each once", path);
    return true;
}

static bool read_bulk(struct data_reader *reader, struct wire_reader *content, struct data_bulk *ret_bulk,
                      struct err *err)
{
    const char *rule;

    ret_bulk->n = wire_u64(content);
    ret_bulk->size = wire_u64(content);
    wire_copy(content, &ret_bulk->hash, DIGEST_SIZE);
    rule = data_bulk_rule(ret_bulk);
    if (content->failed)
        return true; /* said by the caller */
    if (rule)
        return err_set(err, ERR_CORRUPT, "a bulk: %s", rule);
    if (reader->bulks > 0 && ret_bulk->n <= reader->last_n)
        return err_set(err, ERR_CORRUPT, "bulks are not in ascending order, each once");
    reader->last_n = ret_bulk->n;
    reader->bulks++;
    return true;
}

/* The frame of the run lies in a bulk of this record. */
static bool check_bulk(const struct data_reader *reader, const struct data_run *run, struct err *err)
{
    struct wire_reader bulk;
    uint64_t size;

    if (run->bulk_section >= reader->bulks)
        return err_set(err, ERR_CORRUPT, "%.400s: a run in a bulk that is not there", run->path);
    bulk = wire_reader_of(reader->body +
                              (size_t)run->bulk_section * (DATA_SECTION_HEADER_BYTES + BULK_CONTENT_SIZE),
                          DATA_SECTION_HEADER_BYTES + BULK_CONTENT_SIZE);
    (void)wire_bytes(&bulk, DATA_SECTION_HEADER_BYTES);
    (void)wire_u64(&bulk);
    size = wire_u64(&bulk);
    assert(!bulk.failed);
    if (run->bulk_offset > size || run->bulk_size > size - run->bulk_offset)
        return err_set(err, ERR_CORRUPT, "%.400s: a run beyond the end of its bulk", run->path);
    return true;
}

/* It goes on with the commit of the run before. */
static bool check_commit(const struct data_reader *reader, const struct data_run *run, struct err *err)
{
    const struct data_run *before = &reader->run;

    if (!reader->in_commit)
        return true;
    if (strcmp(reader->path[!reader->current], run->path) != 0 || run->incarnation != before->incarnation ||
        run->page_size != before->page_size || run->pages_after != before->pages_after ||
        run->rolling_hash != before->rolling_hash)
        return err_set(err, ERR_CORRUPT, "%.400s: runs of different commits mix", run->path);
    if (data_run_page(run, 0) <= reader->last_page)
        return err_set(err, ERR_CORRUPT, "%.400s: pages do not ascend from run to run of a commit",
                       run->path);
    return true;
}

/* All fields behind the path; wrong values are left to the rules. */
static void read_run_fields(struct wire_reader *content, struct data_run *run, uint8_t *ret_last,
                            uint8_t *ret_where)
{
    run->incarnation = wire_u64(content);
    run->page_size = wire_u32(content);
    run->pages_after = wire_u32(content);
    *ret_last = wire_u8(content);
    run->is_last = *ret_last != 0;
    run->rolling_hash = wire_u64(content);
    run->count = wire_u32(content);
    run->pages_le = wire_bytes(content, sizeof(uint32_t) * run->count);
    *ret_where = wire_u8(content);
    if (*ret_where == WHERE_HERE) {
        run->frame_size = wire_u32(content);
        run->frame = wire_bytes(content, run->frame_size);
    } else {
        run->bulk_section = wire_u32(content);
        run->bulk_offset = wire_u32(content);
        run->bulk_size = wire_u32(content);
    }
}

static bool read_run(struct data_reader *reader, struct wire_reader *content, struct data_run *ret_run,
                     struct err *err)
{
    struct data_run run = {0};
    uint8_t last, where;
    const char *rule;

    if (!read_path(reader, content, &run.path, err))
        return false;
    read_run_fields(content, &run, &last, &where);
    if (content->failed)
        return true; /* said by the caller */
    if (last > 1 || where > WHERE_BULK)
        return err_set(err, ERR_CORRUPT, "%.400s: a run with a flag that is unknown", run.path);
    rule = data_run_rule(&run);
    if (rule)
        return err_set(err, ERR_CORRUPT, "%.400s: a run: %s", run.path, rule);
    if ((!run.frame && !check_bulk(reader, &run, err)) || !check_commit(reader, &run, err))
        return false;
    reader->in_commit = !run.is_last;
    reader->last_page = data_run_page(&run, run.count - 1);
    reader->run = run;
    *ret_run = run;
    return true;
}

static bool read_put(struct data_reader *reader, struct wire_reader *content, bool is_first,
                     struct data_put *ret_put, struct err *err)
{
    struct data_put put = {0};
    struct tree_entry *entry;
    size_t size;

    tree_free(reader->tree);
    reader->tree = tree_new();
    put.tree = reader->tree;
    if (!entry_decode(content, reader->tree, &entry, err) || !entry_check(reader->tree, entry, err))
        return false;
    put.entry = entry;
    reader->current = !reader->current;
    size = strlen(tree_path(put.tree, entry));
    memcpy(reader->path[reader->current], tree_path(put.tree, entry), size + 1);
    if (!check_ascending(reader, is_first, reader->path[reader->current], err))
        return false;
    if (entry->kind == ENTRY_FILE && entry->content == CONTENT_INLINE) {
        put.frame_size = wire_u32(content);
        put.frame = wire_bytes(content, put.frame_size);
        if (put.frame_size == 0 || put.frame_size > INLINE_FRAME_MAX)
            return err_set(err, ERR_CORRUPT, "%.400s: its frame is empty or larger than zstd makes it",
                           tree_path(put.tree, entry));
    }
    *ret_put = put;
    return true;
}

static bool read_attributes(struct data_reader *reader, struct wire_reader *content, bool is_first,
                            struct data_attributes *ret_attributes, struct err *err)
{
    if (!read_path(reader, content, &ret_attributes->path, err) ||
        !check_ascending(reader, is_first, ret_attributes->path, err))
        return false;
    ret_attributes->incarnation = wire_u64(content);
    ret_attributes->mode = wire_u32(content);
    ret_attributes->uid = wire_u32(content);
    ret_attributes->gid = wire_u32(content);
    if (ret_attributes->mode > DATA_MODE_MAX)
        return err_set(err, ERR_CORRUPT, "%.400s: mode %o is none", ret_attributes->path,
                       ret_attributes->mode);
    return true;
}

static bool read_dropped(struct wire_reader *content, struct data_dropped *ret_dropped, struct err *err)
{
    ret_dropped->count = wire_u32(content);
    ret_dropped->stored = wire_bytes(content, DROPPED_SIZE * ret_dropped->count);
    if (content->failed)
        return true; /* said by the caller */
    if (ret_dropped->count == 0)
        return err_set(err, ERR_CORRUPT, "a list of dropped blobs without any");
    for (size_t at = 0; at < ret_dropped->count; at++)
        if (data_dropped_name(ret_dropped, at).tag == 0)
            return err_set(err, ERR_CORRUPT, "a dropped blob has no tag");
    return true;
}

/* is_first: of its rank. */
static bool read_content(struct data_reader *reader, struct wire_reader *content, bool is_first,
                         struct data_section *section, struct err *err)
{
    switch (section->kind) {
    case DATA_BULK:
        return read_bulk(reader, content, &section->bulk, err);
    case DATA_RUN:
        return read_run(reader, content, &section->run, err);
    case DATA_DATABASE_GONE:
        if (!read_path(reader, content, &section->database_gone.path, err))
            return false;
        section->database_gone.incarnation = wire_u64(content);
        return true;
    case DATA_ATTRIBUTES:
        return read_attributes(reader, content, is_first, &section->attributes, err);
    case DATA_GONE:
        return read_path(reader, content, &section->gone, err) &&
               check_ascending(reader, is_first, section->gone, err);
    case DATA_PUT:
        return read_put(reader, content, is_first, &section->put, err);
    case DATA_DROPPED:
        return read_dropped(content, &section->dropped, err);
    }
    assert(false);
    return false;
}

/* A section of this kind may come now. */
static bool check_order(const struct data_reader *reader, uint16_t kind, struct err *err)
{
    int rank = rank_of(kind);

    if (rank == 0)
        return err_set(err, ERR_CORRUPT, "its type %u is unknown; a newer holdfast may know it", kind);
    if (rank < reader->rank || (kind == DATA_DROPPED && rank == reader->rank))
        return err_set(err, ERR_CORRUPT, "it is not in the order of a data record");
    if (reader->in_commit && kind != DATA_RUN)
        return err_set(err, ERR_CORRUPT, "it stands between the runs of a commit");
    return true;
}

static bool read_section(struct data_reader *reader, struct data_section *section, struct err *err)
{
    uint16_t kind = wire_u16(&reader->wire), flags = wire_u16(&reader->wire);
    uint32_t zero = wire_u32(&reader->wire);
    uint64_t length = wire_u64(&reader->wire);
    const uint8_t *bytes = wire_bytes(&reader->wire, length);
    struct wire_reader content;
    bool is_first;

    if (!bytes)
        return err_set(err, ERR_CORRUPT, "the record ends before it does");
    if ((flags & ~(kind == DATA_RUN ? SECTION_ALONE : 0)) != 0 || zero != 0)
        return err_set(err, ERR_CORRUPT, "it has a flag that is unknown; a newer holdfast may know it");
    if (!check_order(reader, kind, err))
        return false;
    is_first = rank_of(kind) > reader->rank;
    reader->rank = rank_of(kind);
    section->kind = (enum data_kind)kind;
    content = wire_reader_of(bytes, length);
    if (!read_content(reader, &content, is_first, section, err))
        return false;
    if (kind == DATA_RUN)
        section->run.is_alone = flags & SECTION_ALONE;
    if (!wire_done(&content))
        return err_set(err, ERR_CORRUPT, "its content does not end where it should");
    return true;
}

bool data_next(struct data_reader *reader, struct data_section *ret_section, bool *ret_end, struct err *err)
{
    struct data_section section = {0};

    if (reader->is_refused)
        return err_set(err, ERR_CORRUPT, "data record: it was refused before");
    if (wire_left(&reader->wire) == 0 && !reader->in_commit) {
        *ret_end = true;
        return true;
    }
    reader->is_refused = true;
    if (wire_left(&reader->wire) == 0)
        return err_set(err, ERR_CORRUPT, "data record: it ends within a commit");
    if (!read_section(reader, &section, err))
        return err_wrap(err, "data record: section %" PRIu32, reader->sections);
    reader->is_refused = false;
    reader->sections++;
    *ret_section = section;
    *ret_end = false;
    return true;
}
