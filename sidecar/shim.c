/* Options are taken out and given anew instead of being overridden by later ones: the backend's parser
 * refuses an option that comes twice. They are put in front, where no `--` can come before them.
 *
 * What the shim needs is named in `readable` and reaches it through the script, that is through a shell; none
 * of it is a secret. HOLDFAST_CHILD_ENV is among it so that what the operator lets through goes all the way.
 */
#include "sidecar/shim.h"

#include "base/fs.h"
#include "sidecar/child.h"
#include "sidecar/lifecycle.h"
#include "snapshot/globs.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>

static const char script_name[] = "run_backend.sh";
static const char backend_name[] = "convex-local-backend";
static const char readable[] =
    "HOLDFAST_UPSTREAM HOLDFAST_LISTEN HOLDFAST_SITE_LISTEN HOLDFAST_ADMIN_LISTEN HOLDFAST_DATA_DIR "
    "HOLDFAST_EXCLUDE HOLDFAST_CONVEX_BINARY HOLDFAST_CHILD_ENV HOLDFAST_LOG_FORMAT HOLDFAST_LOG_LEVEL";
static const char own_program[] = "/proc/self/exe";
enum { PORT_MAX = 65535, TEMPORARY_MODE = 0700 };

static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

bool shim_is_called(const char *word)
{
    const char *name = last_part(word);

    return strcmp(name, script_name) == 0 || strcmp(name, backend_name) == 0;
}

bool shim_is_program(const char *path)
{
    struct stat own, other;

    return stat(own_program, &own) == 0 && stat(path, &other) == 0 && own.st_dev == other.st_dev &&
           own.st_ino == other.st_ino;
}

char **shim_environment(char *const *environment, const struct config *config)
{
    struct config generous = *config;
    CLEANUP(freep) char *names = xasprintf("%s %s", readable, config->child_env ? config->child_env : "");

    generous.child_env = names;
    return child_environment(environment, &generous);
}

/* --- arguments --- */

bool shim_choose_options(const struct address *upstream, struct shim_options *ret_options, struct err *err)
{
    char text[ADDRESS_TEXT_SIZE];
    unsigned port;

    if (upstream->any.sa_family != AF_INET) {
        address_format(upstream, text);
        return err_set(err, ERR_CONFIG,
                       "HOLDFAST_UPSTREAM is %s, but Convex listens on IPv4 only: say 127.0.0.1 and the port",
                       text);
    }
    port = ntohs(upstream->v4.sin_port);
    (void)snprintf(ret_options->port, sizeof(ret_options->port), "%u", port);
    (void)snprintf(ret_options->site_port, sizeof(ret_options->site_port), "%u",
                   port < PORT_MAX ? port + 1 : port - 1);
    address_format_ip(&upstream->any, ret_options->interface);
    return true;
}

/* How many words the option takes that begins at `word`: 0 if it isn't one of ours. */
static size_t width_of_ours(const char *word)
{
    static const char *const names[] = {"--port", "--site-proxy-port", "--interface"};

    for (size_t at = 0; at < sizeof(names) / sizeof(names[0]); at++) {
        size_t size = strlen(names[at]);
        if (strncmp(word, names[at], size) != 0)
            continue;
        if (word[size] == '\0')
            return 2;
        if (word[size] == '=')
            return 1;
    }
    if (word[0] == '-' && (word[1] == 'p' || word[1] == 'i'))
        return word[2] ? 1 : 2;
    return 0;
}

static char *text_of(const char *text)
{
    return (char *)(uintptr_t)text; /* execve(2) takes it so and changes nothing */
}

char **shim_arguments(char *const *words, const struct shim_options *options)
{
    const char *const ours[] = {"--port",           options->port, "--site-proxy-port",
                                options->site_port, "--interface", options->interface};
    const size_t ours_count = sizeof(ours) / sizeof(ours[0]);
    size_t count = 0, kept = 0;
    bool is_option = true; /* up to a `--` */
    char **arguments;

    assert(words[0]);
    while (words[count])
        count++;
    arguments = xcalloc(count + ours_count + 1, sizeof(*arguments));
    arguments[kept++] = words[0];
    for (size_t at = 0; at < ours_count; at++)
        arguments[kept++] = text_of(ours[at]);
    for (size_t at = 1; at < count;) {
        size_t width = 0;
        if (strcmp(words[at], "--") == 0)
            is_option = false;
        if (is_option)
            width = width_of_ours(words[at]);
        if (width == 0)
            arguments[kept++] = words[at++];
        at += width;
    }
    return arguments;
}

/* --- environment --- */

static size_t size_without_slashes(const char *path)
{
    size_t size = strlen(path);

    while (size > 1 && path[size - 1] == '/')
        size--;
    return size;
}

/* The path from the data directory on, "" for the directory itself; NULL if it lies outside. */
static const char *below_data(const struct config *config, const char *path)
{
    size_t size = size_without_slashes(config->data_directory);

    if (strncmp(path, config->data_directory, size) != 0 || (path[size] != '/' && path[size] != '\0'))
        return NULL;
    return path + size + strspn(path + size, "/");
}

