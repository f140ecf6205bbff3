/* A fault server, a store on it and the same with retries, for the tests of the S3 driver:
 *
 *     TEST(…)
 *     {
 *         SCENE();
 *         fault(&scene, "{\"operation\": \"get\", \"kind\": \"truncate\"}");
 *         EXPECT_ERR(store_get(scene.store, "a", &contents, &err), &err, ERR_TRANSIENT, "broke");
 *     }
 *
 * SCENE_WITH(option) only starts the server, so that scene.config can be changed before scene_open(). */
#ifndef TESTS_DOUBLE_FAULT_SCENE_H
#define TESTS_DOUBLE_FAULT_SCENE_H

#include "tests/double/fault_server.h"
#include "tests/tap.h"

struct scene {
    struct fault_server server;
    struct store_config config;
    struct store *store, *retry;
    atomic_bool canceled;
};

static inline void scene_shut(struct scene *scene)
{
    store_free(scene->retry);
    store_free(scene->store);
    scene->retry = scene->store = NULL;
}

static inline void scene_close(struct scene *scene)
{
    scene_shut(scene);
    store_config_clear(&scene->config);
    fault_server_stop(&scene->server);
}

static inline void scene_start(struct scene *scene, const char *option)
{
    *scene = (struct scene){0};
    fault_server_start(&scene->server, option);
    fault_server_configure(&scene->server, &scene->config);
}

static inline void scene_open(struct scene *scene)
{
    struct err err = {0};

    EXPECT_OK(store_open(&scene->config, &scene->canceled, NULL, &scene->store, &err), &err);
    scene->retry = store_retry(scene->store, 20000, &scene->canceled);
}

#define SCENE_WITH(option)                                                               \
    __attribute__((cleanup(scene_close))) struct scene scene;                            \
    CLEANUP(buf_clearp) __attribute__((unused)) struct buf contents = BUF_INIT(1 << 20); \
    __attribute__((unused)) struct err err = {0};                                        \
    scene_start(&scene, option)

#define SCENE()       \
    SCENE_WITH(NULL); \
    scene_open(&scene)

static inline void tell(struct scene *scene, const char *command, const char *json)
{
    EXPECT_INT(fault_server_tell(&scene->server, command, json, NULL), 200);
}

static inline void fault(struct scene *scene, const char *json)
{
    tell(scene, "POST faults", json);
}

static inline void settle(struct scene *scene, const char *json)
{
    tell(scene, "POST settings", json);
}

/* How often text is in the server's log. */
static inline size_t logged(struct scene *scene, const char *text)
{
    CLEANUP(buf_clearp) struct buf log = BUF_INIT(16 << 20);
    size_t count = 0;

    (void)fault_server_tell(&scene->server, "GET log", NULL, &log);
    for (const char *at = strstr(buf_text(&log), text); at; at = strstr(at + 1, text))
        count++;
    return count;
}

/* Expects that call fails with that code and those words. */
#define EXPECT_ERR(call, failure, wanted, words)                                                 \
    do {                                                                                         \
        *(failure) = (struct err){0};                                                            \
        if (!EXPECT(!(call) && (failure)->code == (wanted) && strstr((failure)->text, (words)))) \
            printf("#   it is %s: %s\n", err_code_name((failure)->code), (failure)->text);       \
    } while (0)

#endif
