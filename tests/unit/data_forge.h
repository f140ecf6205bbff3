/* Sections of a data record that break rules, which the writer refuses to make: forged field by field. */
#ifndef TESTS_UNIT_DATA_FORGE_H
#define TESTS_UNIT_DATA_FORGE_H

#include "snapshot/data_body.h"
#include "tests/tap.h"

enum { ROOM = 20 << 20 };

static inline void forge_section(struct buf *body, uint16_t kind, const void *bytes, size_t size)
{
    wire_add_u16(body, kind);
    wire_add_u16(body, 0);
    wire_add_u32(body, 0);
    wire_add_u64(body, size);
    buf_add(body, bytes, size);
}

/* All of the body, up to its end or to what is refused. */
static inline bool read_all(const struct buf *body, struct err *err)
{
    CLEANUP(data_reader_freep) struct data_reader *reader = data_reader_new(body->bytes, body->size);
    bool end = false;

    while (!end) {
        struct data_section section;
        if (!data_next(reader, &section, &end, err)) {
            struct err again = {0};
            EXPECT(!data_next(reader, &section, &end, &again)); /* and it stays refused */
            EXPECT_INT(again.code, ERR_CORRUPT);
            return false;
        }
    }
    return true;
}

static inline void expect_refused(const struct buf *body, const char *text)
{
    struct err err = {0};

    EXPECT(!read_all(body, &err));
    EXPECT_INT(err.code, ERR_CORRUPT);
    if (!EXPECT(strstr(err.text, text)))
        printf("#   \"%s\" has no \"%s\"\n", err.text, text);
}

static inline void expect_accepted(const struct buf *body)
{
    struct err err = {0};

    EXPECT_OK(read_all(body, &err), &err);
}

#define BODY(name) CLEANUP(buf_clearp) struct buf name = BUF_INIT(ROOM)

/* The fields of a run, which tests change before they forge it. */
struct forged_run {
    const char *path;
    uint64_t incarnation;
    uint32_t page_size, pages_after;
    uint8_t is_last;
    uint64_t rolling_hash;
    uint32_t count;
    uint32_t pages[4];
    uint8_t where;
    uint32_t here_size;
    uint32_t section, offset, size;
};

static const struct forged_run sound = {.path = "db",
                                        .incarnation = 5,
                                        .page_size = 4096,
                                        .pages_after = 10,
                                        .is_last = 1,
                                        .rolling_hash = 6,
                                        .count = 2,
                                        .pages = {1, 10},
                                        .here_size = 20,
                                        .offset = 16,
                                        .size = 84};

static inline void forge_run(struct buf *body, const struct forged_run *run)
{
    BODY(content);

    wire_add_str(&content, run->path, strlen(run->path));
    wire_add_u64(&content, run->incarnation);
    wire_add_u32(&content, run->page_size);
    wire_add_u32(&content, run->pages_after);
    wire_add_u8(&content, run->is_last);
    wire_add_u64(&content, run->rolling_hash);
    wire_add_u32(&content, run->count);
    for (uint32_t at = 0; at < run->count; at++)
        wire_add_u32(&content, run->count > 4 ? at + 1 : run->pages[at]);
    wire_add_u8(&content, run->where);
    if (run->where == 0) {
        wire_add_u32(&content, run->here_size);
        memset(buf_extend(&content, run->here_size), 'f', run->here_size);
    } else {
        wire_add_u32(&content, run->section);
        wire_add_u32(&content, run->offset);
        wire_add_u32(&content, run->size);
    }
    forge_section(body, DATA_RUN, content.bytes, content.size);
}

#endif
