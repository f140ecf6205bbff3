/* The body of a data record: sections (docs/FORMAT.md, Data record).
 *
 * The writer appends one whole section with each call; their order in the record is the caller's, who encodes
 * most of them long before the record is cut. The reader is a strict iterator over foreign bytes. What can
 * only be judged by the state before the record (is there such a database, does an entry lie below a file) is
 * left to whoever keeps that state. Pure; a reader is used by one thread at a time. */
#ifndef SNAPSHOT_DATA_BODY_H
#define SNAPSHOT_DATA_BODY_H

#include "snapshot/delta.h"
#include "snapshot/record.h"
#include "snapshot/tree.h"

/* In one section of type 1: a run of one commit of one database. What every run of a commit repeats: path,
 * incarnation, page size, pages after and the rolling hash. */
struct data_run {
    const char *path;
    uint64_t incarnation;
    uint32_t page_size;
    uint32_t pages_after;  /* of the database after the commit */
    bool is_last;          /* of its commit */
    bool is_alone;         /* the frame was made without the previous images (delta.h) */
    uint64_t rolling_hash; /* of the database after the commit */
    uint32_t count;        /* 1 to delta_pages_max(page_size) */
    /* The page numbers, ascending, also from one run of a commit to the next: one of the two. */
    const uint32_t *pages;   /* of a writer */
    const uint8_t *pages_le; /* as stored: count u32, little-endian */
    /* The delta (delta.h), or where it is. */
    const uint8_t *frame; /* NULL: in bulk */
    size_t frame_size;
    uint32_t bulk_section, bulk_offset, bulk_size;
};

struct data_bulk {
    uint64_t n;    /* of the part's key */
    uint64_t size; /* of the whole object */
    struct digest hash;
};

struct data_put {
    const struct tree *tree; /* holds this entry alone; the reader's */
    const struct tree_entry *entry;
    const uint8_t *frame; /* inline content: decodes to entry->size bytes; else NULL */
    size_t frame_size;
};

struct data_dropped {
    size_t count; /* at least 1; data_dropped_name() reads one */
    const uint8_t *stored;
};

struct data_database_gone {
    const char *path;
    uint64_t incarnation;
};

/* Of the database that stands at path after the runs of the record. */
struct data_attributes {
    const char *path;
    uint64_t incarnation;
    uint32_t mode; /* permission bits, 07777 at most */
    uint32_t uid, gid;
};

enum data_kind {
    DATA_RUN = 1,
    DATA_PUT = 2,
    DATA_GONE = 3,
    DATA_BULK = 4,
    DATA_DROPPED = 5,
    DATA_DATABASE_GONE = 6,
    DATA_ATTRIBUTES = 7,
};

/* Valid until the next call for the same reader; it points into the body. */
struct data_section {
    enum data_kind kind;
    union {
        struct data_run run;
        struct data_put put;
        const char *gone; /* path */
        struct data_bulk bulk;
        struct data_dropped dropped;
        struct data_database_gone database_gone;
        struct data_attributes attributes;
    };
};

/* Number `at` (below the count) of the run's pages. */
uint32_t data_run_page(const struct data_run *run, uint32_t at);
struct blob_name data_dropped_name(const struct data_dropped *dropped, size_t at);

/* Each appends one whole section. What data_next() would refuse in it aborts: it could never be read. */
void data_add_bulk(struct buf *body, uint64_t n, uint64_t size, const struct digest *hash);
void data_add_run(struct buf *body, const struct data_run *run);
void data_add_database_gone(struct buf *body, const char *path, uint64_t incarnation);
void data_add_attributes(struct buf *body, const struct data_attributes *attributes);
void data_add_gone(struct buf *body, const char *path);
/* The entry as it is in the tree; inline content is its zstd frame, which stands for where the tree says that
 * it lies (else NULL, 0). */
void data_add_put(struct buf *body, const struct tree *tree, const struct tree_entry *entry,
                  const void *frame, size_t frame_size);
/* No section if there are none. */
void data_add_dropped(struct buf *body, const struct blob_name *names, size_t count);

enum { DATA_SECTION_HEADER_BYTES = 16 };

/* Of the whole section that begins with these DATA_SECTION_HEADER_BYTES, as they say, which may be anything;
 * UINT64_MAX if it would be more than that. For who cuts a stream of sections without looking into them. */
uint64_t data_section_bytes(const uint8_t *header);

struct data_reader;

/* Over body, which stays as it is while the reader lives. */
struct data_reader *data_reader_new(const void *body, size_t size);
void data_reader_free(struct data_reader *reader);
DEFINE_CLEANUP(struct data_reader *, data_reader_free, data_reader_freep)

/* The next section, or *ret_end at the end of the body (and then *ret_section is untouched). ERR_CORRUPT for
 * anything that docs/FORMAT.md does not allow in a data record by itself, and then for every call after that;
 * the frames are not looked into. */
bool data_next(struct data_reader *reader, struct data_section *ret_section, bool *ret_end,
               struct err *err) CHECKED;

#endif
