/* What `holdfast doctor` finds: one line for each thing that was looked at. */
#ifndef SIDECAR_DOCTOR_H
#define SIDECAR_DOCTOR_H

#include "base/buf.h"
#include "sidecar/config.h"

#include <stdatomic.h>

enum verdict {
    VERDICT_OK,
    VERDICT_NOTE, /* worth knowing; nothing has to change */
    VERDICT_FAULT /* `run` would refuse, or lose something */
};

struct diagnosis {
    bool json;
    size_t checks;
    size_t faults;
    struct buf output;
};

/* Adds one finding; a fault's text says the remedy. */
void diagnosis_add(struct diagnosis *diagnosis, enum verdict verdict, const char *check, const char *format,
                   ...) PRINTF_LIKE(4, 5);

/* Data directory, disk, ports, limits, libraries. Changes nothing. */
void doctor_look_here(struct diagnosis *diagnosis, const struct config *config);

/* Whether the platform, as far as `environment` (`NAME=value`, NULL-terminated) or the file docker_mark tells
 * which it is, gives the time that HOLDFAST_SHUTDOWN_TIMEOUT may take. No finding where nothing is known. */
void doctor_look_at_platform(struct diagnosis *diagnosis, const struct config *config,
                             char *const *environment, const char *docker_mark);

/* The store: reached, allowed to read, write and delete, clock, and whether of eight writers exactly one
 * wins. Writes below `doctor/` and deletes it again. ERR_CANCELED when *canceled became true, else true: what
 * is wrong is a finding. */
bool doctor_look_at_store(struct diagnosis *diagnosis, const struct config *config, atomic_bool *canceled,
                          struct err *err) CHECKED;

#endif
