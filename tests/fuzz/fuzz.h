/* What a fuzz target defines: the entry point of libFuzzer (https://llvm.org/docs/LibFuzzer.html). It returns
 * 0, must survive any bytes, and checks with assert() what has to hold for those that were accepted. */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

#endif
