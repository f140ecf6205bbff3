/* Bodies of data records. What is accepted says all that its bytes say: written again it gives them back. */
#include "tests/fuzz/fuzz.h"

#include "snapshot/data_body.h"

#include <assert.h>
#include <string.h>

enum { BODY_MAX = 1 << 20 };

static void add_dropped(struct buf *again, const struct data_dropped *dropped)
{
    CLEANUP(freep) struct blob_name *names = xcalloc(dropped->count, sizeof(*names));

    for (size_t at = 0; at < dropped->count; at++)
        names[at] = data_dropped_name(dropped, at);
    data_add_dropped(again, names, dropped->count);
}

static void add_section(struct buf *again, const struct data_section *section)
{
    switch (section->kind) {
    case DATA_BULK:
        data_add_bulk(again, section->bulk.n, section->bulk.size, &section->bulk.hash);
        return;
    case DATA_RUN:
        assert(tree_path_is_safe(section->run.path, strlen(section->run.path)));
        data_add_run(again, &section->run);
        return;
    case DATA_DATABASE_GONE:
        data_add_database_gone(again, section->database_gone.path, section->database_gone.incarnation);
        return;
    case DATA_ATTRIBUTES:
        data_add_attributes(again, &section->attributes);
        return;
    case DATA_GONE:
        data_add_gone(again, section->gone);
        return;
    case DATA_PUT:
        data_add_put(again, section->put.tree, section->put.entry, section->put.frame,
                     section->put.frame_size);
        return;
    case DATA_DROPPED:
        add_dropped(again, &section->dropped);
        return;
    }
    assert(false);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    CLEANUP(freep) uint8_t *copy = xmalloc(size); /* for ASan */
    CLEANUP(data_reader_freep) struct data_reader *reader = NULL;
    CLEANUP(buf_clearp) struct buf again = BUF_INIT(BODY_MAX);
    struct err err = {0};

    if (size > BODY_MAX)
        return 0;
    if (size > 0)
        memcpy(copy, bytes, size);
    reader = data_reader_new(copy, size);
    for (;;) {
        struct data_section section;
        size_t start = again.size;
        bool end = false;
        if (!data_next(reader, &section, &end, &err)) {
            assert(err.code == ERR_CORRUPT && err.text[0] != '\0');
            return 0;
        }
        if (end)
            break;
        add_section(&again, &section);
        assert(again.size <= size && memcmp(again.bytes + start, copy + start, again.size - start) == 0);
    }
    assert(again.size == size);
    return 0;
}
