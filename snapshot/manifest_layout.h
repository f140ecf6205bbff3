/* Numbers of docs/FORMAT.md, Manifest, that its writer and its reader share. */
#ifndef SNAPSHOT_MANIFEST_LAYOUT_H
#define SNAPSHOT_MANIFEST_LAYOUT_H

#include "snapshot/envelope.h"

enum {
    MANIFEST_KIND = 0,
    MANIFEST_HEADER_SIZE = 144,
    MANIFEST_RAW_MAX = 1 << 30,
    MANIFEST_LEVEL = 3,
    PART_OVERHEAD = 16, /* of a part object, before its frames */
};

static const struct envelope_type manifest_type = {"HFMANIFE", "a manifest"};

#endif
