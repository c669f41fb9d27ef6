/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "thin_node.h"

#include <stdlib.h>

enum { BITMAP_HEADER_BYTES = 16, PER_WORD = 32 };

uint32_t *dmctl_thin_new_counts(uint64_t count)
{
	return count > SIZE_MAX / sizeof(uint32_t) ? NULL : calloc(count ? count : 1, sizeof(uint32_t));
}

void dmctl_thin_bitmap(const uint8_t *block, size_t entries, uint32_t *counts)
{
	for (size_t i = 0; i < entries; i++) {
		uint64_t word = thin_u64(block + BITMAP_HEADER_BYTES + i / PER_WORD * 8);
		uint32_t raw = word >> 2 * (i % PER_WORD) & 3;

		counts[i] = raw >> 1 | (raw & 1) << 1;	/* the higher bit comes first */
	}
}

void dmctl_thin_compare(const uint32_t *counted, const uint32_t *stored, uint64_t entries, uint64_t *found, size_t room,
			uint64_t *differing, uint64_t *too_low)
{
	*differing = *too_low = 0;
	for (uint64_t i = 0; i < entries; i++) {
		if (counted[i] == stored[i])
			continue;
		if (*differing < room)
			found[*differing] = i;
		++*differing;
		*too_low += stored[i] < counted[i];
	}
}
