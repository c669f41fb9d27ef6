/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Counts of references. Most are 0 or 1, so each page of them is as wide as its largest one needs: two bits, which are
 * also what a space map has, or eight or 32. */
#include "thin_node.h"

#include <errno.h>
#include <stdlib.h>

enum { PAGE_COUNTS = 4096, BITMAP_HEADER_BYTES = 16, PER_WORD = 32 };

struct page {
	unsigned bits;	/* 0: no memory yet, as all are 0 */
	uint8_t *counts;
};

struct dmctl_thin_counts {
	uint64_t blocks;
	bool failed;
	struct page pages[];
};

struct dmctl_thin_counts *dmctl_thin_counts_new(uint64_t blocks)
{
	uint64_t pages = blocks / PAGE_COUNTS + 1;
	struct dmctl_thin_counts *counts;

	/* Of pages that are never touched the system gives no memory. */
	if (pages > SIZE_MAX / sizeof(struct page) - 1 ||
	    !(counts = calloc(1, sizeof(*counts) + pages * sizeof(struct page))))
		return NULL;
	counts->blocks = blocks;
	return counts;
}

void dmctl_thin_counts_free(struct dmctl_thin_counts *counts)
{
	if (!counts)
		return;
	for (uint64_t i = 0; i <= counts->blocks / PAGE_COUNTS; i++)
		if (counts->pages[i].bits)
			free(counts->pages[i].counts);
	free(counts);
}

uint64_t dmctl_thin_counts_blocks(const struct dmctl_thin_counts *counts)
{
	return counts->blocks;
}

int dmctl_thin_counts_error(const struct dmctl_thin_counts *counts)
{
	return counts->failed ? ENOMEM : 0;
}

static uint32_t get(const struct page *page, unsigned i)
{
	switch (page->bits) {
	case 2:
		return page->counts[i / 4] >> 2 * (i % 4) & 3;
	case 8:
		return page->counts[i];
	case 32:
		return ((const uint32_t *) page->counts)[i];
	}
	return 0;
}

static void put(struct page *page, unsigned i, uint32_t count)
{
	unsigned shift = 2 * (i % 4);

	if (page->bits == 2)
		page->counts[i / 4] = (page->counts[i / 4] & ~(3 << shift)) | count << shift;
	else if (page->bits == 8)
		page->counts[i] = count;
	else
		((uint32_t *) page->counts)[i] = count;
}

static bool widen(struct page *page, unsigned bits)
{
	struct page wider = { bits, calloc(PAGE_COUNTS / 8, bits) };

	if (!wider.counts)
		return false;
	for (unsigned i = 0; page->bits && i < PAGE_COUNTS; i++)
		put(&wider, i, get(page, i));
	if (page->bits)
		free(page->counts);
	*page = wider;
	return true;
}

uint32_t dmctl_thin_counts_get(const struct dmctl_thin_counts *counts, uint64_t block)
{
	return get(&counts->pages[block / PAGE_COUNTS], block % PAGE_COUNTS);
}

void dmctl_thin_counts_set(struct dmctl_thin_counts *counts, uint64_t block, uint32_t count)
{
	struct page *page = &counts->pages[block / PAGE_COUNTS];
	unsigned bits = count < 4 ? 2 : count < 256 ? 8 : 32;

	if (page->bits < bits && !widen(page, bits))
		counts->failed = true;
	else
		put(page, block % PAGE_COUNTS, count);
}

uint32_t dmctl_thin_counts_add(struct dmctl_thin_counts *counts, uint64_t block)
{
	uint32_t before = dmctl_thin_counts_get(counts, block);

	dmctl_thin_counts_set(counts, block, before == UINT32_MAX ? before : before + 1);
	return before;
}

void dmctl_thin_bitmap(const uint8_t *block, struct dmctl_thin_counts *counts, uint64_t first, size_t entries)
{
	for (size_t i = 0; i < entries; i++) {
		uint64_t word = thin_u64(block + BITMAP_HEADER_BYTES + i / PER_WORD * 8);
		uint32_t raw = word >> 2 * (i % PER_WORD) & 3;

		if (raw) /* the higher bit comes first */
			dmctl_thin_counts_set(counts, first + i, raw >> 1 | (raw & 1) << 1);
	}
}

static bool same(const struct page *one, const struct page *other)
{
	return one->bits == other->bits && (!one->bits || !memcmp(one->counts, other->counts, PAGE_COUNTS / 8 * one->bits));
}

void dmctl_thin_compare(const struct dmctl_thin_counts *counted, const struct dmctl_thin_counts *stored, uint64_t *found,
			size_t room, uint64_t *differing, uint64_t *too_low)
{
	uint64_t blocks = counted->blocks < stored->blocks ? counted->blocks : stored->blocks;

	*differing = *too_low = 0;
	for (uint64_t i = 0; i < blocks; i++) {
		uint32_t is, says;

		if (i % PAGE_COUNTS == 0 && same(&counted->pages[i / PAGE_COUNTS], &stored->pages[i / PAGE_COUNTS])) {
			i += PAGE_COUNTS - 1;
			continue;
		}
		is = dmctl_thin_counts_get(counted, i);
		says = dmctl_thin_counts_get(stored, i);
		if (is == says)
			continue;
		if (*differing < room)
			found[*differing] = i;
		++*differing;
		*too_low += says < is;
	}
}
