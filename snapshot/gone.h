/* Databases of the log that have left their name on this disk, as far as that was seen.
 *
 * A start on a disk that was kept has to prove of each database that the log names that it is there. One that
 * the application deleted or replaced isn't, and the record that says so may not have been sent. So each is
 * noted here when it is let go of, and the notes are in the state file until such a record is confirmed. Like
 * all in there they are a hint: what stands at the path must be what was noted, and in the same boot, since a
 * machine that dies may lose a deletion, or what came after it. The engine's thread. */
#ifndef SNAPSHOT_GONE_H
#define SNAPSHOT_GONE_H

#include "base/boot.h"
#include "snapshot/file_id.h"
#include "snapshot/manifest.h"

struct gone_database {
    char *path;
    uint64_t incarnation;
    struct file_id was; /* the file that was followed */
    struct file_id now; /* what had the name when that was last looked at; it may be the same */
};

struct gone_list {
    char boot[BOOT_ID_SIZE]; /* in which all of them were noted */
    struct gone_database *databases;
    size_t count;
};

enum { GONE_MAX = 128 }; /* those of the newest record, and of one that is being sent */

void gone_clear(struct gone_list *list);
/* The database of that incarnation, which is this file, is let go of. Noted again, it is noted once. Above
 * GONE_MAX nothing is noted, and nothing proved. */
void gone_add(struct gone_list *list, const char *path, uint64_t incarnation, const struct file_id *was);
/* Looks what has the names now, and where. True: that is another than what is noted. */
bool gone_look(struct gone_list *list, int directory_fd);
/* Forgets all that `state` doesn't name; of those that it does, the ones for which `which` (NULL: all) is
 * false, by their index in it. */
void gone_keep(struct gone_list *list, const struct manifest *state, const bool *which);

bool gone_has(const struct gone_list *list, const char *path, uint64_t incarnation);
/* At a start: whether it was seen in this boot that the database left its name, and nothing has it now, or
 * the very file that was seen to take it. */
bool gone_proves(const struct gone_list *list, int directory_fd, const struct manifest_database *database);

#endif
