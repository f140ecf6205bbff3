#include "tests/double/collecting.h"

#include <poll.h>
#include <stdio.h>

bool collecting_begin(struct collecting *collecting, const char *pragmas)
{
    *collecting = (struct collecting){0};
    script_start(&collecting->script, sample_path("db"));
    return script_run(&collecting->script, pragmas) &&
           script_run(&collecting->script,
                      "PRAGMA journal_mode=WAL; CREATE TABLE t(id INTEGER PRIMARY KEY, body BLOB, tag TEXT);"
                      "CREATE INDEX by_tag ON t(tag); CREATE TABLE log(id INTEGER PRIMARY KEY, what TEXT);"
                      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < 200) "
                      "INSERT INTO t SELECT i, randomblob(500), hex(randomblob(8)) FROM n") &&
           scene_attach(sample_path("db"), &collecting->database, &collecting->err) &&
           scene_freeze(collecting->database, &collecting->err) &&
           oracle_begin(&collecting->oracle, collecting->database);
}

bool collecting_end(struct collecting *collecting)
{
    bool agrees = oracle_agrees_now(&collecting->oracle);

    oracle_end(&collecting->oracle);
    script_stop(&collecting->script);
    database_detach(collecting->database);
    return agrees;
}

bool collecting_look_after(struct collecting *collecting, bool tends)
{
    struct err err = {0};

    if (tends ? database_tend(collecting->database, &err) || err.code == ERR_TRANSIENT
              : database_collect(collecting->database, NULL, &err))
        return true;
    printf("#   %s\n", err.text);
    return false;
}

bool collecting_run(struct collecting *collecting, const char *sql)
{
    script_send(&collecting->script, sql);
    for (unsigned turn = 0; !script_is_done(&collecting->script); turn++) {
        if (!collecting_look_after(collecting, turn % 4 == 3))
            return false;
        (void)poll(NULL, 0, 1);
    }
    return script_wait(&collecting->script) && collecting_look_after(collecting, false);
}

bool collecting_run_and_compare(struct collecting *collecting, const char *sql)
{
    bool agreed =
        oracle_agrees_now(&collecting->oracle) && scene_freeze(collecting->database, &collecting->err);
    unsigned commits = collecting->oracle.commits;
    bool ran = agreed && collecting_run(collecting, sql) && collecting->oracle.commits > commits;

    database_thaw(collecting->database);
    return ran && oracle_agrees_now(&collecting->oracle);
}
