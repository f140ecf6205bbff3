/* A queue of bytes on disk, below .holdfast/spool/: what was read from the databases' logs and waits for the
 * store, so that a store that is away costs disk and not memory.
 *
 * Offsets count all bytes ever appended and only grow; [head, tail) is what is held. Nothing here is synced
 * and nothing survives the process: after a restart the databases' own logs and page hashes say what is
 * missing, and what an earlier process had spooled is deleted unread. One thread at a time. */
#ifndef SNAPSHOT_SPOOL_H
#define SNAPSHOT_SPOOL_H

#include "base/cleanup.h"
#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

struct spool;

/* Removes what an earlier process has left and begins an empty spool. directory_fd: the data directory,
 * borrowed for the life of the spool; its .holdfast/ need not exist. size_max: bytes that it may hold. */
bool spool_open(int directory_fd, uint64_t size_max, struct spool **ret_spool, struct err *err) CHECKED;
/* Nothing stays on the disk. NULL is fine. */
void spool_free(struct spool *spool);
DEFINE_CLEANUP(struct spool *, spool_free, spool_freep)

/* Where the first byte held stands, and where the next one will. Equal: empty. */
uint64_t spool_head(const struct spool *spool);
uint64_t spool_tail(const struct spool *spool);

/* All of bytes or nothing. ERR_TRANSIENT: there is no room, by size_max, or since the disk is full or would
 * lose more than a tenth of its free space to us; later, when something was released, there may be. Any other
 * error: the disk is broken. */
bool spool_append(struct spool *spool, const void *bytes, size_t size, struct err *err) CHECKED;
/* Takes back what was appended after `tail`, which lies in [head, tail]. */
void spool_rewind(struct spool *spool, uint64_t tail);
/* Exactly these bytes, which are held (asserted). After an error they can't be had any more: only the
 * databases themselves still have what they stood for. */
bool spool_read(const struct spool *spool, uint64_t offset, void *bytes, size_t size,
                struct err *err) CHECKED;
/* Gives up what lies before `head`, which lies in [head, tail], and its space: at once when nothing is left,
 * else a mebibyte at a time. On a file system without holes space comes back only when nothing is left, and
 * counts as used until then. */
void spool_release(struct spool *spool, uint64_t head);

#endif
