#include "tests/backend/document.h"

#include "base/buf.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { JSON_MAX = 8 * 1024 * 1024, USERS = 200000 };

/* Ordered from frequent to rare: word_pick() prefers the front, as a language does, so that the whole
 * compresses like facts/wal.md's database: 3.4 to 1 by zstd -3. */
static const char *const words[] = {
    "the",       "to",        "and",         "of",       "a",         "in",       "is",        "that",
    "for",       "it",        "we",          "on",       "with",      "this",     "be",        "are",
    "as",        "you",       "have",        "not",      "was",       "at",       "but",       "can",
    "from",      "they",      "will",        "or",       "an",        "by",       "one",       "all",
    "there",     "when",      "what",        "so",       "up",        "out",      "if",        "about",
    "who",       "get",       "which",       "go",       "me",        "make",     "like",      "time",
    "no",        "just",      "him",         "know",     "take",      "people",   "into",      "year",
    "your",      "good",      "some",        "could",    "them",      "see",      "other",     "than",
    "then",      "now",       "look",        "only",     "come",      "its",      "over",      "think",
    "also",      "back",      "after",       "use",      "two",       "how",      "our",       "work",
    "first",     "well",      "way",         "even",     "new",       "want",     "because",   "any",
    "these",     "give",      "day",         "most",     "us",        "release",  "branch",    "deploy",
    "customer",  "invoice",   "meeting",     "schedule", "ticket",    "server",   "database",  "query",
    "index",     "latency",   "review",      "design",   "button",    "screen",   "login",     "token",
    "error",     "timeout",   "retry",       "backup",   "restore",   "region",   "bucket",    "container",
    "platform",  "budget",    "quarter",     "forecast", "contract",  "supplier", "warehouse", "shipment",
    "delivery",  "driver",    "route",       "harbour",  "engine",    "garden",   "kitchen",   "window",
    "mountain",  "river",     "bridge",      "station",  "ticketing", "museum",   "library",   "chapter",
    "paragraph", "sentence",  "translation", "language", "grammar",   "accent",   "melody",    "orchestra",
    "violin",    "rehearsal", "concert",     "audience", "applause",  "curtain",  "lantern",   "compass",
    "anchor",    "sailor",    "voyage",      "island",   "lagoon",    "coral",    "tide",      "current",
    "thunder",   "lightning", "drizzle",     "horizon",  "meadow",    "orchard",  "harvest",   "barley",
    "rye",       "flour",     "oven",        "crust",    "butter",    "cinnamon", "ginger",    "saffron",
    "pepper",    "vinegar",   "lemon",       "apricot",  "walnut",    "almond",   "honey",     "copper",
    "silver",    "marble",    "granite",     "velvet",   "linen",     "cotton",   "thread",    "needle",
    "pattern",   "sleeve",    "collar",      "pocket",   "buckle",    "leather",  "saddle",    "gallop",
    "stable",    "shepherd",  "lamb",        "falcon",   "sparrow",   "heron",    "otter",     "badger",
    "hedgehog",  "squirrel",  "acorn",       "maple",    "willow",    "birch",    "cedar",     "juniper",
    "moss",      "fern",      "orchid",      "tulip",    "lavender",  "rosemary", "thyme",     "basil",
    "quartz",    "amber",     "sapphire",    "emerald",  "pearl",     "ivory",    "ebony",     "scarlet",
    "crimson",   "azure",     "indigo",      "violet",   "ochre",     "umber",    "sienna",    "charcoal",
    "chalk",     "easel",     "canvas",      "portrait", "sculpture", "gallery",  "auction",   "bidder",
    "ledger",    "audit",     "voucher",     "receipt",  "refund",    "discount", "margin",    "dividend",
    "equity",    "treasury",  "mortgage",    "tenant",   "landlord",  "plumber",  "carpenter", "welder",
    "mechanic",  "surgeon",   "nurse",       "pharmacy", "vaccine",   "symptom",  "diagnosis", "recovery",
};
enum { WORDS = sizeof(words) / sizeof(words[0]) };

bool value_is_plain(const char *value, size_t size)
{
    for (size_t at = 0; at < size; at++)
        if ((value[at] < ' ' && value[at] != '\t' && value[at] != '\n') || value[at] > '~')
            return false;
    return true;
}

