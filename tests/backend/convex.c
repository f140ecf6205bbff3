/* The sample backend under the name of the real one: the command line of Convex's binary (facts/convex.md
 * 3.1), as its image's script gives it, and one scratch file below TMPDIR, where the real one has hundreds.
 * An option that comes twice is an error there, and here. */
#include "tests/backend/commands.h"
#include "tests/backend/flags.h"
#include "tests/backend/say.h"

#include "base/buf.h"
#include "base/cleanup.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

struct words {
    const char *name, *secret, *port, *site_port, *interface, *origin, *site, *storage, *database;
    bool no_beacon, no_ssl;
};

static bool words_read(struct words *words, int count, char **arguments, struct err *err)
{
    struct flag flags[] = {
        {.name = "instance-name", .kind = FLAG_TEXT, .target = &words->name, .required = true},
        {.name = "instance-secret", .kind = FLAG_TEXT, .target = &words->secret, .required = true},
        {.name = "port", .kind = FLAG_TEXT, .target = &words->port, .required = true},
        {.name = "site-proxy-port", .kind = FLAG_TEXT, .target = &words->site_port, .required = true},
        {.name = "interface", .kind = FLAG_TEXT, .target = &words->interface},
        {.name = "convex-origin", .kind = FLAG_TEXT, .target = &words->origin, .required = true},
        {.name = "convex-site", .kind = FLAG_TEXT, .target = &words->site, .required = true},
        {.name = "local-storage", .kind = FLAG_TEXT, .target = &words->storage, .required = true},
        {.name = "disable-beacon", .kind = FLAG_SWITCH, .target = &words->no_beacon},
        {.name = "do-not-require-ssl", .kind = FLAG_SWITCH, .target = &words->no_ssl},
    };

    *words = (struct words){.interface = "0.0.0.0"};
    if (count < 1 || arguments[count - 1][0] == '-')
        return err_set(err, ERR_CONFIG, "the path of the database has to come last");
    words->database = arguments[count - 1];
    return flags_parse(flags, sizeof(flags) / sizeof(flags[0]), count - 1, arguments, err);
}

static bool leave_scratch_file(struct err *err)
{
    const char *folder = getenv("TMPDIR");
    CLEANUP(freep) char *path = xasprintf("%s/scratch-XXXXXX", folder ? folder : "/tmp");
    CLEANUP(close_fdp) int fd = mkostemp(path, O_CLOEXEC);

    return fd >= 0 || err_errno(err, "make %s", path);
}

int convex_command(int count, char **arguments)
{
    struct words words;
    struct err err = {0};

    if (!words_read(&words, count, arguments, &err) || !leave_scratch_file(&err)) {
        complain("error: %s", err.text);
        return 2;
    }
    say("origins %s and %s", words.origin, words.site);

    const char *slash = strrchr(words.database, '/');
    CLEANUP(freep)
    char *data = xasprintf("%.*s", slash ? (int)(slash - words.database) : 1, slash ? words.database : ".");
    const char *const plain[] = {
        "--data",       data, "--port", words.port, "--interface", words.interface, "--site-proxy-port",
        words.site_port};
    return serve_command(sizeof(plain) / sizeof(plain[0]), (char **)(uintptr_t)plain);
}
