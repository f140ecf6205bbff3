/* Unit tests in TAP, for prove(1).
 *
 * A program is a list of TEST(name_as_a_sentence) { … } and one TAP_MAIN(). Every test runs in its own child
 * and process group with a time limit: a crash, an abort, a leak found at exit or a deadlock becomes one
 * "not ok", the others still run, and nothing stays behind. EXPECT… notes a failure and goes on; REQUIRE
 * leaves the test. Arguments of the program name the tests to run.
 *
 * With TAP_THREADS=FOLDER in the environment a run in which all tests hold leaves the names of those that
 * start threads in FOLDER/<program> (tests/threads.sh). */
#ifndef TESTS_TAP_H
#define TESTS_TAP_H

#include "tests/sanitizers.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { TAP_TESTS_MAX = 200 };

struct tap_entry {
    const char *name;
    void (*run)(void);
    bool has_threads;
};

static struct tap_entry tap_entries[TAP_TESTS_MAX];
static int tap_count;
__attribute__((weak)) int tap_failures; /* weak: one for the program and the doubles that it is linked with */
static int tap_limit_ms = 120000;       /* of a test that doesn't ask for more: tap_allow_ms() */
static atomic_int *tap_allowed_ms; /* of the test that runs; shared with its parent, which keeps the limit */
static atomic_uint *tap_threads;   /* started, also in what a test has forked */

static inline void tap_register(const char *name, void (*run)(void))
{
    if (tap_count == TAP_TESTS_MAX)
        abort();
    tap_entries[tap_count++] = (struct tap_entry){.name = name, .run = run};
}

/* In a test that takes long: so much time may it have in all. */
static inline void tap_allow_ms(int limit_ms)
{
    atomic_store(tap_allowed_ms, limit_ms);
}