static const char *word_pick(struct random *random)
{
    uint64_t one = random_below(random, WORDS), other = random_below(random, WORDS);

    return words[one % 2 && one > other ? other : one];
}

/* Sentences, with a number now and then, as people write them to each other. */
static void add_text(struct buf *json, struct random *random, unsigned word_count)
{
    for (unsigned at = 0; at < word_count; at++) {
        if (at > 0)
            buf_add_text(json, random_below(random, 9) == 0 ? ". " : " ");
        if (random_below(random, 7) == 0)
            buf_printf(json, "%" PRIu64, random_below(random, 100000));
        else
            buf_add_text(json, word_pick(random));
    }
}

/* Convex keeps times as milliseconds in a double: 13 digits, a point, and a few more. */
static void add_creation_time(struct buf *json, int64_t ts)
{
    buf_printf(json, "\"_creationTime\":%" PRId64 ".%04" PRId64, ts / 1000000, ts / 100 % 10000);
}

static void add_ident(struct buf *json, const char *field, const struct ident *ident)
{
    char text[IDENT_TEXT_SIZE];

    ident_text(ident, text);
    buf_printf(json, ",\"%s\":\"%s\"", field, text);
}

static void add_user(struct buf *json, const char *field, struct random *random)
{
    char name[32];
    struct ident user;

    (void)snprintf(name, sizeof(name), "user %" PRIu64, random_below(random, USERS));
    user = ident_of_name(name);
    add_ident(json, field, &user);
}

/* What applications keep beside their texts: tokens and hashes, which no compressor shortens. */
static void add_token(struct buf *json, const char *field, struct random *random)
{
    buf_printf(json, ",\"%s\":\"%016" PRIx64 "%016" PRIx64 "\"", field, random_next(random),
               random_next(random));
}

static char *json_take(struct buf *json)
{
    assert(!json->overflowed);
    (void)buf_text(json);
    return (char *)json->bytes;
}

char *document_message(struct random *random, const struct ident *id, const struct ident *channel, int64_t ts,
                       const char *value)
{
    struct buf json = BUF_INIT(JSON_MAX);

    buf_add_text(&json, "{");
    add_creation_time(&json, ts);
    add_ident(&json, "_id", id);
    add_user(&json, "author", random);
    add_token(&json, "session", random);
    buf_add_text(&json, ",\"body\":\"");
    add_text(&json, random, 12 + (unsigned)random_below(random, 82));
    buf_add_text(&json, "\"");
    add_ident(&json, "channel", channel);
    buf_printf(&json,
               ",\"edited\":%s,\"format\":\"text\",\"mentions\":[],\"reactions\":{\"like\":%" PRIu64
               "},\"value\":",
               random_below(random, 8) ? "false" : "true", random_below(random, 30));
    buf_add_json(&json, value);
    buf_add_text(&json, "}");
    return json_take(&json);
}

char *document_channel(struct random *random, const struct ident *id, int64_t ts, unsigned revision)
{
    struct buf json = BUF_INIT(JSON_MAX);

    buf_add_text(&json, "{");
    add_creation_time(&json, ts);
    add_ident(&json, "_id", id);
    add_user(&json, "owner", random);
    add_token(&json, "cursor", random);
    buf_add_text(&json, ",\"archived\":false,\"lastMessage\":\"");
    add_text(&json, random, 8 + (unsigned)random_below(random, 44));
    buf_printf(&json, "\",\"revision\":%u,\"topic\":\"", revision);
    add_text(&json, random, 8 + (unsigned)random_below(random, 40));
    buf_add_text(&json, "\",\"members\":[");
    for (unsigned at = 0; at < 2; at++)
        buf_printf(&json, "%s{\"role\":\"%s\",\"unread\":%" PRIu64 "}", at ? "," : "",
                   at ? "guest" : "member", random_below(random, 100));
    buf_add_text(&json, "]}");
    return json_take(&json);
}

char *document_file(const struct ident *id, int64_t ts, const char *file, const char *sha256, uint64_t size)
{
    struct buf json = BUF_INIT(JSON_MAX);

    buf_add_text(&json, "{");
    add_creation_time(&json, ts);
    add_ident(&json, "_id", id);
    buf_printf(&json,
               ",\"contentType\":null,\"sha256\":\"%s\",\"size\":%" PRIu64
               ",\"storageKey\":\"%s\",\"value\":\"%s\"}",
               sha256, size, file, file);
    return json_take(&json);
}
