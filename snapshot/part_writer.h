/* Parts under construction: frames are compressed into an object that is uploaded when it has reached its
 * size.
 *
 * One writer serves one range of frames in one task. What it made is a list that the cutter puts together in
 * the order of ranges, so that frames are numbered alike however the tasks were scheduled. */
#ifndef SNAPSHOT_PART_WRITER_H
#define SNAPSHOT_PART_WRITER_H

#include "snapshot/base.h"
#include "snapshot/codec.h"

struct part_list {
    struct manifest_part *parts; /* first_frame is relative to the list */
    size_t parts_count;
    struct manifest_frame *frames;
    size_t frames_count;
};

/* Moves all of list behind what the manifest has; *ret_first_frame is the number that its first frame got. */
void part_list_append(struct part_list *list, struct manifest *manifest, uint32_t *ret_first_frame);

struct part_writer {
    const struct base_request *request;
    struct part_list *list;
    struct codec *codec;
    struct buf object;
    uint32_t frames; /* in the object so far */
};

void part_writer_open(struct part_writer *writer, const struct base_request *request, struct part_list *list);
/* raw_size at most FRAME_RAW_BYTES. */
bool part_writer_add(struct part_writer *writer, const void *raw, size_t raw_size, struct err *err) CHECKED;
/* Uploads what is left. */
bool part_writer_finish(struct part_writer *writer, struct err *err) CHECKED;
void part_writer_close(struct part_writer *writer);

#endif
