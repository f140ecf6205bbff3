#include "snapshot/file_id.h"

#include "tests/double/scratch.h"
#include "tests/tap.h"

#include <fcntl.h>
#include <stdio.h>

static struct file_id id_at(const struct scratch *disk, const char *path)
{
    struct file_id id = {.inode = 1};

    EXPECT(file_id_at(disk->fd, path, &id));
    return id;
}

TEST(a_file_is_the_same_under_every_name_and_for_who_has_it_open)
{
    CLEANUP(scratch_closep) struct scratch disk;
    CLEANUP(close_fdp) int fd = -1;
    struct file_id first, open_file;

    scratch_open(&disk);
    scratch_write(disk.fd, "a", "one");
    first = id_at(&disk, "a");
    fd = openat(disk.fd, "a", O_RDONLY | O_CLOEXEC);
    EXPECT_INT(renameat(disk.fd, "a", disk.fd, "b"), 0);
    scratch_write(disk.fd, "b", "longer");
    EXPECT(file_id_of(fd, &open_file));
    EXPECT(!file_id_differs(&first, &(struct file_id){open_file.inode, open_file.birth_ns}));
    open_file = id_at(&disk, "b");
    EXPECT(!file_id_differs(&first, &open_file));
    EXPECT_INT(file_id_same(&first, &open_file), first.birth_ns != 0);
}

TEST(what_takes_a_name_is_another_file_and_nothing_is_nothing)
{
    CLEANUP(scratch_closep) struct scratch disk;
    static const struct file_id nothing;
    struct file_id first, second, third;

    scratch_open(&disk);
    scratch_write(disk.fd, "a", "one");
    scratch_write(disk.fd, "b", "two");
    scratch_symlink(disk.fd, "b", "link");
    first = id_at(&disk, "a");
    EXPECT_INT(renameat(disk.fd, "b", disk.fd, "a"), 0);
    second = id_at(&disk, "a");
    EXPECT(file_id_differs(&first, &second) && !file_id_same(&first, &second));
    third = id_at(&disk, "link"); /* itself, though it leads nowhere */
    EXPECT(file_id_differs(&third, &nothing));
    second = id_at(&disk, "b");
    EXPECT(file_id_same(&second, &nothing));
    second = id_at(&disk, "a/below/a/file");
    EXPECT(file_id_same(&second, &nothing));
}

/* The number of a file that is gone is given to the next one; where nothing tells its birth it may be it. */
TEST(a_number_without_a_birth_is_neither_the_same_nor_another)
{
    static const struct file_id rows[][2] = {{{7, 0}, {7, 0}}, {{7, 0}, {7, 5}}, {{7, 5}, {7, 0}}};

    for (size_t at = 0; at < 3; at++) {
        EXPECT(!file_id_same(&rows[at][0], &rows[at][1]));
        EXPECT(!file_id_differs(&rows[at][0], &rows[at][1]));
    }
    EXPECT(file_id_differs(&(struct file_id){7, 5}, &(struct file_id){7, 6}));
    EXPECT(file_id_same(&(struct file_id){7, 5}, &(struct file_id){7, 5}));
}

TEST(a_place_that_nobody_can_look_at_is_not_empty)
{
    struct file_id id = {.inode = 1};

    EXPECT(!file_id_at(-1, "a", &id));
    EXPECT_INT(id.inode, 1);
}

TAP_MAIN()
