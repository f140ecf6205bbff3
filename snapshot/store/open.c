/* Which driver a configuration asks for. */
#include "snapshot/store/driver.h"

bool store_open(const struct store_config *config, const atomic_bool *canceled,
                const struct store_observer *observer, struct store **ret_store, struct err *err)
{
    struct store *store = NULL;

    if (!(config->kind == STORE_S3 ? s3_open : dir_open)(config, canceled, &store, err))
        return false;
    store->observer = observer;
    *ret_store = store;
    return true;
}
