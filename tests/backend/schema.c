#include "tests/backend/schema.h"

#include <pthread.h>
#include <stdio.h>

static struct schema schema;

static struct ident index_of(const char *table, const char *index)
{
    char name[64];

    (void)snprintf(name, sizeof(name), "%s.%s", table, index);
    return ident_of_name(name);
}

static struct table_schema table_of(const char *name)
{
    return (struct table_schema){
        .table = ident_of_name(name),
        .by_id = index_of(name, "by_id"),
        .by_creation_time = index_of(name, "by_creation_time"),
        .by_one = index_of(name, "by_one"),
        .by_two = index_of(name, "by_two"),
    };
}

static void build(void)
{
    schema = (struct schema){
        .tables = ident_of_name("_tables"),
        .indexes = ident_of_name("_index"),
        .globals = ident_of_name("_db"),
        .messages = table_of("messages"),
        .channels = table_of("channels"),
        .files = table_of("_file_storage"),
    };
}

const struct schema *schema_get(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    (void)pthread_once(&once, build);
    return &schema;
}
