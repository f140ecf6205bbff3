/* The sections of a data record as they are written, and the rules that the reader holds them to as well.
 *
 * A section is encoded when its commit is read from the log of its database, which is long before the record
 * that takes it is cut: it waits on disk meanwhile. So nothing in it depends on that record, but for where
 * the frame of a run lies: to move it into bulk, a run that was read is written again. */
#include "snapshot/data_body.h"

#include "snapshot/data_layout.h"
#include "snapshot/entry.h"
#include "snapshot/manifest.h"
#include "snapshot/pagehash.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static uint64_t load(const uint8_t *bytes, size_t size)
{
    uint64_t value = 0;

    for (size_t at = size; at > 0; at--)
        value = value << 8 | bytes[at - 1];
    return value;
}

static void store_u64(uint8_t *bytes, uint64_t value)
{
    for (size_t at = 0; at < sizeof(value); at++)
        bytes[at] = (uint8_t)(value >> (8 * at));
}

uint32_t data_run_page(const struct data_run *run, uint32_t at)
{
    assert(at < run->count);
    return run->pages ? run->pages[at]
                      : (uint32_t)load(run->pages_le + sizeof(uint32_t) * at, sizeof(uint32_t));
}

struct blob_name data_dropped_name(const struct data_dropped *dropped, size_t at)
{
    struct blob_name name;

    assert(at < dropped->count);
    name.tag = load(dropped->stored + DROPPED_SIZE * at, sizeof(name.tag));
    memcpy(&name.content, dropped->stored + DROPPED_SIZE * at + sizeof(name.tag), DIGEST_SIZE);
    return name;
}

static const char *broken_pages_rule(const struct data_run *run)
{
    uint32_t lock_page = pagehash_lock_page(run->page_size), previous = 0;

    for (uint32_t at = 0; at < run->count; at++) {
        uint32_t page = data_run_page(run, at);
        if (page <= previous)
            return "its pages are not in ascending order, each once";
        if (page > run->pages_after)
            return "it has a page above the last one of its database";
        if (page == lock_page)
            return "it has the page of SQLite's locks, which holds nothing";
        previous = page;
    }
    return NULL;
}

const char *data_run_rule(const struct data_run *run)
{
    uint64_t stored = run->frame ? run->frame_size : run->bulk_size;

    if (!pagehash_is_page_size(run->page_size))
        return "its page size is no power of two from 512 to 65536";
    if (run->pages_after == 0 || run->pages_after > PAGEHASH_PAGES_MAX)
        return "its database would have no pages, or more than a database can have";
    if (run->count == 0 || run->count > delta_pages_max(run->page_size))
        return "it has no pages, or more than 1024, or more than 4 MiB of them";
    if (stored == 0 || stored > DELTA_FRAME_MAX)
        return "its frame is empty or larger than zstd makes it";
    if (!run->frame && run->bulk_offset < BULK_OFFSET_MIN)
        return "its frame lies in the header of its bulk";
    return broken_pages_rule(run);
}

const char *data_bulk_rule(const struct data_bulk *bulk)
{
    if (bulk->size <= BULK_OFFSET_MIN || bulk->size > PART_SIZE_MAX)
        return "its size is not that of a part";
    return NULL;
}

/* As with records: what could never be read is not written. */
static void abort_if_broken(const char *rule)
{
    if (!rule)
        return;
    (void)fprintf(stderr, "holdfast: about to write a data section that breaks a rule: %s\n", rule);
    abort();
}

uint64_t data_section_bytes(const uint8_t *header)
{
    uint64_t length = load(header + SECTION_LENGTH_AT, sizeof(length));

    return length > UINT64_MAX - DATA_SECTION_HEADER_BYTES ? UINT64_MAX : length + DATA_SECTION_HEADER_BYTES;
}

static size_t open_section(struct buf *body, enum data_kind kind, uint16_t flags)
{
    size_t start = body->size;

    wire_add_u16(body, (uint16_t)kind);
    wire_add_u16(body, flags);
    wire_add_u32(body, 0);
    wire_add_u64(body, 0); /* the length, when it is known */
    return start;
}

