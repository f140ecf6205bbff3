/* A base of one database, app.db, in a store in memory, and a directory to restore it to. */
#ifndef TESTS_UNIT_RESTORE_BENCH_H
#define TESTS_UNIT_RESTORE_BENCH_H

#include "snapshot/codec.h"
#include "snapshot/pagehash.h"
#include "snapshot/part.h"
#include "snapshot/restore.h"
#include "tests/double/scratch.h"
#include "tests/double/store_mem.h"
#include "tests/tap.h"

enum { KIB = 1 << 10 };

struct bench {
    struct store *store;
    struct manifest manifest;
    struct scratch disk;
    struct place *place;
    uint8_t *bytes;
    size_t size;
    bool can_direct; /* the file system of the scratch directory */
};

/* Neither zeros nor anything that compresses, but for one stretch of zeros that becomes a hole, and the end.
 */
static inline void fill(uint8_t *bytes, size_t size)
{
    uint64_t state = 88172645463325252u + size;

    for (size_t at = 0; at < size; at += sizeof(state)) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        memcpy(bytes + at, &state, sizeof(state));
    }
    if (size > 512 * KIB)
        memset(bytes + 190 * KIB, 0, 200 * KIB);
    memset(bytes + size - 100, 0, 100);
}

static inline void add_frame(struct bench *bench, struct codec *codec, size_t offset, size_t size)
{
    CLEANUP(buf_clearp) struct buf object = BUF_INIT(PART_SIZE_MAX);
    struct manifest_part part = {.first_frame = (uint32_t)bench->manifest.frames_count, .frames = 1};
    _Atomic uint64_t next_n = bench->manifest.frames_count + 1;
    struct part_owner owner = {bench->store, bench->manifest.position, &bench->manifest.owner, &next_n};
    struct err err;

    part_begin(&object);
    EXPECT_OK(codec_compress(codec, 1, bench->bytes + offset, size, &object, &err), &err);
    EXPECT_OK(part_upload(&owner, &object, 1, &part.n, &part.hash, &err), &err);
    part.bytes = object.size;
    manifest_add_frame(&bench->manifest, (uint32_t)(object.size - PART_HEADER_BYTES), (uint32_t)size);
    manifest_add_part(&bench->manifest, &part);
}

static inline void set_up(struct bench *bench, uint32_t page_size, size_t size)
{
    CLEANUP(codec_freep) struct codec *codec = codec_new();
    struct manifest_database *database;
    int fd = -1;
    struct err err;

    *bench = (struct bench){.store = store_mem_new(), .bytes = xmalloc(size), .size = size};
    manifest_init(&bench->manifest);
    bench->manifest.position = 7;
    bench->manifest.owner = id_random();
    bench->manifest.tree = tree_new();
    fill(bench->bytes, size);
    for (size_t at = 0; at < size; at += FRAME_RAW_BYTES)
        add_frame(bench, codec, at, size - at < FRAME_RAW_BYTES ? size - at : FRAME_RAW_BYTES);
    database = manifest_add_database(&bench->manifest, "app.db");
    database->page_size = page_size;
    database->pages = size / page_size;
    database->mode = 0600;
    database->rolling_hash = pagehash_of(bench->bytes, size, page_size, 1);
    database->frames = (uint32_t)bench->manifest.frames_count;
    scratch_open(&bench->disk);
    REQUIRE_OK(place_begin(bench->disk.fd, NULL, "", &bench->place, &err), &err);
    REQUIRE_OK(place_file(bench->place, "probe", 4096, &fd, &err), &err);
    bench->can_direct = place_go_direct(fd, 4096);
    (void)close(fd);
}

static inline void tear_down(struct bench *bench)
{
    place_free(bench->place);
    scratch_close(&bench->disk);
    manifest_clear(&bench->manifest);
    store_free(bench->store);
    free(bench->bytes);
}

#endif
