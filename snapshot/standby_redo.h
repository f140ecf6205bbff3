/* One step of a warm standby, written down before it is taken: .holdfast/redo.
 *
 * A step changes databases and files that are in place already, and nothing makes that one atomic act. So
 * everything new lies durably beside the copy first (files in .holdfast/staging/, images of pages in
 * .holdfast/pages/), then this list is written, and from then on the step counts: it is carried out at once,
 * and again by the next follower if this one was killed in the middle. Each entry of the list may be carried
 * out any number of times, before and after the others of its repetition, with the same outcome. Its form is
 * private to this disk. One thread. */
#ifndef SNAPSHOT_STANDBY_REDO_H
#define SNAPSHOT_STANDBY_REDO_H

#include "snapshot/page_overlay.h"
#include "snapshot/standby_state.h"

#define STANDBY_STAGING ".holdfast/staging"
#define STANDBY_PAGES ".holdfast/pages"

enum standby_list { STANDBY_REMOVALS, STANDBY_PATCHES, STANDBY_SEALS, STANDBY_LISTS };

struct standby_redo {
    struct buf lists[STANDBY_LISTS];
    uint32_t counts[STANDBY_LISTS];
};

void standby_redo_init(struct standby_redo *redo);
void standby_redo_clear(struct standby_redo *redo);

/* In the order in which it is called: a path that goes. A directory only if it is empty by then; and if
 * something of the other kind has the path, it is what has come in its place, and stays. */
void standby_redo_remove(struct standby_redo *redo, const char *path, bool is_directory);
/* The images in STANDBY_PAGES/<number> go to this database, which is so many pages large then. */
void standby_redo_patch(struct standby_redo *redo, const char *path, uint32_t number, uint64_t pages,
                        const struct page_overlay *overlay);
/* A file's or a directory's owner, mode and time; children before the directories above them. */
void standby_redo_seal(struct standby_redo *redo, const char *path,
                       const struct standby_attributes *attributes);

/* Writes the list; everything that it needs is durable. `after`: the state that the step leads to. */
bool standby_redo_save(int directory_fd, const struct standby_redo *redo, const struct manifest *after,
                       struct err *err) CHECKED;

/* Carries out the list that is there, if one is, saves the state and removes the list: removals, then
 * everything in staging moves in, then patches and seals. ERR_CORRUPT: it can't be read. */
bool standby_redo_carry_out(int directory_fd, struct err *err) CHECKED;

static inline void standby_redo_clearp(struct standby_redo *redo)
{
    standby_redo_clear(redo);
}

#endif
