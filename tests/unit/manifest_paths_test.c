#include "snapshot/manifest.h"

#include "tests/tap.h"
#include "tests/unit/manifest_forge.h"

TEST(paths_that_leave_the_data_directory_are_refused_by_name)
{
    static const char *const paths[] = {
        "..", "../etc/passwd", "a/../../b", "/etc/passwd", "a//b",           "a/",
        ".",  "./a",           "",          ".holdfast",   ".holdfast/state"};

    for (size_t at = 0; at < sizeof(paths) / sizeof(paths[0]); at++) {
        FORGE(file);
        FORGE(database);
        char text[100];
        (void)snprintf(text, sizeof(text), "manifest: %s: not a path inside the data directory", paths[at]);
        forge_file(&file, paths[at]);
        expect_forge_refused(&file, text);
        forge_database(&database, paths[at], 0, 0, 0);
        expect_forge_refused(&database, text);
    }
}

TEST(a_nul_in_a_path_or_a_target_is_refused)
{
    FORGE(path);
    FORGE(target);

    forge_entry(&path, ENTRY_DIRECTORY, "a\0b", 3, 0);
    expect_forge_refused(&path, "NUL");
    forge_entry(&target, ENTRY_SYMLINK, "link", 4, 3);
    wire_add_str(&target.entries, "a\0b", 3);
    expect_forge_refused(&target, "NUL");
}

TEST(a_path_above_4095_bytes_is_refused)
{
    FORGE(longest);
    FORGE(longer);
    char path[TREE_PATH_MAX + 2];

    memset(path, 'x', sizeof(path));
    path[TREE_PATH_MAX + 1] = '\0';
    forge_file(&longer, path);
    expect_forge_refused(&longer, "not a path");
    path[TREE_PATH_MAX] = '\0';
    forge_file(&longest, path);
    expect_forge_accepted(&longest);
    forge_database(&longest, "a", 0, 0, 0);
    path[0] = 'z';
    forge_database(&longest, path, 0, 0, 0); /* with -wal behind it, it would be longer than any path */
    expect_forge_accepted(&longest);
}

TEST(paths_are_ascending_and_each_is_listed_once)
{
    FORGE(twice);
    FORGE(descending);
    FORGE(databases);
    FORGE(both);

    forge_file(&twice, "a");
    forge_file(&twice, "a");
    expect_forge_refused(&twice, "manifest: a: entries are not in ascending order");
    forge_file(&descending, "b");
    forge_file(&descending, "a");
    expect_forge_refused(&descending, "manifest: a: entries are not in ascending order");
    forge_database(&databases, "b", 0, 0, 0);
    forge_database(&databases, "b", 0, 0, 0);
    expect_forge_refused(&databases, "manifest: b: databases are not in ascending order");
    forge_database(&both, "db", 0, 0, 0);
    forge_file(&both, "a");
    forge_file(&both, "db");
    expect_forge_refused(&both, "manifest: db: it is both a database");
}

TEST(nothing_takes_the_place_of_a_side_file_of_a_database)
{
    static const char *const side_files[] = {"db-wal", "db-shm", "db-journal"};

    for (size_t at = 0; at < sizeof(side_files) / sizeof(side_files[0]); at++) {
        FORGE(file);
        FORGE(database);
        forge_database(&file, "db", 0, 0, 0);
        forge_file(&file, side_files[at]);
        expect_forge_refused(&file, side_files[at]);
        forge_database(&database, "db", 0, 0, 0);
        forge_database(&database, side_files[at], 0, 0, 0);
        expect_forge_refused(&database, side_files[at]);
    }
}

TEST(nothing_lies_below_a_file_a_symlink_or_a_database)
{
    FORGE(file);
    FORGE(symlink_above);
    FORGE(grandparent);
    FORGE(database);
    FORGE(database_below);
    FORGE(between);

    forge_file(&file, "a");
    forge_file(&file, "a/b");
    expect_forge_refused(&file, "manifest: a/b: it lies below something that is no directory");
    forge_symlink(&symlink_above, "a", "/etc", 4);
    forge_file(&symlink_above, "a/passwd");
    expect_forge_refused(&symlink_above, "manifest: a/passwd: it lies below");
    forge_symlink(&grandparent, "a", "/etc", 4);
    forge_file(&grandparent, "a/b/c/d");
    expect_forge_refused(&grandparent, "manifest: a/b/c/d: it lies below");
    forge_database(&database, "a", 0, 0, 0);
    forge_file(&database, "a/b");
    expect_forge_refused(&database, "manifest: a/b: it lies below");
    forge_database(&database_below, "a/db", 0, 0, 0);
    forge_symlink(&database_below, "a", "/etc", 4);
    expect_forge_refused(&database_below, "manifest: a/db: it lies below");
    /* Byte order puts other names between a directory and what is in it. */
    forge_file(&between, "a");
    forge_file(&between, "a-b");
    forge_directory(&between, "a-c");
    forge_file(&between, "a-c/d");
    forge_file(&between, "a/b");
    expect_forge_refused(&between, "manifest: a/b: it lies below");
}

TAP_MAIN()
