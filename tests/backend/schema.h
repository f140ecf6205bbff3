/* The application's tables and indexes. Their identifiers follow from their names, so that every start finds
 * them again. */
#ifndef TESTS_BACKEND_SCHEMA_H
#define TESTS_BACKEND_SCHEMA_H

#include "tests/backend/random.h"

struct table_schema {
    struct ident table;
    struct ident by_id, by_creation_time;
    struct ident by_one, by_two; /* two indexes of the user's own */
};

struct schema {
    struct ident tables;          /* the table of tables, `_tables` */
    struct ident indexes;         /* `_index` */
    struct ident globals;         /* `_db`: one document, with the version and the storage type */
    struct table_schema messages; /* by_one: number, by_two: channel */
    struct table_schema channels; /* by_one: name, by_two: last activity */
    struct table_schema files;    /* `_file_storage`; by_one: storage key; by_two is not used */
};

/* Built once; any thread. */
const struct schema *schema_get(void);

#endif
