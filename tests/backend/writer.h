/* Turns what the application wants into the rows that Convex would write.
 *
 * A mutation is 2 document revisions and 8 index entries: a new message, and a channel that it touches (9 of
 * 10 times a patch of one that exists, 6 of 10 of those among the most recently used). One writer belongs to
 * one thread; the server's committer, the generator and the commit load each have one. */
#ifndef TESTS_BACKEND_WRITER_H
#define TESTS_BACKEND_WRITER_H

#include "tests/backend/query.h"

enum { WRITER_CHANNELS_MAX = 4096 };

struct channel {
    struct ident id;
    int64_t created, ts;
    unsigned revision;
};

struct writer {
    struct random random;
    struct batch batch; /* filled by the functions below */
    int64_t last_number, last_ts;
    int64_t step_max_ns; /* 0: timestamps are the wall clock's; else each is up to so much after the last */
    struct channel channels[WRITER_CHANNELS_MAX]; /* that can be patched, in no order */
    size_t channel_count;
};

/* A writer that goes on after what the database holds; allocated. The seed may be 0: any. */
bool writer_open(struct persistence *persistence, uint64_t seed, struct writer **ret_writer,
                 struct err *err) CHECKED;
void writer_close(struct writer *writer);
DEFINE_CLEANUP(struct writer *, writer_close, writer_closep)

/* From here on timestamps are made up, from begin_ns on and at most step_max_ns apart. */
void writer_pretend(struct writer *writer, int64_t begin_ns, int64_t step_max_ns);

/* Empties the batch. */
void writer_begin(struct writer *writer);

/* Adds one mutation under a new timestamp, writer->last_ts: the wall clock in ns, but always above the last.
 * Its number is returned. */
int64_t writer_add_mutation(struct writer *writer, const char *value);

/* Adds the row that names a blob, or the revision that deletes it again. */
void writer_add_file(struct writer *writer, const char *file, const char *sha256, uint64_t size);
void writer_remove_file(struct writer *writer, const struct entry *entry);

#endif
