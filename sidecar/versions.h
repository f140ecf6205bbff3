/* What is in this program: its own version and those of the libraries that it runs with. */
#ifndef SIDECAR_VERSIONS_H
#define SIDECAR_VERSIONS_H

#include "base/buf.h"

/* The release: what `version` and the open records of the log say. */
#define VERSION_TEXT "0.1.0"

void versions_text(struct buf *text);
void versions_json(struct buf *text);

#endif
