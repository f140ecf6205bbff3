/* Ways to make the backend fail at a chosen place, so that tests don't have to hit it by luck.
 *
 * `--crash-at POINT` kills the process by SIGKILL when it gets to that point for the first time; hooks.c
 * lists the points. */
#ifndef TESTS_BACKEND_HOOKS_H
#define TESTS_BACKEND_HOOKS_H

#include "tests/backend/flags.h"

enum hook_point {
    HOOK_FILE_CREATED,      /* the database file is there, empty */
    HOOK_TABLES,            /* the tables are, nothing in them */
    HOOK_FIRST_GLOBALS,     /* the first two globals of a first boot */
    HOOK_SECOND_GLOBALS,    /* the other two */
    HOOK_DOCUMENTS,         /* the bootstrap documents: from here on the file boots again */
    HOOK_BEFORE_COMMIT,     /* rows written, not committed */
    HOOK_AFTER_COMMIT,      /* committed, not answered */
    HOOK_UPLOAD_STARTED,    /* a blob exists at its final path, incomplete */
    HOOK_UPLOAD_SYNCED,     /* a blob is complete, nothing names it */
    HOOK_FILE_UNLINKED,     /* a blob is gone that is still named */
    HOOK_BETWEEN_DATABASES, /* committed in the first database, not in the second */
    HOOK_COUNT,
};

/* Arms the points by their names; ERR_CONFIG lists the names if one is unknown. Before any thread starts. */
bool hooks_arm(const struct flag_list *names, struct err *err) CHECKED;

/* Says that the program got here; doesn't return if that point was armed. Any thread. */
void hook_reach(enum hook_point point);

#endif
