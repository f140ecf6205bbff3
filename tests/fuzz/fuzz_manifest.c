/* Manifests. An input is tried as a whole object, and as the body of one, which we compress: no fuzzer
 * mutates its way through a zstd frame. What is accepted can be written again and gives the same body. */
#include "tests/fuzz/fuzz.h"

#include "snapshot/codec.h"
#include "snapshot/manifest.h"
#include "tests/fuzz/reseal.h"

#include <assert.h>

enum { OBJECT_MAX = 16 << 20 };

static void manifest_clearp(struct manifest *manifest)
{
    manifest_clear(manifest);
}

static void check_again(const struct manifest *manifest, struct buf *again)
{
    CLEANUP(manifest_clearp) struct manifest found = {0};
    struct digest hash;
    struct err err = {0};
    bool held = manifest_encode(manifest, again, &hash, &err);

    assert(held);
    held = manifest_decode(again->bytes, again->size, &found, &err);
    assert(held);
    assert(tree_count(found.tree) == tree_count(manifest->tree));
    assert(manifest_state_bytes(&found) == manifest_state_bytes(manifest));
}

/* True if the object was accepted; *again is what we would have written. */
static bool check_object(const uint8_t *bytes, size_t size, struct buf *again)
{
    CLEANUP(manifest_clearp) struct manifest manifest = {0};
    struct err err = {0};

    if (!manifest_decode(bytes, size, &manifest, &err)) {
        assert(err.code == ERR_CORRUPT && err.text[0] != '\0');
        return false;
    }
    for (size_t at = 0; at < tree_count(manifest.tree); at++) {
        const char *path = tree_path(manifest.tree, tree_at(manifest.tree, at));
        assert(tree_path_is_safe(path, strlen(path)));
        assert(tree_find(manifest.tree, path) == tree_at(manifest.tree, at));
    }
    check_again(&manifest, again);
    return true;
}

/* The body as the manifest of P = 41, S = 39, compressed as the writer does it. */
static void wrap(const uint8_t *body, size_t size, struct buf *object)
{
    static struct codec *codec; /* for the life of the process */
    CLEANUP(buf_clearp) struct buf frame = BUF_INIT(codec_bound(size));
    struct digest hash = digest_of("record 41", 9);
    struct err err = {0};
    bool compressed;

    if (!codec)
        codec = codec_new();
    compressed = codec_compress(codec, 3, body, size, &frame, &err);
    assert(compressed);
    buf_add_text(object, "HFMANIFE");
    wire_add_u32(object, 1);
    wire_add_u32(object, 144);
    wire_add_u64(object, frame.size);
    buf_add(object, "lineage: 16 byteowner  : 16 byte", 2 * ID_SIZE);
    wire_add_u64(object, 40);
    wire_add_u64(object, 41);
    wire_add_u64(object, 0);
    wire_add_u64(object, 0);
    buf_add(object, hash.bytes, DIGEST_SIZE);
    wire_add_u64(object, 39);
    wire_add_u64(object, 7);
    wire_add_u64(object, size);
    buf_add(object, frame.bytes, frame.size);
    hash = digest_of(object->bytes, object->size);
    buf_add(object, hash.bytes, DIGEST_SIZE);
    assert(!object->overflowed);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    CLEANUP(buf_clearp) struct buf object = BUF_INIT(OBJECT_MAX), again = BUF_INIT(OBJECT_MAX);
    CLEANUP(freep) uint8_t *sized = reseal_with_size(bytes, size);

    (void)check_object(sized, size, &again);
    buf_reset(&again);
    wrap(bytes, size, &object);
    if (check_object(object.bytes, object.size, &again))
        assert(again.size == object.size && memcmp(again.bytes, object.bytes, object.size) == 0);
    return 0;
}
