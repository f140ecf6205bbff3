#include "tests/double/life_story.h"

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

bool life_live(struct life *life, uint64_t commits, const char *text)
{
    if (!life_begin(life))
        return false;
    engine_answered(life->engine);
    scratch_write(life->disk.fd, "text", text);
    return (commits == 0 || life_commit(life, commits)) && life_settle(life) && life_end(life) == ENGINE_DONE;
}

bool life_says(struct life *life, const char *path, const char *text)
{
    CLEANUP(freep) char *found = scratch_read(life->disk.fd, path);

    if (found && strcmp(found, text) == 0)
        return true;
    printf("# %s is %s, not %s\n", path, found ? found : "absent", text);
    return false;
}

bool life_refuses(struct life *life, enum err_code code, const char *word)
{
    bool refused =
        !life_try_begin(life) && life->status.err.code == code && strstr(life->status.err.text, word);

    if (!refused)
        printf("# %s: %s\n", err_code_name(life->status.err.code), life->status.err.text);
    life_cut_off(life);
    return refused;
}

bool life_warned(const struct life *life, const char *word)
{
    for (size_t at = 0; at < life->status.warnings_count; at++)
        if (strstr(life->status.warnings[at], word))
            return true;
    return false;
}

bool life_is_aside(struct life *life, const char *name, const char *text)
{
    CLEANUP(freep)
    char *command =
        xasprintf("grep -rqx '%s' %s/.holdfast/aside/*/%s 2>/dev/null", text, life->disk.path, name);
    pid_t child = fork();
    int status = -1;

    if (child == 0) {
        (void)execl("/bin/sh", "sh", "-c", command, (char *)NULL);
        _exit(127);
    }
    (void)waitpid(child, &status, 0);
    return status == 0;
}

static bool note_point(void *context, const struct reader_point *point)
{
    struct life_points *points = context;

    points->records[points->count++] = point->record;
    return points->count < sizeof(points->records) / sizeof(points->records[0]);
}

bool life_list_points(struct store *store, struct life_points *ret_points, struct err *err)
{
    ret_points->count = 0;
    return reader_list(store, note_point, ret_points, err);
}
