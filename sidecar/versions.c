#include "sidecar/versions.h"

#include "proxy/proxy.h"
#include "snapshot/codec.h"
#include "snapshot/sqlite.h"
#include "snapshot/store/s3_transport.h"

struct library {
    const char *name;
    const char *(*version)(void);
};

static const struct library libraries[] = {
    {"libmicrohttpd", proxy_http_library},
    {"sqlite", sqlite_version},
    {"zstd", codec_version},
    {"libcurl", s3_transport_version},
};

enum { LIBRARIES_COUNT = sizeof(libraries) / sizeof(libraries[0]) };

void versions_text(struct buf *text)
{
    char date[SQLITE_DATE_SIZE];

    sqlite_source_date(date);
    buf_printf(text, "holdfast %s\n", VERSION_TEXT);
    for (size_t at = 0; at < LIBRARIES_COUNT; at++)
        buf_printf(text, "%s %s\n", libraries[at].name, libraries[at].version());
    buf_printf(text, "the source of that sqlite is of %s\n", date);
    buf_add_text(text, "libs3 2, linked statically; it has no version of its own to ask for\n");
    if (!proxy_http_library_is_strict())
        buf_add_text(text,
                     "this libmicrohttpd accepts ambiguous requests, holdfast checks them itself: `make "
                     "deps` builds a "
                     "strict one\n");
}

void versions_json(struct buf *text)
{
    char date[SQLITE_DATE_SIZE];

    sqlite_source_date(date);
    buf_add_text(text, "{\"holdfast\":");
    buf_add_json(text, VERSION_TEXT);
    for (size_t at = 0; at < LIBRARIES_COUNT; at++) {
        buf_add_text(text, ",");
        buf_add_json(text, libraries[at].name);
        buf_add_text(text, ":");
        buf_add_json(text, libraries[at].version());
    }
    buf_add_text(text, ",\"sqlite_source\":");
    buf_add_json(text, date);
    buf_printf(text, ",\"strict_http\":%s}\n", proxy_http_library_is_strict() ? "true" : "false");
}
