/* Matching without recursion.
 *
 * The classic way with a single kind of star remembers only where the last star was: when the rest doesn't
 * match, that star takes one character more, and no earlier star has to be tried again, because the last one
 * could take whatever the earlier ones would have given up. Here are two kinds. A `*` that gave up (it met a
 * slash) hands over to the last `**`, which takes more and forgets every `*` behind it; a `**` in turn makes
 * all that came before it final. Hence two places to resume from, and no pattern that takes exponential time,
 * as fnmatch(3) does with a dozen stars. */
#include "snapshot/globs.h"

#include "base/buf.h"

#include <string.h>

struct globs {
    char **patterns;
    size_t count;
};

/* Where a star can resume: the pattern behind it, and the text that it has not taken yet. */
struct star {
    const char *pattern; /* NULL: there was none */
    const char *text;
    bool whole_components; /* a `**` with its slash: takes names with their slashes only */
};

static size_t character_length(const char *text)
{
    size_t length = 1;

    if ((*text & 0xc0) != 0xc0)
        return 1;
    while (length < 4 && (text[length] & 0xc0) == 0x80)
        length++;
    return length;
}

/* The bracket behind a '[', or NULL. One that comes first is a member. */
static const char *set_end(const char *set)
{
    if (*set == '!')
        set++;
    return *set ? strchr(set + 1, ']') : NULL;
}

static bool set_contains(const char *set, const char *end, char byte)
{
    bool negated = *set == '!';
    unsigned char wanted = (unsigned char)byte;

    for (set += negated; set < end; set++) {
        unsigned char low = (unsigned char)*set, high = low;
        if (set[1] == '-' && set + 2 < end) {
            high = (unsigned char)set[2];
            set += 2;
        }
        if (wanted >= low && wanted <= high)
            return !negated;
    }
    return negated;
}

/* Takes one element of the pattern that isn't a star, and what it matches; false if it doesn't match. */
static bool take_element(const char **pattern, const char **text)
{
    if (**text == '\0')
        return false;
    if (**pattern == '?' && **text != '/') {
        *pattern += 1;
        *text += character_length(*text);
        return true;
    }
    if (**pattern == '[') {
        const char *end = set_end(*pattern + 1);
        if (**text == '/' || !set_contains(*pattern + 1, end, **text))
            return false;
        *pattern = end + 1;
        *text += 1;
        return true;
    }
    if (**pattern != **text)
        return false;
    *pattern += 1;
    *text += 1;
    return true;
}

/* Lets a star take more of the text; false if it can't. */
static bool star_resume(struct star *star, bool takes_slashes, const char **pattern, const char **text)
{
    if (!star->pattern || *star->text == '\0' || (!takes_slashes && *star->text == '/'))
        return false;
    if (star->whole_components) {
        const char *slash = strchr(star->text, '/');
        if (!slash)
            return false;
        star->text = slash;
    }
    star->text++;
    *pattern = star->pattern;
    *text = star->text;
    return true;
}

static bool match(const char *pattern, const char *text)
{
    struct star single = {0}, twin = {0};
    const char *start = pattern;

    for (;;) {
        if (*pattern == '\0' && (*text == '\0' || *text == '/'))
            return true; /* the path itself, or a directory that it lies in */
        if (pattern[0] == '*' && pattern[1] == '*') {
            bool slash = pattern[2] == '/' && (pattern == start || pattern[-1] == '/');
            pattern += slash ? 3 : 2;
            twin = (struct star){pattern, text, slash};
            single.pattern = NULL;
        } else if (*pattern == '*') {
            single = (struct star){++pattern, text, false};
        } else if (!take_element(&pattern, &text) && !star_resume(&single, false, &pattern, &text)) {
            single.pattern = NULL;
            if (!star_resume(&twin, true, &pattern, &text))
                return false;
        }
    }
}

static bool check_component(const char *component, const char *pattern, struct err *err)
{
    if (*component == '\0' || strcmp(component, ".") == 0 || strcmp(component, "..") == 0)
        return err_set(err, ERR_CONFIG, "the pattern \"%s\" can't match: \"%s\" is no name in a path",
                       pattern, component);
    for (const char *at = component; (at = strchr(at, '[')); at++) {
        at = set_end(at + 1);
        if (!at)
            return err_set(err, ERR_CONFIG, "the pattern \"%s\" has a '[' without its ']'", pattern);
    }
    return true;
}

static bool check_pattern(const char *pattern, struct err *err)
{
    CLEANUP(freep) char *copy = xstrdup(pattern);
    char *rest = copy;
    char *component;

    if (*pattern == '/')
        return err_set(err, ERR_CONFIG,
                       "the pattern \"%s\" can't match: it must be relative to the data directory", pattern);
    while ((component = strsep(&rest, "/")))
        if (!check_component(component, pattern, err))
            return false;
    return true;
}

/* "cache/" is how many write "the directory cache". */
static void drop_last_slash(char *pattern)
{
    size_t length = strlen(pattern);

    if (length > 1 && pattern[length - 1] == '/')
        pattern[length - 1] = '\0';
}

static bool add_pattern(struct globs *globs, char *pattern, struct err *err)
{
    drop_last_slash(pattern);
    if (!check_pattern(pattern, err))
        return false;
    globs->patterns = xrealloc(globs->patterns, (globs->count + 1) * sizeof(*globs->patterns));
    globs->patterns[globs->count++] = strchr(pattern, '/') ? xstrdup(pattern) : xasprintf("**/%s", pattern);
    return true;
}

bool globs_parse(const char *text, struct globs **ret_globs, struct err *err)
{
    CLEANUP(globs_freep) struct globs *globs = xcalloc(1, sizeof(*globs));
    CLEANUP(freep) char *copy = xstrdup(text);
    char *rest = *copy ? copy : NULL;
    char *pattern;

    while ((pattern = strsep(&rest, ":")))
        if (!add_pattern(globs, pattern, err))
            return false;
    *ret_globs = MOVE(globs);
    return true;
}

void globs_free(struct globs *globs)
{
    if (!globs)
        return;
    for (size_t at = 0; at < globs->count; at++)
        free(globs->patterns[at]);
    free(globs->patterns);
    free(globs);
}

bool globs_match(const struct globs *globs, const char *path)
{
    for (size_t at = 0; at < globs->count; at++)
        if (match(globs->patterns[at], path))
            return true;
    return false;
}
