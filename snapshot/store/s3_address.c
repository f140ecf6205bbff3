#include "snapshot/store/s3_address.h"

#include "base/buf.h"
#include "base/cleanup.h"

#include <assert.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { PORT_MAX = 65535 };

/* An endpoint taken apart. The strings point into it or are owned by the caller. */
struct endpoint {
    bool tls;
    char *host; /* with ":port", unless it is the scheme's own */
    char *base; /* "" or "/base/path", without a slash at its end */
};

static void endpoint_clear(struct endpoint *endpoint)
{
    free(endpoint->host);
    free(endpoint->base);
}

/* What stands before an '@' may be a password. */
static bool refuse(const char *endpoint, const char *why, struct err *err)
{
    if (strchr(endpoint, '@'))
        return err_set(
            err, ERR_CONFIG,
            "HOLDFAST_S3_ENDPOINT has an @ in it; it should look like https://host[:port][/base/path], and "
            "credentials have variables of their own");
    return err_set(err, ERR_CONFIG,
                   "HOLDFAST_S3_ENDPOINT \"%.200s\" %s; it should look like https://host[:port][/base/path]",
                   endpoint, why);
}

static bool is_port(const char *text)
{
    size_t size = strlen(text);
    unsigned long number = strtoul(text, NULL, 10);

    return size > 0 && size <= 5 && strspn(text, "0123456789") == size && number >= 1 && number <= PORT_MAX;
}

static bool is_host(const char *host)
{
    size_t name_size = host[0] == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":");
    const char *port = host + name_size;

    if (strlen(host) > 255 || name_size == 0 || name_size > strlen(host))
        return false;
    for (const char *at = host; at < port; at++)
        if (!isalnum((unsigned char)*at) && !strchr(host[0] == '[' ? "[]:." : "-._", *at))
            return false;
    if (*port == '\0')
        return true;
    return *port == ':' && is_port(port + 1);
}

/* Proxies and servers compare Host with what they expect to see, which leaves the scheme's own port out. */
static void drop_default_port(char *host, bool tls)
{
    const char *own = tls ? ":443" : ":80";
    size_t size = strlen(host);

    if (size > strlen(own) && strcmp(host + size - strlen(own), own) == 0)
        host[size - strlen(own)] = '\0';
}

static char *copy_without_slashes(const char *text, size_t size)
{
    while (size > 0 && text[size - 1] == '/')
        size--;
    return xasprintf("%.*s", (int)size, text);
}

static bool endpoint_parse(struct endpoint *endpoint, const char *text, struct err *err)
{
    const char *rest = text;
    size_t host_size;

    endpoint->tls = strncasecmp(text, "https://", 8) == 0;
    if (!endpoint->tls && strncasecmp(text, "http://", 7) != 0)
        return refuse(text, "does not begin with https:// or http://", err);
    rest += endpoint->tls ? 8 : 7;
    if (strpbrk(rest, "?#@ \\%\t\r\n"))
        return refuse(text, "has one of ? # % \\ or white space in it", err);
    host_size = strcspn(rest, "/");
    endpoint->host = xasprintf("%.*s", (int)host_size, rest);
    endpoint->base = copy_without_slashes(rest + host_size, strlen(rest + host_size));
    if (!is_host(endpoint->host))
        return refuse(text, "names no host, or no port, that can exist", err);
    if (strstr(endpoint->base, "//") || strstr(endpoint->base, "/."))
        return refuse(text, "has an empty part, \".\" or \"..\" in its path", err);
    drop_default_port(endpoint->host, endpoint->tls);
    return true;
}

static char *default_endpoint(const struct store_config *config, const char *region)
{
    if (config->account)
        return xasprintf("https://%s.r2.cloudflarestorage.com", config->account);
    return xasprintf("https://s3.%s.amazonaws.com%s", region, strncmp(region, "cn-", 3) == 0 ? ".cn" : "");
}

static bool is_numeric(const char *host)
{
    return host[0] == '[' || strspn(host, "0123456789.:") == strlen(host);
}

static bool bucket_can_be_host(const struct store_config *config, const struct endpoint *endpoint)
{
    return !config->path_style && !*endpoint->base && !is_numeric(endpoint->host) &&
           !(endpoint->tls && strchr(config->bucket, '.')) && !strchr(config->bucket, '_');
}

bool s3_address_init(struct s3_address *address, const struct store_config *config, struct err *err)
{
    bool is_aws = !config->endpoint && !config->account;
    const char *region = config->region && *config->region ? config->region : is_aws ? "us-east-1" : "auto";
    CLEANUP(freep)
    char *text = config->endpoint ? xstrdup(config->endpoint) : default_endpoint(config, region);
    __attribute__((cleanup(endpoint_clear))) struct endpoint endpoint = {0};

    assert(config->kind == STORE_S3 && *config->bucket);
    if (strspn(region, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") != strlen(region))
        return err_set(err, ERR_CONFIG, "HOLDFAST_S3_REGION \"%.60s\" is not the name of a region", region);
    if (!endpoint_parse(&endpoint, text, err))
        return false;
    if (bucket_can_be_host(config, &endpoint)) {
        address->host = xasprintf("%s.%s", config->bucket, endpoint.host);
        address->path = xstrdup("");
    } else {
        address->host = xstrdup(endpoint.host);
        address->path = xasprintf("%s/%s", endpoint.base, config->bucket);
    }
    address->origin = xasprintf("%s://%s", endpoint.tls ? "https" : "http", address->host);
    address->region = xstrdup(region);
    return true;
}

void s3_address_clear(struct s3_address *address)
{
    free(address->origin);
    free(address->host);
    free(address->path);
    free(address->region);
    *address = (struct s3_address){0};
}
