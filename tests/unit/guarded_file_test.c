#include "snapshot/guarded_file.h"

#include "base/buf.h"
#include "base/fs.h"
#include "tests/double/sample.h"
#include "tests/tap.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>

static const char *make_file(const char *name)
{
    const char *path = sample_path(name);
    struct err err = {0};

    EXPECT_OK(fs_replace_file(AT_FDCWD, path, "content", 7, 0600, &err), &err);
    return path;
}

TEST(a_claimed_file_is_not_opened_under_any_name)
{
    const char *path = make_file("db");
    struct guarded_claim claim = GUARDED_CLAIM_INIT, second = GUARDED_CLAIM_INIT;
    struct err err = {0};
    int fd = -1;

    REQUIRE(link(path, sample_path("link")) == 0);
    REQUIRE_OK(guarded_file_claim(AT_FDCWD, path, &claim, &err), &err);
    EXPECT(guarded_file_is_claimed(claim.status.st_dev, claim.status.st_ino));
    EXPECT(!guarded_file_open(AT_FDCWD, sample_path("link"), &fd, &err) && err.code == ERR_CONFLICT);
    EXPECT(!guarded_file_claim(AT_FDCWD, sample_path("link"), &second, &err) && err.code == ERR_CONFLICT);
    EXPECT(fd == -1 && second.path_fd == -1);
    guarded_file_release(&claim);
    guarded_file_release(&claim);
    EXPECT(!guarded_file_is_claimed(claim.status.st_dev, claim.status.st_ino));
    EXPECT_OK(guarded_file_open(AT_FDCWD, path, &fd, &err), &err);
    guarded_file_close(fd);
}

TEST(a_file_that_is_open_is_not_claimed)
{
    const char *path = make_file("db");
    struct guarded_claim claim = GUARDED_CLAIM_INIT;
    struct err err = {0};
    int first = -1, second = -1;
    char text[7];

    REQUIRE_OK(guarded_file_open(AT_FDCWD, path, &first, &err), &err);
    REQUIRE_OK(guarded_file_open(AT_FDCWD, path, &second, &err), &err);
    EXPECT_OK(fs_read_at(first, text, sizeof(text), 0, &err), &err);
    EXPECT(memcmp(text, "content", 7) == 0);
    guarded_file_close(first);
    EXPECT(!guarded_file_claim(AT_FDCWD, path, &claim, &err) && err.code == ERR_TRANSIENT);
    guarded_file_close(second);
    EXPECT_OK(guarded_file_claim(AT_FDCWD, path, &claim, &err), &err);
    guarded_file_release(&claim);
    guarded_file_close(-1);
}

TEST(only_regular_files_count)
{
    struct guarded_claim claim = GUARDED_CLAIM_INIT;
    struct err err = {0};
    int fd = -1;

    EXPECT(!guarded_file_open(AT_FDCWD, sample_directory(), &fd, &err) && err.code == ERR_CONFIG);
    EXPECT(!guarded_file_open(AT_FDCWD, sample_path("absent"), &fd, &err) && err.code == ERR_NOT_FOUND);
    REQUIRE(symlink(make_file("target"), sample_path("symlink")) == 0);
    EXPECT(!guarded_file_claim(AT_FDCWD, sample_path("symlink"), &claim, &err) && err.code == ERR_CONFIG);
}

/* Readers and an attacher in turn: at no moment do both have the file. */
static atomic_int readers;
static atomic_bool stopping;

static void *read_again_and_again(void *path)
{
    while (!atomic_load(&stopping)) {
        struct err err = {0};
        int fd = -1;
        if (!guarded_file_open(AT_FDCWD, path, &fd, &err))
            continue;
        atomic_fetch_add(&readers, 1);
        atomic_fetch_sub(&readers, 1);
        guarded_file_close(fd);
    }
    return NULL;
}

TEST(readers_and_claims_exclude_each_other)
{
    char *path = xstrdup(make_file("db"));
    pthread_t threads[2];
    unsigned claimed = 0;

    for (unsigned at = 0; at < 2; at++)
        REQUIRE(pthread_create(&threads[at], NULL, read_again_and_again, path) == 0);
    while (claimed < 1000) {
        struct guarded_claim claim = GUARDED_CLAIM_INIT;
        struct err err = {0};
        if (!guarded_file_claim(AT_FDCWD, path, &claim, &err))
            continue;
        EXPECT_INT(atomic_load(&readers), 0);
        claimed++;
        guarded_file_release(&claim);
    }
    atomic_store(&stopping, true);
    for (unsigned at = 0; at < 2; at++)
        REQUIRE(pthread_join(threads[at], NULL) == 0);
    free(path);
}

TAP_MAIN()
