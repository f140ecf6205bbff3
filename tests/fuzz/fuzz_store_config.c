/* A store URL, and behind the first newline an endpoint: what the operator writes. */
#include "snapshot/store/config.h"
#include "snapshot/store/s3_address.h"

#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <string.h>

static void check_address(const struct store_config *config)
{
    struct s3_address address = {0};
    struct err err = {0};

    if (s3_address_init(&address, config, &err)) {
        assert(strncmp(address.origin, "http", 4) == 0 && strstr(address.origin, address.host));
        assert(!strpbrk(address.host, " \r\n\t/?#@"));
        assert(*address.path == '\0' || *address.path == '/');
        assert(!strpbrk(address.path, "?#\r\n"));
    } else {
        assert(err.code == ERR_CONFIG);
    }
    s3_address_clear(&address);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    CLEANUP(freep) char *text = strndup((const char *)bytes, size);
    struct store_config config = {0};
    struct err err = {0};
    char *newline;

    assert(text);
    newline = strchr(text, '\n');
    if (newline)
        *newline++ = '\0';
    if (!store_config_parse_url(&config, text, &err)) {
        assert(err.code == ERR_CONFIG && strstr(err.text, "HOLDFAST_STORE"));
        return 0;
    }
    assert(config.prefix && !strstr(config.prefix, "//") && config.prefix[0] != '/');
    config.endpoint = newline;
    if (config.kind == STORE_S3) {
        check_address(&config);
        config.path_style = true;
        check_address(&config);
    }
    store_config_clear(&config);
    return 0;
}
