/* HOLDFAST_STORE, taken apart. What can't be right is refused here with the right form beside it, since a
 * store URL with a slip in it usually still names something: a prefix that nobody meant, which looks like an
 * empty store. */
#include "snapshot/store/config.h"

#include <assert.h>
#include <string.h>

enum { BUCKET_SIZE_MAX = 255, PREFIX_SIZE_MAX = 480, ACCOUNT_SIZE_MAX = 63 };

static const char forms[] = "s3://BUCKET/PREFIX, r2://ACCOUNT/BUCKET/PREFIX or file:///DIRECTORY";

/* s3://KEY:SECRET@BUCKET, as some other tools take it: such a text must not be repeated. */
static bool has_credentials(const char *url)
{
    const char *host = strstr(url, "://"), *at = strchr(url, '@');

    host = host ? host + 3 : url;
    return at && at < host + strcspn(host, "/");
}

static bool refuse(const char *url, const char *why, struct err *err)
{
    if (has_credentials(url))
        return err_set(err, ERR_CONFIG,
                       "HOLDFAST_STORE carries credentials; give them as HOLDFAST_S3_ACCESS_KEY_ID and "
                       "HOLDFAST_S3_SECRET_ACCESS_KEY, and write %s",
                       forms);
    return err_set(err, ERR_CONFIG, "HOLDFAST_STORE \"%.200s\" %s; it should look like %s", url, why, forms);
}

/* Takes the characters up to the next '/' off *at and leaves it behind that slash. */
static char *take_name(const char **at)
{
    size_t size = strcspn(*at, "/");
    char *name = strndup(*at, size);

    assert(name);
    *at += size;
    if (**at == '/')
        (*at)++;
    return name;
}

static bool is_name(const char *name, size_t size_max)
{
    size_t size = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");

    return size > 0 && size <= size_max && name[size] == '\0' && name[0] != '.' && name[0] != '-';
}

/* Not in a prefix: what a shell or a URL would have meant differently, and what XML can't carry. */
static bool is_prefix_character(unsigned char character)
{
    return character >= ' ' && character != 0x7f && !strchr("?#%\\", character);
}

static bool check_prefix(const char *prefix, const char *url, struct err *err)
{
    const char *part = prefix;

    if (strlen(prefix) > PREFIX_SIZE_MAX)
        return refuse(url, "has a prefix that is too long", err);
    for (const char *at = prefix; *at; at++)
        if (!is_prefix_character((unsigned char)*at))
            return refuse(url, "has one of ? # % \\ or a control character in its prefix", err);
    while (*part) {
        size_t size = strcspn(part, "/");
        if (size == 0 || strncmp(part, ".", size) == 0 || (size == 2 && strncmp(part, "..", 2) == 0))
            return refuse(url, "has an empty part, \".\" or \"..\" in its prefix", err);
        part += size;
        part += *part == '/';
    }
    return true;
}

/* The rest of the URL without slashes at its ends. */
static char *take_prefix(const char *rest)
{
    size_t size = strlen(rest);
    char *prefix;

    while (size > 0 && rest[size - 1] == '/')
        size--;
    prefix = strndup(rest, size);
    assert(prefix);
    return prefix;
}

static bool parse_bucket(struct store_config *config, const char *rest, const char *url, struct err *err)
{
    CLEANUP(freep) char *bucket = take_name(&rest);
    CLEANUP(freep) char *prefix = take_prefix(rest);

    if (!is_name(bucket, BUCKET_SIZE_MAX))
        return refuse(url, *bucket ? "names a bucket that can't exist" : "names no bucket", err);
    if (!check_prefix(prefix, url, err))
        return false;
    config->kind = STORE_S3;
    config->bucket = MOVE(bucket);
    config->prefix = MOVE(prefix);
    return true;
}

static bool parse_r2(struct store_config *config, const char *rest, const char *url, struct err *err)
{
    CLEANUP(freep) char *account = take_name(&rest);

    if (!is_name(account, ACCOUNT_SIZE_MAX))
        return refuse(url, "names no account", err);
    if (!parse_bucket(config, rest, url, err))
        return false;
    config->account = MOVE(account);
    return true;
}

static bool parse_file(struct store_config *config, const char *path, const char *url, struct err *err)
{
    CLEANUP(freep) char *directory = take_prefix(path);

    if (path[0] != '/')
        return refuse(url, "has no absolute path (three slashes)", err);
    if (!*directory)
        return refuse(url, "is the root directory", err);
    if (strstr(path, "/../") ||
        (strlen(directory) >= 3 && strcmp(directory + strlen(directory) - 3, "/..") == 0))
        return refuse(url, "has \"..\" in its path", err);
    config->kind = STORE_DIRECTORY;
    config->directory = MOVE(directory);
    config->prefix = xstrdup("");
    return true;
}

bool store_config_parse_url(struct store_config *config, const char *url, struct err *err)
{
    assert(!config->bucket && !config->directory && !config->prefix && !config->account);
    if (strncmp(url, "s3://", 5) == 0)
        return parse_bucket(config, url + 5, url, err);
    if (strncmp(url, "r2://", 5) == 0)
        return parse_r2(config, url + 5, url, err);
    if (strncmp(url, "file://", 7) == 0)
        return parse_file(config, url + 7, url, err);
    if (!*url)
        return err_set(err, ERR_CONFIG, "HOLDFAST_STORE is not set; it should look like %s", forms);
    return refuse(url, "is not a store", err);
}

void store_config_clear(struct store_config *config)
{
    free(config->directory);
    free(config->bucket);
    free(config->prefix);
    free(config->account);
    config->directory = config->bucket = config->prefix = config->account = NULL;
}
