#include "snapshot/base_previous.h"

#include "snapshot/data_body.h"
#include "snapshot/part.h"

#include <assert.h>
#include <string.h>

void base_previous_open(struct base_previous *previous, const struct base_request *request,
                        struct codec *codec)
{
    *previous = (struct base_previous){.request = request, .codec = codec};
}

void base_previous_close(struct base_previous *previous)
{
    buf_clear(&previous->part);
    archive_clear(&previous->archive);
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

static bool fetch_record(struct base_previous *previous, uint32_t position, struct record *ret_record,
                         struct err *err)
{
    const struct base_request *request = previous->request;

    if (!previous->archive.store)
        previous->archive = archive_of(request->store, &request->log->newest.lineage);
    if (archive_read(&previous->archive, position, ret_record, err))
        return true;
    if (err->code == ERR_NOT_FOUND)
        err->code = ERR_CORRUPT; /* nothing above the newest base is pruned */
    return false;
}

/* The put of the file at path; ERR_CORRUPT if the record has none. */
static bool find_put(struct data_reader *reader, const char *path, const struct data_put **ret_put,
                     struct data_section *section, struct err *err)
{
    for (bool ended = false;;) {
        if (!data_next(reader, section, &ended, err))
            return false;
        if (ended)
            return err_set(err, ERR_CORRUPT, "%s is not in the record that should hold it", path);
        if (section->kind != DATA_PUT || strcmp(tree_path(section->put.tree, section->put.entry), path) != 0)
            continue;
        *ret_put = &section->put;
        return true;
    }
}

static bool read_from_record(struct base_previous *previous, const struct tree_entry *entry, uint8_t *room,
                             struct err *err)
{
    CLEANUP(data_reader_freep) struct data_reader *reader = NULL;
    const char *path = tree_path(previous->request->previous->tree, entry);
    const struct data_put *put = NULL;
    struct data_section section;
    struct record record;

    if (!fetch_record(previous, entry->extra, &record, err))
        return false;
    reader = data_reader_new(record.body, record.body_size);
    if (!find_put(reader, path, &put, &section, err))
        return false;
    if (!put->frame || put->entry->size != entry->size)
        return err_set(err, ERR_CORRUPT, "%s is another file in the record that should hold it", path);
    return codec_decompress(previous->codec, put->frame, put->frame_size, room, entry->size, err);
}

bool base_previous_read(struct base_previous *previous, const struct tree_entry *entry, uint8_t *room,
                        struct err *err)
{
    assert(entry->content == CONTENT_INLINE);
    if (entry->target == TREE_FRAME_IN_RECORD)
        return read_from_record(previous, entry, room, err);
    if (!decode_frame(previous, entry->target, err))
        return false;
    if (entry->extra + entry->size > previous->request->previous->frames[entry->target].raw_bytes)
        return err_set(err, ERR_CORRUPT, "a file lies beyond its frame in the newest base");
    memcpy(room, previous->frame + entry->extra, entry->size);
    return true;
}
