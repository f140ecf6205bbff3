#include "base/boot.h"

#include "tests/tap.h"

#include <string.h>

TEST(a_boot_has_one_name)
{
    char first[BOOT_ID_SIZE], again[BOOT_ID_SIZE];

    boot_id(first);
    boot_id(again);
    EXPECT_STR(first, again);
    EXPECT(strlen(first) == BOOT_ID_SIZE - 1 || first[0] == '\0');
    EXPECT_INT(strspn(first, "0123456789abcdef-"), strlen(first));
}

TAP_MAIN()
