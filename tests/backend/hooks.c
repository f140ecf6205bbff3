#include "tests/backend/hooks.h"

#include "tests/backend/say.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *const names[HOOK_COUNT] = {
    [HOOK_FILE_CREATED] = "file-created",
    [HOOK_TABLES] = "tables",
    [HOOK_FIRST_GLOBALS] = "first-globals",
    [HOOK_SECOND_GLOBALS] = "second-globals",
    [HOOK_DOCUMENTS] = "documents",
    [HOOK_BEFORE_COMMIT] = "before-commit",
    [HOOK_AFTER_COMMIT] = "after-commit",
    [HOOK_UPLOAD_STARTED] = "upload-started",
    [HOOK_UPLOAD_SYNCED] = "upload-synced",
    [HOOK_FILE_UNLINKED] = "file-unlinked",
    [HOOK_BETWEEN_DATABASES] = "between-databases",
};

static bool armed[HOOK_COUNT]; /* written before the first thread */

static bool hook_arm(const char *name, struct err *err)
{
    char known[512] = "";

    for (size_t at = 0; at < HOOK_COUNT; at++) {
        size_t size = strlen(known);
        if (strcmp(names[at], name) == 0) {
            armed[at] = true;
            return true;
        }
        (void)snprintf(known + size, sizeof(known) - size, " %s", names[at]);
    }
    return err_set(err, ERR_CONFIG, "--crash-at %s is none of:%s", name, known);
}

bool hooks_arm(const struct flag_list *wanted, struct err *err)
{
    for (size_t at = 0; at < wanted->count; at++)
        if (!hook_arm(wanted->values[at], err))
            return false;
    return true;
}

void hook_reach(enum hook_point point)
{
    if (!armed[point])
        return;
    say("crashing at %s", names[point]);
    (void)kill(getpid(), SIGKILL);
    for (;;)
        (void)pause();
}
