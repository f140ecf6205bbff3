/* Random changes of a directory: files of every size class made, rewritten, appended to, removed, renamed and
 * linked, directories and symlinks in their places, modes and times, names that are no text or sort around
 * '/'. The same seed does the same. */
#ifndef TESTS_DOUBLE_TUMULT_H
#define TESTS_DOUBLE_TUMULT_H

void tumult_begin(int directory_fd, unsigned seed);
/* Tries so many operations; some are impossible where they are tried. */
void tumult_go_on(unsigned operations);
/* 0 to sides - 1, from the same dice. */
unsigned tumult_roll(unsigned sides);

#endif
