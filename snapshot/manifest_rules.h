/* The rules of docs/FORMAT.md that a manifest keeps as a whole, for its writer and its reader alike. Used by
 * manifest_encode.c and manifest_decode.c only. Pure; any thread. */
#ifndef SNAPSHOT_MANIFEST_RULES_H
#define SNAPSHOT_MANIFEST_RULES_H

#include "snapshot/manifest.h"

/* ERR_CORRUPT with the rule and the path that breaks it. */
bool manifest_check(const struct manifest *manifest, struct err *err) CHECKED;

#endif
