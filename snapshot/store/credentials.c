#include "snapshot/store/credentials.h"

#include "base/fs.h"
#include "base/thread.h"

#include <assert.h>
#include <fcntl.h>
#include <string.h>

/* Session tokens of AWS have no limit by their documentation; those seen are below 2 KB. */
enum { SECRET_SIZE_MAX = 16 * 1024 };

static const char key_id_name[] = "HOLDFAST_S3_ACCESS_KEY_ID";
static const char secret_name[] = "HOLDFAST_S3_SECRET_ACCESS_KEY";
static const char token_name[] = "HOLDFAST_S3_SESSION_TOKEN";

struct credentials {
    const struct store_config *config;
    pthread_mutex_t mutex; /* guards current */
    struct credential_set current;
};

static void secret_freep(char **secret)
{
    if (*secret)
        explicit_bzero(*secret, strlen(*secret));
    free(*secret);
}

static void secret_buf_clear(struct buf *buf)
{
    if (buf->bytes)
        explicit_bzero(buf->bytes, buf->size);
    buf_clear(buf);
}

void credential_set_clear(struct credential_set *set)
{
    secret_freep(&set->access_key_id);
    secret_freep(&set->secret_access_key);
    secret_freep(&set->session_token);
    *set = (struct credential_set){0};
}

/* Goes into a header: no line may be begun in it. Editors and `echo` leave a newline at the end of a file. */
static bool copy_trimmed(const char *text, size_t size, const char *name, char **ret_secret, struct err *err)
{
    while (size > 0 && strchr(" \t\r\n", text[size - 1]))
        size--;
    for (size_t at = 0; at < size; at++)
        if (text[at] <= ' ' || text[at] == 0x7f)
            return err_set(err, ERR_CONFIG, "%s has white space or a control character in it", name);
    *ret_secret = size > 0 ? xasprintf("%.*s", (int)size, text) : NULL;
    return true;
}

/* NULL if it is not given or empty. */
static bool read_secret(const struct store_secret *source, const char *name, char **ret_secret,
                        struct err *err)
{
    __attribute__((cleanup(secret_buf_clear))) struct buf contents = BUF_INIT(SECRET_SIZE_MAX);

    if (source->value && source->file)
        return err_set(err, ERR_CONFIG, "%s and %s_FILE are both set; keep one", name, name);
    if (source->value)
        return copy_trimmed(source->value, strlen(source->value), name, ret_secret, err);
    if (!source->file) {
        *ret_secret = NULL;
        return true;
    }
    if (!fs_read_file(AT_FDCWD, source->file, &contents, err)) {
        err_prefix(err, "%s_FILE", name);
        err->code = ERR_CONFIG;
        return false;
    }
    return copy_trimmed(buf_text(&contents), contents.size, name, ret_secret, err);
}

static bool is_given(const struct store_secret *source)
{
    return source->value || source->file;
}

static bool read_set(const struct store_config *config, struct credential_set *ret_set, struct err *err)
{
    CLEANUP(secret_freep) char *key_id = NULL;
    CLEANUP(secret_freep) char *secret = NULL;
    CLEANUP(secret_freep) char *token = NULL;

    if (!is_given(&config->access_key_id) && !is_given(&config->secret_access_key))
        return err_set(
            err, ERR_CONFIG,
            "no credentials: set %s and %s (or …_FILE); instance metadata and web identity are not supported",
            key_id_name, secret_name);
    if (!read_secret(&config->access_key_id, key_id_name, &key_id, err) ||
        !read_secret(&config->secret_access_key, secret_name, &secret, err) ||
        !read_secret(&config->session_token, token_name, &token, err))
        return false;
    if (!key_id || !secret)
        return err_set(err, ERR_CONFIG, "%s is empty or not set; the key id and the secret belong together",
                       key_id ? secret_name : key_id_name);
    *ret_set = (struct credential_set){MOVE(key_id), MOVE(secret), MOVE(token), 0};
    return true;
}

bool credentials_open(const struct store_config *config, struct credentials **ret_credentials,
                      struct err *err)
{
    struct credential_set set = {0};
    struct credentials *credentials;

    if (!read_set(config, &set, err))
        return false;
    credentials = xcalloc(1, sizeof(*credentials));
    credentials->config = config;
    credentials->current = set;
    pthread_mutex_init(&credentials->mutex, NULL);
    *ret_credentials = credentials;
    return true;
}

void credentials_free(struct credentials *credentials)
{
    if (!credentials)
        return;
    credential_set_clear(&credentials->current);
    pthread_mutex_destroy(&credentials->mutex);
    free(credentials);
}

void credentials_copy(struct credentials *credentials, struct credential_set *ret_set)
{
    const struct credential_set *current = &credentials->current;

    MUTEX_GUARD(&credentials->mutex);
    *ret_set = (struct credential_set){
        .access_key_id = xstrdup(current->access_key_id),
        .secret_access_key = xstrdup(current->secret_access_key),
        .session_token = current->session_token ? xstrdup(current->session_token) : NULL,
        .generation = current->generation,
    };
}

static bool same_text(const char *one, const char *other)
{
    return one && other ? strcmp(one, other) == 0 : one == other;
}

bool credentials_renewed(struct credentials *credentials, unsigned generation)
{
    struct credential_set *current = &credentials->current;
    struct credential_set fresh = {0};
    struct err err = {0};

    MUTEX_GUARD(&credentials->mutex);
    if (current->generation != generation)
        return true; /* another thread met the same refusal first */
    if (!read_set(credentials->config, &fresh, &err))
        return false;
    if (same_text(fresh.access_key_id, current->access_key_id) &&
        same_text(fresh.secret_access_key, current->secret_access_key) &&
        same_text(fresh.session_token, current->session_token)) {
        credential_set_clear(&fresh);
        return false;
    }
    fresh.generation = generation + 1;
    credential_set_clear(current);
    *current = fresh;
    return true;
}
