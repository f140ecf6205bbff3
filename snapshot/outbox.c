/* Commits become sections of a record as soon as they are read, while the previous images are at hand: a
 * minute later they would be gone. From then on they are bytes in a queue that nobody has to understand.
 *
 * A commit that fails half-way, since the queue is full, comes again whole; what had been queued of it is
 * taken back. So only whole commits lie below `whole`. */
#include "snapshot/outbox.h"

#include "snapshot/codec.h"
#include "snapshot/data_body.h"
#include "snapshot/spool.h"

#include <assert.h>
#include <string.h>

enum {
    SECTION_SIZE_MAX = DELTA_FRAME_MAX + (64 << 10), /* page numbers, path */
    /* An entry of the queue is how many pages the section has, the section, and the hash of each page, which
     * no record has (page_tables.h). The file is this process's own: numbers are as they are in memory. */
    ENTRY_HEAD_BYTES = sizeof(uint32_t),
    ENTRY_SIZE_MAX = ENTRY_HEAD_BYTES + SECTION_SIZE_MAX + DELTA_PAGES_MAX * sizeof(uint64_t),
    BUFFER_KEPT = 256 << 10, /* what a huge commit needed is given back */
};

struct outbox_source {
    struct outbox *outbox;
    struct database *database;
    const char *path;
    uint64_t incarnation;
    uint64_t rolling_hash; /* where collecting began */
    bool is_alone;         /* runs come without previous images */
};

struct outbox {
    struct spool *spool;
    struct codec *codec; /* NULL while nothing is encoded */
    struct buf frame;
    struct buf section; /* an entry */
    uint64_t whole;     /* below it lie whole commits */
    struct outbox_source *sources[DATABASE_FREEZE_MAX];
    size_t count;
};

bool outbox_open(int directory_fd, uint64_t size_max, struct outbox **ret_outbox, struct err *err)
{
    struct outbox *outbox = xcalloc(1, sizeof(*outbox));

    outbox->frame = (struct buf)BUF_INIT(DELTA_FRAME_MAX);
    outbox->section = (struct buf)BUF_INIT(ENTRY_SIZE_MAX);
    if (!spool_open(directory_fd, size_max, &outbox->spool, err)) {
        outbox_free(outbox);
        return false;
    }
    *ret_outbox = outbox;
    return true;
}

void outbox_free(struct outbox *outbox)
{
    if (!outbox)
        return;
    assert(outbox->count == 0);
    spool_free(outbox->spool);
    codec_free(outbox->codec);
    buf_clear(&outbox->frame);
    buf_clear(&outbox->section);
    free(outbox);
}

static void keep_small(struct buf *buf)
{
    if (buf->capacity > BUFFER_KEPT)
        buf_clear(buf);
    else
        buf_reset(buf);
}

static bool encode_run(const struct outbox_source *source, const struct database_run *run, struct err *err)
{
    struct outbox *outbox = source->outbox;
    struct codec_prefix previous = {run->previous, (size_t)run->previous_count * run->page_size};
    struct data_run section = {
        .path = source->path,
        .incarnation = source->incarnation,
        .page_size = run->page_size,
        .pages_after = run->pages_after,
        .is_last = run->is_last,
        .is_alone = source->is_alone,
        .rolling_hash = source->rolling_hash ^ run->rolling_change,
        .count = run->count,
        .pages = run->pages,
    };

    if (!outbox->codec)
        outbox->codec = codec_new();
    if (!delta_encode(outbox->codec, run->images, (size_t)run->count * run->page_size, previous,
                      &outbox->frame, err))
        return false;
    section.frame = outbox->frame.bytes;
    section.frame_size = outbox->frame.size;
    buf_add(&outbox->section, &run->count, sizeof(run->count));
    data_add_run(&outbox->section, &section);
    buf_add(&outbox->section, run->hashes, run->count * sizeof(run->hashes[0]));
    return buf_check(&outbox->section, "a section", err) &&
           spool_append(outbox->spool, outbox->section.bytes, outbox->section.size, err);
}

/* The sink of a database. */
static bool take_run(void *context, const struct database_run *run, struct err *err)
{
    const struct outbox_source *source = context;
    struct outbox *outbox = source->outbox;
    bool taken;

    if (run->is_first)
        spool_rewind(outbox->spool, outbox->whole);
    taken = encode_run(source, run, err);
    keep_small(&outbox->frame);
    keep_small(&outbox->section);
    if (!taken)
        return err_wrap(err, "%s", source->path);
    if (run->is_last)
        outbox->whole = spool_tail(outbox->spool);
    return true;
}

