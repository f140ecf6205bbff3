#include "snapshot/part_writer.h"

#include "snapshot/part.h"

#include <assert.h>
#include <string.h>

enum { LEVEL = 3 };

static void clear_list(struct part_list *list)
{
    free(list->parts);
    free(list->frames);
    *list = (struct part_list){0};
}

void part_list_append(struct part_list *list, struct manifest *manifest, uint32_t *ret_first_frame)
{
    uint32_t base = (uint32_t)manifest->frames_count;

    for (size_t at = 0; at < list->frames_count; at++)
        manifest_add_frame(manifest, list->frames[at].stored_bytes, list->frames[at].raw_bytes);
    for (size_t at = 0; at < list->parts_count; at++) {
        struct manifest_part part = list->parts[at];
        part.first_frame += base;
        manifest_add_part(manifest, &part);
    }
    *ret_first_frame = base;
    clear_list(list);
}

void part_writer_open(struct part_writer *writer, const struct base_request *request, struct part_list *list)
{
    *writer = (struct part_writer){
        .request = request,
        .list = list,
        .codec = codec_new(),
        .object = BUF_INIT(PART_HEADER_BYTES + PART_TARGET_BYTES + codec_bound(FRAME_RAW_BYTES)),
    };
}

void part_writer_close(struct part_writer *writer)
{
    codec_free(writer->codec);
    buf_clear(&writer->object);
}

static void note_frame(struct part_list *list, size_t stored, size_t raw)
{
    list->frames = xrealloc(list->frames, (list->frames_count + 1) * sizeof(list->frames[0]));
    list->frames[list->frames_count++] = (struct manifest_frame){(uint32_t)stored, (uint32_t)raw};
}

static bool close_part(struct part_writer *writer, struct err *err)
{
    const struct base_request *request = writer->request;
    struct part_list *list = writer->list;
    struct part_owner owner = {request->store, request->log->newest.position, request->owner,
                               request->next_n};
    struct manifest_part part = {
        .bytes = writer->object.size,
        .first_frame = (uint32_t)list->frames_count - writer->frames,
        .frames = writer->frames,
    };

    if (!part_upload(&owner, &writer->object, writer->frames, &part.n, &part.hash, err))
        return false;
    list->parts = xrealloc(list->parts, (list->parts_count + 1) * sizeof(list->parts[0]));
    list->parts[list->parts_count++] = part;
    buf_reset(&writer->object);
    writer->frames = 0;
    return true;
}

bool part_writer_add(struct part_writer *writer, const void *raw, size_t raw_size, struct err *err)
{
    size_t before;

    assert(raw_size > 0 && raw_size <= FRAME_RAW_BYTES);
    if (writer->request->canceled && atomic_load(writer->request->canceled))
        return err_set(err, ERR_CANCELED, "the snapshot was stopped");
    if (writer->frames == 0)
        part_begin(&writer->object);
    before = writer->object.size;
    if (!codec_compress(writer->codec, LEVEL, raw, raw_size, &writer->object, err))
        return false;
    note_frame(writer->list, writer->object.size - before, raw_size);
    writer->frames++;
    return writer->object.size < PART_TARGET_BYTES || close_part(writer, err);
}

bool part_writer_finish(struct part_writer *writer, struct err *err)
{
    return writer->frames == 0 || close_part(writer, err);
}
