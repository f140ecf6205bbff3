/* What a warm standby remembers in its directory: .holdfast/standby.
 *
 * It says which record the files around it stand at, and what each database should hold, so that a follower
 * that was stopped, or killed, can prove that and go on from there. Its being there marks the directory as a
 * follower's: no backend may run on it, since what it wrote would be lost. The form is private to this disk.
 * One thread. */
#ifndef SNAPSHOT_STANDBY_STATE_H
#define SNAPSHOT_STANDBY_STATE_H

#include "snapshot/manifest.h"

enum { STANDBY_STATE_MAX = 64 << 20 };

/* Of a manifest it keeps lineage, position, time, the record's hash and the databases. Position 0: nothing
 * was restored yet. */
void standby_state_encode(const struct manifest *state, struct buf *bytes);
bool standby_state_decode(const void *bytes, size_t size, struct manifest *ret_state,
                          struct err *err) CHECKED;

/* Replaces the file durably. */
bool standby_state_save(int directory_fd, const struct manifest *state, struct err *err) CHECKED;
/* ERR_NOT_FOUND: there is none. ERR_CORRUPT: it can't be read. The manifest has no tree. */
bool standby_state_load(int directory_fd, struct manifest *ret_state, struct err *err) CHECKED;

/* ERR_CONFIG with the remedy if the directory is a standby's: asked by whoever wants to run a backend on it.
 */
bool standby_refuse(int directory_fd, struct err *err) CHECKED;

/* Between this file and standby_redo.c: what a follower does to one path. */
struct standby_attributes {
    uint32_t mode;
    uint32_t uid;
    uint32_t gid;
    int64_t mtime_ns;
};

void standby_add_attributes(struct buf *bytes, const struct standby_attributes *attributes);
struct standby_attributes standby_read_attributes(struct wire_reader *reader);

#endif
