#include "sidecar/arguments.h"
#include "sidecar/commands.h"

#include "tests/tap.h"

static bool parse(const char *name, const char *const *words, struct arguments *ret_arguments,
                  struct err *err)
{
    const struct command *command = NULL;
    static char *copies[16];
    size_t count = 0;

    for (; words[count]; count++)
        copies[count] = (char *)(uintptr_t)words[count];
    copies[count] = NULL;
    return command_find(name, &command, err) && arguments_parse(command, copies, ret_arguments, err);
}

#define PARSE(name, ...) parse(name, (const char *const[]){__VA_ARGS__}, &arguments, &err)

TEST(options_take_their_values_in_both_ways)
{
    struct arguments arguments;
    struct err err = {0};

    REQUIRE_OK(PARSE("restore", "--to", "/copy", "--at=7", "--json", NULL), &err);
    EXPECT_STR(arguments.to, "/copy");
    EXPECT_STR(arguments.at, "7");
    EXPECT(arguments.json);
    EXPECT(!arguments.rest[0]);
    REQUIRE_OK(PARSE("restore", "--to=/a=b", NULL), &err);
    EXPECT_STR(arguments.to, "/a=b");
    EXPECT(!arguments.at && !arguments.json);
}

TEST(what_follows_two_dashes_is_the_command_untouched)
{
    struct arguments arguments;
    struct err err = {0};

    REQUIRE_OK(PARSE("run", "--", "backend", "--json", "--", "x", NULL), &err);
    EXPECT_STR(arguments.rest[0], "backend");
    EXPECT_STR(arguments.rest[1], "--json");
    EXPECT_STR(arguments.rest[2], "--");
    EXPECT_STR(arguments.rest[3], "x");
    EXPECT(!arguments.json);
    REQUIRE_OK(PARSE("run", "backend", "--help", NULL), &err);
    EXPECT_STR(arguments.rest[0], "backend");
    EXPECT(!arguments.help);
    REQUIRE_OK(PARSE("run", "--", NULL), &err);
    EXPECT(!arguments.rest[0]);
}

TEST(every_command_has_help)
{
    static const char *const names[] = {"run",     "restore", "list",     "verify", "status", "doctor",
                                        "version", "help",    "snapshot", "prune",  "pin",    "fork"};
    struct arguments arguments;
    struct err err = {0};

    for (size_t at = 0; at < sizeof(names) / sizeof(names[0]); at++) {
        CLEANUP(buf_clearp) struct buf text = BUF_INIT(65536);
        const struct command *command = NULL;
        REQUIRE_OK(PARSE(names[at], "--help", NULL), &err);
        EXPECT(arguments.help);
        REQUIRE_OK(PARSE(names[at], "-h", NULL), &err);
        EXPECT(arguments.help);
        REQUIRE_OK(command_find(names[at], &command, &err), &err);
        arguments_describe(command, &text);
        EXPECT(strstr(buf_text(&text), names[at]));
        EXPECT(strstr(buf_text(&text), "--help"));
    }
}

TEST(help_shows_what_must_be_given_without_brackets)
{
    CLEANUP(buf_clearp) struct buf text = BUF_INIT(65536);
    const struct command *command = NULL;
    struct err err = {0};

    REQUIRE_OK(command_find("restore", &command, &err), &err);
    arguments_describe(command, &text);
    EXPECT(strncmp(buf_text(&text), "holdfast restore --to DIR [--at TIME|RECORD] [--follow] [--json]\n",
                   64) == 0);
}

TEST(a_command_that_is_to_come_takes_any_words)
{
    struct arguments arguments;
    struct err err = {0};

    EXPECT_OK(PARSE("fork", "--to", "file:///elsewhere", "--json", NULL), &err);
    EXPECT(!arguments.help && !arguments.to);
    EXPECT_OK(PARSE("pin", NULL), &err);
}

TEST(an_unknown_option_names_the_nearest)
{
    struct arguments arguments;
    struct err err = {0};

    EXPECT(!PARSE("list", "--jsn", NULL));
    EXPECT_INT(err.code, ERR_CONFIG);
    EXPECT_STR(err.text, "list has no option --jsn: did you mean --json?");
    EXPECT(!PARSE("list", "--to", "x", NULL)); /* restore's */
    EXPECT_STR(err.text, "list has no option --to: `holdfast list --help` lists them");
    EXPECT(!PARSE("restore", "--pin", "x", NULL));
    EXPECT_STR(err.text, "--pin comes with a later release");
    EXPECT(!PARSE("restore", "-t", "x", NULL));
    EXPECT(strstr(err.text, "two dashes"));
}

TEST(what_an_option_lacks_or_has_too_much_is_said)
{
    struct arguments arguments;
    struct err err = {0};

    EXPECT(!PARSE("restore", "--to", NULL));
    EXPECT_STR(err.text, "--to wants a value: --to DIR");
    EXPECT(!PARSE("restore", "--to=", NULL));
    EXPECT(!PARSE("list", "--json=yes", NULL));
    EXPECT_STR(err.text, "--json takes no value");
    EXPECT(!PARSE("list", "everything", NULL));
    EXPECT_STR(err.text, "list takes no argument, but was given everything");
}

TEST(an_unknown_command_names_the_nearest)
{
    const struct command *command = NULL;
    struct err err = {0};

    EXPECT(!command_find("resore", &command, &err));
    EXPECT_STR(err.text, "there is no command resore: did you mean restore?");
    EXPECT(!command_find("teleport", &command, &err));
    EXPECT_STR(err.text, "there is no command teleport: `holdfast help` lists them");
    EXPECT(command_find("--version", &command, &err));
    EXPECT_STR(command->name, "version");
    EXPECT(command_find("-h", &command, &err));
    EXPECT_STR(command->name, "help");
}

TEST(the_overview_names_every_command)
{
    CLEANUP(buf_clearp) struct buf text = BUF_INIT(65536);

    commands_describe(&text);
    EXPECT(strstr(buf_text(&text), "  run       "));
    EXPECT(strstr(buf_text(&text), "  doctor    "));
    EXPECT(strstr(buf_text(&text), "  fork      "));
}

TAP_MAIN()
