/* Small files as the store holds them, in the base before or in a record since: what is moving or gone on the
 * disk goes in with that content. One thread for each reader. */
#ifndef SNAPSHOT_BASE_PREVIOUS_H
#define SNAPSHOT_BASE_PREVIOUS_H

#include "snapshot/archive.h"
#include "snapshot/base.h"
#include "snapshot/codec.h"

/* Keeps the part and the frame that were read last: files that vanish together lay together. */
struct base_previous {
    const struct base_request *request;
    struct codec *codec; /* borrowed */
    struct buf part;     /* the whole object; empty: none yet */
    uint32_t part_index;
    uint8_t *frame; /* NULL: none yet */
    uint32_t frame_index;
    struct archive archive; /* without a store: no record was read yet */
};

void base_previous_open(struct base_previous *previous, const struct base_request *request,
                        struct codec *codec);
void base_previous_close(struct base_previous *previous);

/* Copies the content of `entry`, a file with inline content in request->previous, into room. ERR_CORRUPT: its
 * part or record is damaged or missing. */
bool base_previous_read(struct base_previous *previous, const struct tree_entry *entry, uint8_t *room,
                        struct err *err) CHECKED;

#endif
