/* The table behind config.h; for config.c, config_text.c and their tests only. */
#ifndef SIDECAR_CONFIG_TABLE_H
#define SIDECAR_CONFIG_TABLE_H

#include "sidecar/config.h"

enum config_kind {
    KIND_TEXT,
    KIND_PATH, /* absolute */
    KIND_DURATION,
    KIND_SIZE,
    KIND_ADDRESS,
    KIND_SWITCH,
    KIND_CHOICE,
    KIND_SIGNAL,
    KIND_GLOBS, /* an empty value means "none", not the default */
    KIND_POINT, /* of the log: a record or a time */
    KIND_SECRET,
    KIND_LATER, /* known, but not supported by this release: setting it is a fault, never quietly ignored */
};

struct config_variable {
    const char *name; /* without HOLDFAST_ */
    enum config_kind kind;
    size_t field;             /* offset in struct config */
    const char *initial;      /* the default as one would write it; NULL: unset */
    const char *choices;      /* KIND_CHOICE, "a|b" in the order of the enum */
    const char *fallbacks[2]; /* names of other tools, used when ours is not set */
    uint64_t least;           /* KIND_DURATION, KIND_SIZE */
    const char *help;
};

#define CONFIG_PREFIX "HOLDFAST_"
/* Between the names of HOLDFAST_CHILD_ENV. */
#define CONFIG_NAME_SEPARATORS ",: \t"

extern const struct config_variable config_variables[];
extern const size_t config_variables_count;

/* The row called name (without the prefix), or NULL. */
const struct config_variable *config_variable_find(const char *name, size_t size);

/* Adds one fault to the report. */
void config_fault(struct config_report *report, const char *format, ...) PRINTF_LIKE(2, 3);

/* The checks that need more than one variable; parses the store's URL. */
void config_check(struct config *config, enum config_scope scope, struct config_report *report);

#endif
