/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads the metadata of thin pools: what Python sees of it.
 *
 * The format is that of the kernel's drivers/md/dm-thin-metadata.c and persistent-data/: blocks of 4096 bytes,
 * little-endian, each with a checksum and its own number. Nothing that a block says is believed before it is checked:
 * walks end after as many steps as there are blocks, whatever they find. */
#ifndef DMCTL_THIN_H
#define DMCTL_THIN_H

#include <stddef.h>
#include <stdint.h>

enum {
	DMCTL_THIN_BLOCK_BYTES = 4096,
	DMCTL_THIN_COUNTS_PER_BITMAP = 16320,
	DMCTL_THIN_MAX_DAMAGES = 256,
	DMCTL_THIN_RUN_NUMBERS = 4,
	DMCTL_THIN_MAX_ENTRIES = 336,	/* of a leaf with the smallest values */
};

/* What a checksum is mixed with, by the kind of block. */
enum {
	DMCTL_THIN_SUPERBLOCK_SEED = 160774,
	DMCTL_THIN_NODE_SEED = 121107,
	DMCTL_THIN_BITMAP_SEED = 240779,
	DMCTL_THIN_INDEX_SEED = 160478,
};
/* The checksum that belongs at the begin of the block. */
uint32_t dmctl_thin_checksum(const uint8_t *block, uint32_t seed);
/* The same where a processor has no instruction for it. */
uint32_t dmctl_thin_checksum_by_table(const uint8_t *block, uint32_t seed);

/* What is wrong with a block. */
enum {
	DMCTL_THIN_SOUND,
	DMCTL_THIN_UNREADABLE,	/* with the errno; 0: the device ends before it */
	DMCTL_THIN_OUTSIDE,	/* its number is beyond the metadata */
	DMCTL_THIN_CHECKSUM,
	DMCTL_THIN_NUMBER,	/* it says that it is another block */
	DMCTL_THIN_SHAPE,	/* kind of node, number of entries, size of values */
	DMCTL_THIN_KEYS,	/* not ascending, or not between those of the node above */
	DMCTL_THIN_DEPTH,	/* deeper than a tree can be: a cycle */
	DMCTL_THIN_VALUE,	/* a value that is impossible, a data block beyond the data */
	DMCTL_THIN_TWICE,	/* a bitmap that stands in for two */
};

struct dmctl_thin_damage {
	uint64_t block;
	int64_t thin;			/* whose tree it is in; -1 where it is in no thin's */
	int what;
	int error;
};

struct dmctl_thin_reader {
	int fd;				/* may be O_DIRECT */
	uint64_t blocks;		/* of metadata, that numbers must stay below */
	int cancel;			/* another thread may set it at any time */
	int64_t thin;			/* whose tree is being walked, or -1 */
	uint64_t blocks_read;		/* another thread may read it at any time */
	uint64_t damage_count;		/* of which the first are kept */
	struct dmctl_thin_damage damages[DMCTL_THIN_MAX_DAMAGES];
};

/* All that follow: 0, ECANCELED or ENOMEM. What is damaged is left out, and told
 * in the reader. */

/* Reads a block that is no node, and checks it. Damage is told by EBADMSG, too. The buffer is aligned to its size. */
int dmctl_thin_read_block(struct dmctl_thin_reader *reader, uint64_t block, uint32_t seed, uint8_t *buffer);
uint8_t *dmctl_thin_new_block(void);
void dmctl_thin_free(void *memory);

/* How often each of so many blocks is pointed to: up to 2^32 - 1, at first 0. Memory is taken as counts are set. */
struct dmctl_thin_counts;
struct dmctl_thin_counts *dmctl_thin_counts_new(uint64_t blocks);	/* or NULL */
void dmctl_thin_counts_free(struct dmctl_thin_counts *counts);
uint64_t dmctl_thin_counts_blocks(const struct dmctl_thin_counts *counts);
/* Blocks must be below that. */
uint32_t dmctl_thin_counts_get(const struct dmctl_thin_counts *counts, uint64_t block);
void dmctl_thin_counts_set(struct dmctl_thin_counts *counts, uint64_t block, uint32_t count);
uint32_t dmctl_thin_counts_add(struct dmctl_thin_counts *counts, uint64_t block);	/* what it was before */
/* ENOMEM where one could not be set, else 0. */
int dmctl_thin_counts_error(const struct dmctl_thin_counts *counts);

/* The entries of a tree from that key on: keys, and values behind each other. *next is where to go on, *more whether
 * there is more. There is room for at least one node. */
int dmctl_thin_list(struct dmctl_thin_reader *reader, uint64_t root, uint32_t value_bytes, uint64_t *next, int *more,
		    uint64_t *keys, uint8_t *values, size_t room, size_t *found);

/* References between metadata blocks. A node that is counted already is not entered. */
int dmctl_thin_count_nodes(struct dmctl_thin_reader *reader, uint64_t root, uint32_t value_bytes,
			   struct dmctl_thin_counts *metadata);
/* Likewise in the tree of thins and in all of their trees, and the references to data blocks. remembered: for
 * dmctl_thin_mapped(), or NULL. */
int dmctl_thin_count(struct dmctl_thin_reader *reader, uint64_t root, struct dmctl_thin_counts *metadata,
		     struct dmctl_thin_counts *data, uint64_t *remembered);
/* With such counts of all thins: how many data blocks each of these alone has. */
int dmctl_thin_exclusive(struct dmctl_thin_reader *reader, const uint64_t *roots, size_t thins,
			 const struct dmctl_thin_counts *metadata, const struct dmctl_thin_counts *data,
			 uint64_t *exclusive);
/* How many blocks each of these thins maps. A node that was walked before is not read again: remembered is one u64 a
 * metadata block, zeros at first. */
int dmctl_thin_mapped(struct dmctl_thin_reader *reader, const uint64_t *roots, size_t thins, uint64_t *remembered,
		      uint64_t *mapped);

/* The mappings of a thin as runs: four numbers each, virtual block, data block, blocks, time. From that virtual block
 * on; *next is where to go on, *more whether there is more. Only what is mapped to [data_from, data_to). */
int dmctl_thin_runs(struct dmctl_thin_reader *reader, uint64_t root, uint64_t data_from, uint64_t data_to,
		    uint64_t *next, int *more, uint64_t *runs, size_t room, size_t *found);

/* The same as text, a line a run, in the words of thin_dump. */
enum { DMCTL_THIN_XML, DMCTL_THIN_HUMAN, DMCTL_THIN_JSON };
struct dmctl_thin_text;
struct dmctl_thin_text *dmctl_thin_text_open(int format);
void dmctl_thin_text_close(struct dmctl_thin_text *text);
void dmctl_thin_text_begin(struct dmctl_thin_text *text);	/* another thin */
int dmctl_thin_text(struct dmctl_thin_reader *reader, struct dmctl_thin_text *text, uint64_t root, uint64_t *next,
		    int *more, char *buffer, size_t room, size_t *length);

/* A bitmap of a space map becomes counts from `first` on, which are 0 yet: 1 and 2, and 3 for those whose count is in
 * the tree of counts. */
void dmctl_thin_bitmap(const uint8_t *block, struct dmctl_thin_counts *counts, uint64_t first, size_t entries);
/* Compares counts of the blocks that both have: found[] gets up to room places that differ, *differing how many do. */
void dmctl_thin_compare(const struct dmctl_thin_counts *counted, const struct dmctl_thin_counts *stored, uint64_t *found,
			size_t room, uint64_t *differing, uint64_t *too_low);

#endif