bool shim_choose_temporary(const struct config *config, const char *current, char **ret_path, struct err *err)
{
    CLEANUP(globs_freep) struct globs *excluded = NULL;
    const char *below = current && *current ? below_data(config, current) : "";

    if (!globs_parse(config->exclude, &excluded, err))
        return false;
    if (!below || (*below && globs_match(excluded, below))) {
        *ret_path = xstrdup(current);
        return true;
    }
    if (!globs_match(excluded, "tmp"))
        return err_set(
            err, ERR_CONFIG,
            "HOLDFAST_EXCLUDE is %s, and Convex's temporary files would be shipped: add tmp to it, or set "
            "TMPDIR to a folder outside of %s",
            config->exclude, config->data_directory);
    *ret_path =
        xasprintf("%.*s/tmp", (int)size_without_slashes(config->data_directory), config->data_directory);
    return true;
}

/* A folder outside is not ours to make. */
static bool make_temporary(const struct config *config, const char *path, struct err *err)
{
    const char *below = below_data(config, path);
    CLEANUP(close_fdp) int data_fd = -1;

    return !below || (fs_open_directory(AT_FDCWD, config->data_directory, &data_fd, err) &&
                      fs_make_directories(data_fd, below, TEMPORARY_MODE, err));
}

static const char *variable_of(char *const *environment, const char *name)
{
    size_t size = strlen(name);

    for (; *environment; environment++)
        if (strncmp(*environment, name, size) == 0 && (*environment)[size] == '=')
            return *environment + size + 1;
    return NULL;
}

/* Puts `variable`, NAME=value, in the place of the one of that name. */
static char **with_variable(char **environment, char *variable)
{
    size_t name_size = strcspn(variable, "=") + 1, kept = 0, count = 0;

    while (environment[count])
        count++;
    environment = xrealloc(environment, (count + 2) * sizeof(*environment));
    for (size_t at = 0; at < count; at++)
        if (strncmp(environment[at], variable, name_size) != 0)
            environment[kept++] = environment[at];
    environment[kept++] = variable;
    environment[kept] = NULL;
    return environment;
}

/* --- execution --- */

/* Logs the fault of execve(2). */
static int tell_not_executed(const char *path)
{
    bool absent = errno == ENOENT || errno == ENOTDIR;

    if (absent)
        log_error(
            "%s is not there: HOLDFAST_CONVEX_BINARY has to name the backend of the Convex image, and %s "
            "has to lie beside it",
            path, script_name);
    else
        log_error("%s can't be executed: %s", path, strerrordesc_np(errno));
    return absent ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE;
}

static int tell_fault(const struct err *err)
{
    log_error("%s", err->text);
    return EXIT_CONFIG;
}

/* The script finds its helpers where this link lies. words[0] may be a bare name; the kernel knows better. */
static int execute_script(const struct config *config, char *const *words, char *const *environment)
{
    const char *called = (const char *)(uintptr_t)getauxval(AT_EXECFN); /* an address, says getauxval(3) */
    const char *binary = config->convex_binary;
    CLEANUP(freep) char *folder = xasprintf("%.*s.", (int)(last_part(called) - called), called);
    CLEANUP(freep) char *script = xasprintf("%.*s%s", (int)(last_part(binary) - binary), binary, script_name);

    if (chdir(folder) != 0) {
        log_error("the folder %s of the Convex shim can't be entered: %s", folder, strerrordesc_np(errno));
        return EXIT_NOT_EXECUTABLE;
    }
    (void)execve(script, words, environment);
    return tell_not_executed(script);
}

static int execute_backend(const struct config *config, char *const *words, char *const *environment)
{
    struct shim_options options;
    struct err err = {0};
    CLEANUP(freep) char *temporary = NULL;

    if (!shim_choose_options(&config->upstream, &options, &err) ||
        !shim_choose_temporary(config, variable_of(environment, "TMPDIR"), &temporary, &err) ||
        !make_temporary(config, temporary, &err))
        return tell_fault(&err);

    CLEANUP(freep) char **arguments = shim_arguments(words, &options);
    CLEANUP(freep) char *variable = xasprintf("TMPDIR=%s", temporary);
    CLEANUP(freep) char **scrubbed = with_variable(child_environment(environment, config), variable);
    (void)execve(config->convex_binary, arguments, scrubbed);
    return tell_not_executed(config->convex_binary);
}

int shim_execute(char *const *words, char *const *environment)
{
    struct config config;
    struct config_report report;
    int code = EXIT_CONFIG;
    bool configured = config_load(environment, CONFIG_WITHOUT_STORE, &config, &report);

    log_configure((enum log_format)config.log_format, (enum log_level)config.log_level);
    config.used_aws_credentials = false; /* holdfast has removed its own; what is left is the backend's */
    if (!configured)
        log_error("%s", report.lines[0]);
    else if (shim_is_program(config.convex_binary))
        log_error(
            "HOLDFAST_CONVEX_BINARY is %s, which is holdfast itself: name the backend of the Convex image",
            config.convex_binary);
    else if (strcmp(last_part(words[0]), script_name) == 0)
        code = execute_script(&config, words, environment);
    else
        code = execute_backend(&config, words, environment);
    config_clear(&config);
    return code;
}