#define TEST(name)                                                        \
    static void name(void);                                               \
    __attribute__((constructor)) static void tap_constructor_##name(void) \
    {                                                                     \
        tap_register(#name, name);                                        \
    }                                                                     \
    static void name(void)

static inline bool tap_note(bool held, const char *what, const char *file, int line)
{
    if (!held) {
        tap_failures++;
        printf("# %s:%d: expected %s\n", file, line, what);
    }
    return held;
}

#define EXPECT(condition) tap_note((condition), #condition, __FILE__, __LINE__)
#define REQUIRE(condition)      \
    do {                        \
        if (!EXPECT(condition)) \
            return;             \
    } while (0)

#define EXPECT_INT(actual, wanted)                                                        \
    do {                                                                                  \
        intmax_t actual_ = (intmax_t)(actual), wanted_ = (intmax_t)(wanted);              \
        if (!tap_note(actual_ == wanted_, #actual " to be " #wanted, __FILE__, __LINE__)) \
            printf("#   it is %" PRIdMAX ", not %" PRIdMAX "\n", actual_, wanted_);       \
    } while (0)

#define EXPECT_STR(actual, wanted)                                                                   \
    do {                                                                                             \
        const char *actual_ = (actual), *wanted_ = (wanted);                                         \
        if (!tap_note(strcmp(actual_, wanted_) == 0, #actual " to be " #wanted, __FILE__, __LINE__)) \
            printf("#   it is \"%s\", not \"%s\"\n", actual_, wanted_);                              \
    } while (0)

/* For calls that take an err: prints its text on failure. */
#define EXPECT_OK(call, err)                              \
    do {                                                  \
        if (!tap_note((call), #call, __FILE__, __LINE__)) \
            printf("#   %s\n", (err)->text);              \
    } while (0)
#define REQUIRE_OK(call, err)                               \
    do {                                                    \
        if (!tap_note((call), #call, __FILE__, __LINE__)) { \
            printf("#   %s\n", (err)->text);                \
            return;                                         \
        }                                                   \
    } while (0)

static inline void *tap_share(size_t size)
{
    void *shared = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (shared == MAP_FAILED)
        abort();
    return shared;
}

/* The limit is kept from outside: a test may well have every signal blocked, and its children may outlive it.
 */
static inline int tap_await(pid_t child, const atomic_int *allowed_ms)
{
    struct pollfd ended = {.fd = (int)syscall(SYS_pidfd_open, child, 0), .events = POLLIN};
    int status = 0, waited_ms = 0, limit_ms;

    /* It may have asked for more meanwhile. */
    while ((limit_ms = atomic_load(allowed_ms)) > waited_ms && poll(&ended, 1, limit_ms - waited_ms) == 0)
        waited_ms = limit_ms;
    if (waited_ms >= limit_ms)
        printf("# not done after %d ms\n", limit_ms);
    (void)kill(-child, SIGKILL);
    if (waitpid(child, &status, 0) != child)
        abort();
    (void)close(ended.fd);
    return status;
}

static inline bool tap_run(struct tap_entry *entry)
{
    atomic_int *allowed_ms = tap_share(sizeof(*allowed_ms));
    pid_t child;
    int status;

    (void)fflush(stdout);
    atomic_store(tap_threads, 0);
    atomic_store(allowed_ms, tap_limit_ms);
    child = fork();
    if (child < 0)
        abort();
    (void)setpgid(child, child); /* in both, so that it is done whoever comes first */
    if (child == 0) {
        tap_allowed_ms = allowed_ms;
        entry->run();
        (void)fflush(stdout); /* a sanitizer that finds something at the exit ends it before that */
        exit(tap_failures > 0 ? EXIT_FAILURE : EXIT_SUCCESS);
    }
    status = tap_await(child, allowed_ms);
    (void)munmap(allowed_ms, sizeof(*allowed_ms));
    entry->has_threads = atomic_load(tap_threads) > 0;
    if (WIFSIGNALED(status))
        printf("# ended by signal %d\n", WTERMSIG(status));
    return WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS;
}

static inline bool tap_wanted(const char *name, int count, char **names)
{
    for (int at = 1; at < count; at++)
        if (strcmp(names[at], name) == 0)
            return true;
    return count <= 1;
}

static inline void tap_prepare(void)
{
    tap_threads = tap_share(sizeof(*tap_threads));
}

static inline void tap_note_threads(const char *folder)
{
    char path[256];
    FILE *note;

    (void)snprintf(path, sizeof(path), "%s/%s", folder, program_invocation_short_name);
    note = fopen(path, "we");
    if (!note)
        abort();
    for (int at = 0; at < tap_count; at++)
        if (tap_entries[at].has_threads)
            (void)fprintf(note, "%s\n", tap_entries[at].name);
    if (fclose(note) != 0)
        abort();
}

/* The linker lets every pthread_create() of the program come here (Makefile). */
int __wrap_pthread_create(pthread_t *tap_thread, const pthread_attr_t *tap_attributes,
                          void *(*tap_routine)(void *), void *tap_context);
int __real_pthread_create(pthread_t *tap_thread, const pthread_attr_t *tap_attributes,
                          void *(*tap_routine)(void *), void *tap_context);

#define TAP_MAIN()                                                                          \
    int __wrap_pthread_create(pthread_t *tap_thread, const pthread_attr_t *tap_attributes,  \
                              void *(*tap_routine)(void *), void *tap_context)              \
    {                                                                                       \
        atomic_fetch_add(tap_threads, 1);                                                   \
        return __real_pthread_create(tap_thread, tap_attributes, tap_routine, tap_context); \
    }                                                                                       \
                                                                                            \
    int main(int count, char **names)                                                       \
    {                                                                                       \
        const char *notes = count <= 1 ? getenv("TAP_THREADS") : NULL;                      \
        int number = 0, failed = 0;                                                         \
        tap_prepare();                                                                      \
        for (int at = 0; at < tap_count; at++) {                                            \
            if (!tap_wanted(tap_entries[at].name, count, names))                            \
                continue;                                                                   \
            bool held = tap_run(&tap_entries[at]);                                          \
            failed += !held;                                                                \
            printf("%sok %d - %s\n", held ? "" : "not ", ++number, tap_entries[at].name);   \
        }                                                                                   \
        printf("1..%d\n", number);                                                          \
        if (notes && failed == 0)                                                           \
            tap_note_threads(notes);                                                        \
        return failed > 0 ? EXIT_FAILURE : EXIT_SUCCESS;                                    \
    }

#endif
