/* The shell that records and manifests share (docs/FORMAT.md, Envelope): magic, version, who wrote it and
 * where it stands, and the hash over everything at the end. Used by record.c and manifest_*.c only. Pure; any
 * thread. */
#ifndef SNAPSHOT_ENVELOPE_H
#define SNAPSHOT_ENVELOPE_H

#include "snapshot/digest.h"
#include "snapshot/wire.h"

enum { ENVELOPE_SIZE = 88 };

struct envelope_type {
    char magic[9];
    const char *noun; /* "a record": how errors begin */
};

struct envelope {
    uint16_t kind;
    uint32_t header_size; /* the envelope and the fields that follow it */
    uint64_t body_size;
    struct id lineage;
    struct id owner;
    uint64_t epoch;
    uint64_t position;
    uint64_t time_ns;
    uint64_t key_id;
};

/* Where the rest is; points into the bytes that were opened. */
struct envelope_content {
    struct wire_reader header; /* behind the envelope */
    const uint8_t *body;
    size_t body_size;
    struct digest hash;
};

/* Appends the envelope; the caller adds the rest of the header and the body, and seals from the offset where
 * the object began in *bytes. */
void envelope_add(const struct envelope_type *type, const struct envelope *envelope, struct buf *bytes);
struct digest envelope_seal(struct buf *bytes, size_t start);

/* Checks magic, hash, version, sizes and the rules for epoch, position and key id. ERR_CORRUPT; the magic and
 * the hash keep their places in every version, so a higher version is told from damage and named with its
 * remedy. */
bool envelope_open(const struct envelope_type *type, const void *bytes, size_t size,
                   struct envelope *ret_envelope, struct envelope_content *ret_content,
                   struct err *err) CHECKED;

#endif
