#ifndef TESTS_SANITIZERS_H
#define TESTS_SANITIZERS_H

/* gcc's names for what clang says in another way: some tests are done with less where all takes longer. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer) && !defined(__SANITIZE_ADDRESS__)
#define __SANITIZE_ADDRESS__ 1
#endif
#if __has_feature(thread_sanitizer) && !defined(__SANITIZE_THREAD__)
#define __SANITIZE_THREAD__ 1
#endif
#endif

#endif