/* Nothing of a section that does not fit is left. */
static void close_section(struct buf *body, size_t start)
{
    if (body->overflowed) {
        body->size = start;
        return;
    }
    store_u64(body->bytes + start + SECTION_LENGTH_AT, body->size - start - DATA_SECTION_HEADER_BYTES);
}

static void add_path(struct buf *body, const char *path)
{
    size_t size = strlen(path);

    assert(tree_path_is_safe(path, size));
    wire_add_str(body, path, size);
}

void data_add_bulk(struct buf *body, uint64_t n, uint64_t size, const struct digest *hash)
{
    struct data_bulk bulk = {.n = n, .size = size};
    size_t start = open_section(body, DATA_BULK, 0);

    abort_if_broken(data_bulk_rule(&bulk));
    wire_add_u64(body, n);
    wire_add_u64(body, size);
    buf_add(body, hash->bytes, DIGEST_SIZE);
    close_section(body, start);
}

static void add_frame(struct buf *body, const void *frame, size_t size)
{
    wire_add_u32(body, (uint32_t)size);
    buf_add(body, frame, size);
}

void data_add_run(struct buf *body, const struct data_run *run)
{
    size_t start = open_section(body, DATA_RUN, run->is_alone ? SECTION_ALONE : 0);

    abort_if_broken(data_run_rule(run));
    add_path(body, run->path);
    wire_add_u64(body, run->incarnation);
    wire_add_u32(body, run->page_size);
    wire_add_u32(body, run->pages_after);
    wire_add_u8(body, run->is_last);
    wire_add_u64(body, run->rolling_hash);
    wire_add_u32(body, run->count);
    for (uint32_t at = 0; at < run->count; at++)
        wire_add_u32(body, data_run_page(run, at));
    wire_add_u8(body, run->frame ? WHERE_HERE : WHERE_BULK);
    if (run->frame) {
        add_frame(body, run->frame, run->frame_size);
    } else {
        wire_add_u32(body, run->bulk_section);
        wire_add_u32(body, run->bulk_offset);
        wire_add_u32(body, run->bulk_size);
    }
    close_section(body, start);
}

void data_add_database_gone(struct buf *body, const char *path, uint64_t incarnation)
{
    size_t start = open_section(body, DATA_DATABASE_GONE, 0);

    add_path(body, path);
    wire_add_u64(body, incarnation);
    close_section(body, start);
}

void data_add_attributes(struct buf *body, const struct data_attributes *attributes)
{
    size_t start = open_section(body, DATA_ATTRIBUTES, 0);

    assert(attributes->mode <= DATA_MODE_MAX);
    add_path(body, attributes->path);
    wire_add_u64(body, attributes->incarnation);
    wire_add_u32(body, attributes->mode);
    wire_add_u32(body, attributes->uid);
    wire_add_u32(body, attributes->gid);
    close_section(body, start);
}

void data_add_gone(struct buf *body, const char *path)
{
    size_t start = open_section(body, DATA_GONE, 0);

    add_path(body, path);
    close_section(body, start);
}

void data_add_put(struct buf *body, const struct tree *tree, const struct tree_entry *entry,
                  const void *frame, size_t frame_size)
{
    bool is_inline = entry->kind == ENTRY_FILE && entry->content == CONTENT_INLINE;
    size_t start = open_section(body, DATA_PUT, 0);
    struct err err = {0};

    abort_if_broken(entry_check(tree, entry, &err) ? NULL : err.text);
    assert(is_inline == (frame != NULL) && frame_size <= INLINE_FRAME_MAX);
    entry_encode(tree, entry, body);
    if (is_inline)
        add_frame(body, frame, frame_size);
    close_section(body, start);
}

void data_add_dropped(struct buf *body, const struct blob_name *names, size_t count)
{
    size_t start = body->size;

    assert(count <= UINT32_MAX);
    if (count == 0)
        return;
    (void)open_section(body, DATA_DROPPED, 0);
    wire_add_u32(body, (uint32_t)count);
    for (size_t at = 0; at < count; at++) {
        assert(names[at].tag != 0);
        wire_add_u64(body, names[at].tag);
        buf_add(body, names[at].content.bytes, DIGEST_SIZE);
    }
    close_section(body, start);
}
