/* "did you mean": how far two words are apart (Levenshtein, with swapped neighbours as one edit). Pure. */
#ifndef GW_CONFIG_NEAREST_H
#define GW_CONFIG_NEAREST_H

#include <stddef.h>

/* Single-character edits between two words; words over 64 bytes count as infinitely far (SIZE_MAX). */
size_t gw_nearest_distance(const char *a, const char *b);
/* Edits that still pass for a slip of the keyboard: a third of the word, at least 1. */
size_t gw_nearest_tolerance(const char *word);

#endif
