/* The environment, one variable on each line. Whatever is in it: at most ten lines of report, each a text,
 * all of them filled; what was accepted can be used; and no value of a secret is repeated. */
#include "tests/fuzz/fuzz.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "sidecar/child.h"
#include "sidecar/config.h"

#include <assert.h>
#include <string.h>

enum { VARIABLES_MAX = 64 };

static const char secret[] = "HOLDFAST_S3_SECRET_ACCESS_KEY=hush-hush-hush";
static const char hush[] = "hush-hush-hush";

/* Cuts text into lines in place; the last entry is NULL. */
static void cut(char *text, char *environment[VARIABLES_MAX + 1])
{
    size_t count = 0;

    for (char *line = text; line && count < VARIABLES_MAX;) {
        char *end = strchr(line, '\n');
        if (end)
            *end++ = '\0';
        environment[count++] = line;
        line = end;
    }
    environment[count] = NULL;
}

static void check_report(const struct config_report *report)
{
    for (size_t at = 0; at < config_report_lines(report); at++) {
        size_t size = strnlen(report->lines[at], sizeof(report->lines[at]));
        assert(size > 0 && size < sizeof(report->lines[at]));
        assert(!strstr(report->lines[at], hush));
    }
}

static void check_child(char *const *environment, const struct config *config)
{
    CLEANUP(freep) char **scrubbed = child_environment(environment, config);

    for (char **at = scrubbed; *at; at++)
        assert(strncmp(*at, "HOLDFAST_", 9) != 0 || config_child_may_see(config, *at, strcspn(*at, "=")));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    CLEANUP(freep) char *text = NULL;
    char *environment[VARIABLES_MAX + 1];
    struct config config;
    struct config_report report;

    if (size > 0 && memmem(bytes, size, hush, strlen(hush)))
        return 0; /* somewhere else it is no secret */
    text = xmalloc(size + sizeof(secret) + 1);
    memcpy(text, secret, sizeof(secret) - 1);
    text[sizeof(secret) - 1] = '\n';
    if (size > 0)
        memcpy(text + sizeof(secret), bytes, size);
    text[sizeof(secret) + size] = '\0';
    cut(text, environment);
    if (config_load(environment, CONFIG_WITH_STORE, &config, &report)) {
        assert(config.store_url && config.listen.size > 0 && config.upstream.size > 0);
        assert(config.data_directory[0] == '/' && config.stop_signal > 0 &&
               config.shutdown_timeout_ms >= 100);
    }
    check_report(&report);
    check_child(environment, &config);
    config_clear(&config);
    return 0;
}
