/* What can be told without the store. */
#include "sidecar/doctor.h"

#include "base/cleanup.h"
#include "base/fs.h"
#include "proxy/proxy.h"
#include "sidecar/admin_client.h"
#include "sidecar/progress.h"
#include "snapshot/sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum { WATCHES_LEAST = 8192, DESCRIPTORS_LEAST = 1024 };

static void look_at_disk(struct diagnosis *diagnosis, const char *path)
{
    CLEANUP(close_fdp) int directory = -1;
    struct err err = {0};
    uint64_t free_bytes = 0;
    char size[16];

    if (!fs_open_directory(AT_FDCWD, path, &directory, &err) ||
        !fs_free_bytes(directory, &free_bytes, &err)) {
        diagnosis_add(diagnosis, VERDICT_FAULT, "free disk", "%s", err.text);
        return;
    }
    progress_format_bytes(free_bytes, size);
    diagnosis_add(diagnosis, VERDICT_OK, "free disk", "%s where %s is", size, path);
}

static void look_at_directory(struct diagnosis *diagnosis, const char *path)
{
    CLEANUP(freep) char *parent = xstrdup(path);
    char *slash = strrchr(parent, '/');
    struct stat status;

    if (stat(path, &status) == 0) {
        if (!S_ISDIR(status.st_mode) || access(path, R_OK | W_OK | X_OK) != 0)
            diagnosis_add(diagnosis, VERDICT_FAULT, "data directory",
                          "%s can't be written to: give it to this user", path);
        else
            diagnosis_add(diagnosis, VERDICT_OK, "data directory", "%s can be written to", path);
        look_at_disk(diagnosis, path);
        return;
    }
    *(slash > parent ? slash : parent + 1) = '\0';
    if (access(parent, W_OK | X_OK) != 0)
        diagnosis_add(diagnosis, VERDICT_FAULT, "data directory",
                      "%s is not there and %s can't be written to: mount or create it", path, parent);
    else
        diagnosis_add(diagnosis, VERDICT_OK, "data directory", "%s will be created", path);
}

static void look_at_port(struct diagnosis *diagnosis, const char *variable, const struct address *address)
{
    CLEANUP(close_fdp) int fd = -1;
    char text[ADDRESS_TEXT_SIZE];
    struct err err = {0};

    if (address->size == 0)
        return;
    address_format(address, text);
    if (address_listen(address, &fd, &err))
        diagnosis_add(diagnosis, VERDICT_OK, variable, "%s is free", text);
    else
        diagnosis_add(diagnosis, VERDICT_FAULT, variable, "%s", err.text);
}

static void look_at_ports(struct diagnosis *diagnosis, const struct config *config)
{
    CLEANUP(buf_clearp) struct buf answer = BUF_INIT(1 << 20);
    struct err err = {0};

    if (admin_get(&config->admin_listen, "/status", &answer, &err)) {
        diagnosis_add(diagnosis, VERDICT_NOTE, "ports",
                      "a holdfast runs here already, they are in use by it");
        return;
    }
    look_at_port(diagnosis, "HOLDFAST_LISTEN", &config->listen);
    look_at_port(diagnosis, "HOLDFAST_SITE_LISTEN", &config->site_listen);
    look_at_port(diagnosis, "HOLDFAST_ADMIN_LISTEN", &config->admin_listen);
}

static void look_at_limits(struct diagnosis *diagnosis)
{
    CLEANUP(buf_clearp) struct buf text = BUF_INIT(64);
    struct err err = {0};
    struct rlimit descriptors;
    unsigned long watches = 0;

    if (fs_read_file(AT_FDCWD, "/proc/sys/fs/inotify/max_user_watches", &text, &err))
        watches = strtoul(buf_text(&text), NULL, 10);
    if (watches > 0 && watches < WATCHES_LEAST)
        diagnosis_add(
            diagnosis, VERDICT_NOTE, "inotify",
            "fs.inotify.max_user_watches is %lu: directories beyond that are looked at by time, raise it",
            watches);
    else
        diagnosis_add(diagnosis, VERDICT_OK, "inotify", "%lu directories can be watched", watches);
    if (getrlimit(RLIMIT_NOFILE, &descriptors) == 0 && descriptors.rlim_cur < DESCRIPTORS_LEAST)
        diagnosis_add(diagnosis, VERDICT_NOTE, "open files",
                      "the limit is %lu, two for each connection: raise it (ulimit -n) for more than a few "
                      "hundred clients",
                      (unsigned long)descriptors.rlim_cur);
    else
        diagnosis_add(diagnosis, VERDICT_OK, "open files", "the limit is high enough");
}

static void look_at_libraries(struct diagnosis *diagnosis)
{
    char date[SQLITE_DATE_SIZE];

    sqlite_source_date(date);
    diagnosis_add(diagnosis, VERDICT_OK, "sqlite", "%s, its source is of %s", sqlite_version(), date);
    if (proxy_http_library_is_strict())
        diagnosis_add(diagnosis, VERDICT_OK, "libmicrohttpd", "%s", proxy_http_library());
    else
        diagnosis_add(
            diagnosis, VERDICT_NOTE, "libmicrohttpd",
            "%s accepts ambiguous requests, holdfast checks them itself: `make deps` builds a strict one",
            proxy_http_library());
}

void doctor_look_here(struct diagnosis *diagnosis, const struct config *config)
{
    look_at_directory(diagnosis, config->data_directory);
    look_at_ports(diagnosis, config);
    look_at_limits(diagnosis);
    look_at_libraries(diagnosis);
}