void outbox_follow(struct outbox *outbox, const struct base_database *source, uint64_t rolling_hash)
{
    struct outbox_source *followed = xcalloc(1, sizeof(*followed));
    struct database_sink sink = {take_run, followed};

    assert(outbox->count < DATABASE_FREEZE_MAX && !outbox_follows(outbox, source->database));
    assert(source->incarnation > 0);
    *followed = (struct outbox_source){.outbox = outbox,
                                       .database = source->database,
                                       .path = source->path,
                                       .incarnation = source->incarnation,
                                       .rolling_hash = rolling_hash};
    outbox->sources[outbox->count++] = followed;
    database_collect_begin(source->database, &sink);
}

bool outbox_add(struct outbox *outbox, const struct base_database *source, uint64_t rolling_hash,
                const struct database_run *run, struct err *err)
{
    struct outbox_source alone = {.outbox = outbox,
                                  .path = source->path,
                                  .incarnation = source->incarnation,
                                  .rolling_hash = rolling_hash,
                                  .is_alone = true};

    assert(run->rolling_change == 0 && run->previous_count == 0);
    return take_run(&alone, run, err);
}

static void drop_source(struct outbox *outbox, size_t at)
{
    database_collect_end(outbox->sources[at]->database);
    free(outbox->sources[at]);
    outbox->sources[at] = outbox->sources[--outbox->count];
}

void outbox_forget(struct outbox *outbox, const struct database *database)
{
    for (size_t at = outbox->count; at > 0; at--)
        if (outbox->sources[at - 1]->database == database)
            drop_source(outbox, at - 1);
}

bool outbox_follows(const struct outbox *outbox, const struct database *database)
{
    for (size_t at = 0; at < outbox->count; at++)
        if (outbox->sources[at]->database == database)
            return true;
    return false;
}

void outbox_clear(struct outbox *outbox)
{
    while (outbox->count > 0)
        drop_source(outbox, outbox->count - 1);
    spool_release(outbox->spool, spool_tail(outbox->spool));
    outbox->whole = spool_tail(outbox->spool);
}

uint64_t outbox_begin(const struct outbox *outbox)
{
    return spool_head(outbox->spool);
}

uint64_t outbox_end(const struct outbox *outbox)
{
    return outbox->whole;
}

static bool damaged(struct err *err)
{
    return err_set(err, ERR_CORRUPT, "what waits in .holdfast/spool/ is damaged");
}

/* What an entry says of itself. */
static bool read_sizes(const struct outbox *outbox, uint64_t offset, uint64_t *ret_section,
                       uint32_t *ret_hashes, struct err *err)
{
    uint8_t head[ENTRY_HEAD_BYTES + DATA_SECTION_HEADER_BYTES];
    uint64_t left = outbox->whole - offset, section;
    uint32_t hashes;

    if (left < sizeof(head))
        return damaged(err);
    if (!spool_read(outbox->spool, offset, head, sizeof(head), err))
        return false;
    memcpy(&hashes, head, sizeof(hashes));
    section = data_section_bytes(head + ENTRY_HEAD_BYTES);
    if (section > SECTION_SIZE_MAX || hashes > DELTA_PAGES_MAX ||
        ENTRY_HEAD_BYTES + section + hashes * sizeof(uint64_t) > left)
        return damaged(err);
    *ret_section = section;
    *ret_hashes = hashes;
    return true;
}

bool outbox_read(struct outbox *outbox, uint64_t *offset, struct buf *section,
                 uint64_t hashes[static DELTA_PAGES_MAX], struct err *err)
{
    uint64_t at = *offset + ENTRY_HEAD_BYTES, size = 0;
    uint32_t count = 0;
    uint8_t *room;

    assert(*offset < outbox->whole);
    if (!read_sizes(outbox, *offset, &size, &count, err))
        return false;
    room = buf_extend(section, (size_t)size);
    if (!room)
        return err_set(err, ERR_CORRUPT, "a section of %llu bytes does not fit", (unsigned long long)size);
    if (!spool_read(outbox->spool, at, room, (size_t)size, err) ||
        !spool_read(outbox->spool, at + size, hashes, count * sizeof(hashes[0]), err)) {
        section->size -= (size_t)size;
        return false;
    }
    *offset = at + size + count * sizeof(hashes[0]);
    return true;
}

void outbox_rest(struct outbox *outbox)
{
    codec_free(MOVE(outbox->codec));
    buf_clear(&outbox->frame);
    buf_clear(&outbox->section);
}

void outbox_release(struct outbox *outbox, uint64_t end)
{
    spool_release(outbox->spool, end);
}
