#include "snapshot/base_previous.h"

#include <assert.h>
#include <string.h>

enum { PART_HEADER_BYTES = 16 };

void base_previous_open(struct base_previous *previous, const struct base_request *request,
                        struct codec *codec)
{
    *previous = (struct base_previous){.request = request, .codec = codec};
}

void base_previous_close(struct base_previous *previous)
{
    buf_clear(&previous->part);
    free(previous->frame);
}

static uint32_t part_of_frame(const struct manifest *manifest, uint32_t frame)
{
    uint32_t part = 0;

    assert(frame < manifest->frames_count);
    while (frame - manifest->parts[part].first_frame >= manifest->parts[part].frames)
        part++;
    return part;
}

static bool fetch_part(struct base_previous *previous, uint32_t index, struct err *err)
{
    const struct manifest *manifest = previous->request->previous;
    const struct manifest_part *part = &manifest->parts[index];
    struct key key = key_part(manifest->position, &manifest->owner, part->n);
    struct digest hash;

    if (previous->part.size > 0 && previous->part_index == index)
        return true;
    buf_clear(&previous->part);
    previous->part = (struct buf)BUF_INIT(part->bytes);
    if (!store_get(previous->request->store, key.text, &previous->part, err)) {
        if (err->code == ERR_NOT_FOUND)
            err->code = ERR_CORRUPT; /* the newest base is never pruned */
        return err_wrap(err, "%s", key.text);
    }
    hash = digest_of(previous->part.bytes, previous->part.size);
    if (previous->part.size != part->bytes || memcmp(hash.bytes, part->hash.bytes, HASH_SIZE) != 0) {
        buf_clear(&previous->part);
        return err_set(err, ERR_CORRUPT, "%s: it is damaged", key.text);
    }
    previous->part_index = index;
    return true;
}

static bool decode_frame(struct base_previous *previous, uint32_t index, struct err *err)
{
    const struct manifest *manifest = previous->request->previous;
    const struct manifest_frame *frame = &manifest->frames[index];
    uint32_t part = part_of_frame(manifest, index);
    size_t offset = PART_HEADER_BYTES;

    if (previous->frame && previous->frame_index == index)
        return true;
    if (!fetch_part(previous, part, err))
        return false;
    for (uint32_t at = manifest->parts[part].first_frame; at < index; at++)
        offset += manifest->frames[at].stored_bytes;
    free(previous->frame);
    previous->frame = xmalloc(frame->raw_bytes);
    previous->frame_index = index;
    if (offset + frame->stored_bytes <= previous->part.size &&
        codec_decompress(previous->codec, previous->part.bytes + offset, frame->stored_bytes, previous->frame,
                         frame->raw_bytes, err))
        return true;
    free(previous->frame);
    previous->frame = NULL;
    return err_set(err, ERR_CORRUPT, "frame %u of the newest base can't be decoded", index);
}

bool base_previous_read(struct base_previous *previous, const struct tree_entry *entry, uint8_t *room,
                        struct err *err)
{
    assert(entry->content == CONTENT_INLINE);
    if (!decode_frame(previous, entry->target, err))
        return false;
    if (entry->extra + entry->size > previous->request->previous->frames[entry->target].raw_bytes)
        return err_set(err, ERR_CORRUPT, "a file lies beyond its frame in the newest base");
    memcpy(room, previous->frame + entry->extra, entry->size);
    return true;
}
