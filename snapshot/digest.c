#include "snapshot/digest.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdatomic.h>
#include <string.h>

static_assert(DIGEST_SIZE == 256 / 8, "SHA-256");

/* In OpenSSL 3 every use of EVP_sha256() looks the algorithm up again, under locks and through provider
 * tables. One that was fetched is ready; it is kept for the life of the process. */
static const EVP_MD *sha256(void)
{
    static _Atomic(EVP_MD *) fetched;
    EVP_MD *algorithm = atomic_load(&fetched);
    EVP_MD *expected = NULL;

    if (algorithm)
        return algorithm;
    algorithm = EVP_MD_fetch(NULL, "SHA256", NULL);
    assert(algorithm);
    if (atomic_compare_exchange_strong(&fetched, &expected, algorithm))
        return algorithm;
    EVP_MD_free(algorithm); /* another thread was first */
    return expected;
}

struct digest digest_of(const void *bytes, size_t size)
{
    struct digest digest;
    unsigned written = 0;
    int hashed = EVP_Digest(size > 0 ? bytes : "", size, digest.bytes, &written, sha256(), NULL);

    assert(hashed == 1 && written == DIGEST_SIZE);
    return digest;
}

struct digest digest_hmac(const void *key, size_t key_size, const void *bytes, size_t size)
{
    struct digest digest;
    unsigned written = 0;
    const void *keyed;

    assert(key_size <= INT32_MAX);
    keyed = HMAC(sha256(), key_size > 0 ? key : "", (int)key_size, size > 0 ? bytes : (const void *)"", size,
                 digest.bytes, &written);
    assert(keyed && written == DIGEST_SIZE);
    return digest;
}

bool digest_equal(const struct digest *one, const struct digest *other)
{
    return memcmp(one->bytes, other->bytes, DIGEST_SIZE) == 0;
}

void digest_hex(const struct digest *digest, char text[DIGEST_TEXT_SIZE])
{
    static const char digits[] = "0123456789abcdef";

    for (size_t at = 0; at < DIGEST_SIZE; at++) {
        text[2 * at] = digits[digest->bytes[at] >> 4];
        text[2 * at + 1] = digits[digest->bytes[at] & 15];
    }
    text[2 * DIGEST_SIZE] = '\0';
}

static int value_of_digit(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    if (digit >= 'a' && digit <= 'f')
        return digit - 'a' + 10;
    return -1;
}

bool digest_parse(const char *text, struct digest *ret_digest)
{
    struct digest digest;

    for (size_t at = 0; at < DIGEST_SIZE; at++) {
        int high = value_of_digit(text[2 * at]);
        int low = high < 0 ? -1 : value_of_digit(text[2 * at + 1]);
        if (low < 0)
            return false;
        digest.bytes[at] = (uint8_t)(high * 16 + low);
    }
    if (text[2 * DIGEST_SIZE] != '\0')
        return false;
    *ret_digest = digest;
    return true;
}
