/* The thread that packs records beside an owner's shipping, whenever enough of them are loose. It shares
 * nothing with the engine's thread but what it is given at the beginning of a run. Engine's thread. */
#ifndef SNAPSHOT_PACKER_H
#define SNAPSHOT_PACKER_H

#include "base/thread.h"
#include "snapshot/packing.h"

struct packer;

/* once: the store without retry; the packer has its own, which packer_free() ends. Both are borrowed. */
struct packer *packer_new(struct store *once, struct pool *pool, const struct id *lineage);
/* Ends a run under way and waits for it: as long as a store takes to give up a request. NULL is fine. */
void packer_free(struct packer *packer);

/* Up to which position records are packed, as far as this process knows. */
uint64_t packer_reached(const struct packer *packer);

/* Takes notice of a run that has ended, and begins one if it is due: newest is the newest confirmed record.
 * Cheap. false with *err: the run that ended has failed; it is tried again after a while. */
bool packer_tend(struct packer *packer, const struct record_header *newest, struct err *err) CHECKED;

#endif
