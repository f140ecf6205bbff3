/* Between survey.c and start.c. */
#ifndef SNAPSHOT_SURVEY_H
#define SNAPSHOT_SURVEY_H

#include "snapshot/start.h"

/* Checks the bytes of a manifest against the head's base reference and lineage and keeps it in
 * start->manifest. ERR_CORRUPT. */
bool survey_take_manifest(struct start *start, const struct buf *bytes, struct err *err) CHECKED;

#endif
