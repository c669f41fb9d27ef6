/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Read by cffi: metadata of thin pools; thin.h explains it. */

enum {
	DMCTL_THIN_BLOCK_BYTES = 4096,
	DMCTL_THIN_COUNTS_PER_BITMAP = 16320,
	DMCTL_THIN_MAX_DAMAGES = 256,
	DMCTL_THIN_RUN_NUMBERS = 4,
	DMCTL_THIN_MAX_ENTRIES = 336,
};

enum {
	DMCTL_THIN_SUPERBLOCK_SEED = 160774,
	DMCTL_THIN_NODE_SEED = 121107,
	DMCTL_THIN_BITMAP_SEED = 240779,
	DMCTL_THIN_INDEX_SEED = 160478,
};

uint32_t dmctl_thin_checksum(const uint8_t *block, uint32_t seed);

uint32_t dmctl_thin_checksum_by_table(const uint8_t *block, uint32_t seed);

enum {
	DMCTL_THIN_SOUND,
	DMCTL_THIN_UNREADABLE,
	DMCTL_THIN_OUTSIDE,
	DMCTL_THIN_CHECKSUM,
	DMCTL_THIN_NUMBER,
	DMCTL_THIN_SHAPE,
	DMCTL_THIN_KEYS,
	DMCTL_THIN_DEPTH,
	DMCTL_THIN_VALUE,
	DMCTL_THIN_TWICE,
};

struct dmctl_thin_damage {
	uint64_t block;
	int64_t thin;
	int what;
	int error;
};

struct dmctl_thin_reader {
	int fd;
	uint64_t blocks;
	int cancel;
	int64_t thin;
	uint64_t blocks_read;
	uint64_t damage_count;
	struct dmctl_thin_damage damages[DMCTL_THIN_MAX_DAMAGES];
};

int dmctl_thin_read_block(struct dmctl_thin_reader *reader, uint64_t block, uint32_t seed, uint8_t *buffer);
uint8_t *dmctl_thin_new_block(void);

void dmctl_thin_free(void *memory);

int dmctl_thin_list(struct dmctl_thin_reader *reader, uint64_t root, uint32_t value_bytes, uint64_t *next, int *more,
		    uint64_t *keys, uint8_t *values, size_t room, size_t *found);

struct dmctl_thin_counts;
struct dmctl_thin_counts *dmctl_thin_counts_new(uint64_t blocks);
void dmctl_thin_counts_free(struct dmctl_thin_counts *counts);
uint64_t dmctl_thin_counts_blocks(const struct dmctl_thin_counts *counts);
uint32_t dmctl_thin_counts_get(const struct dmctl_thin_counts *counts, uint64_t block);
void dmctl_thin_counts_set(struct dmctl_thin_counts *counts, uint64_t block, uint32_t count);
uint32_t dmctl_thin_counts_add(struct dmctl_thin_counts *counts, uint64_t block);
int dmctl_thin_counts_error(const struct dmctl_thin_counts *counts);

int dmctl_thin_count_nodes(struct dmctl_thin_reader *reader, uint64_t root, uint32_t value_bytes,
			   struct dmctl_thin_counts *metadata);

int dmctl_thin_count(struct dmctl_thin_reader *reader, uint64_t root, struct dmctl_thin_counts *metadata,
		     struct dmctl_thin_counts *data, uint64_t *remembered);

int dmctl_thin_exclusive(struct dmctl_thin_reader *reader, const uint64_t *roots, size_t thins,
			 const struct dmctl_thin_counts *metadata, const struct dmctl_thin_counts *data,
			 uint64_t *exclusive);

int dmctl_thin_mapped(struct dmctl_thin_reader *reader, const uint64_t *roots, size_t thins, uint64_t *remembered,
		      uint64_t *mapped);

int dmctl_thin_runs(struct dmctl_thin_reader *reader, uint64_t root, uint64_t data_from, uint64_t data_to,
		    uint64_t *next, int *more, uint64_t *runs, size_t room, size_t *found);

enum { DMCTL_THIN_XML, DMCTL_THIN_HUMAN, DMCTL_THIN_JSON };
struct dmctl_thin_text;
struct dmctl_thin_text *dmctl_thin_text_open(int format);
void dmctl_thin_text_close(struct dmctl_thin_text *text);
void dmctl_thin_text_begin(struct dmctl_thin_text *text);
int dmctl_thin_text(struct dmctl_thin_reader *reader, struct dmctl_thin_text *text, uint64_t root, uint64_t *next,
		    int *more, char *buffer, size_t room, size_t *length);

void dmctl_thin_bitmap(const uint8_t *block, struct dmctl_thin_counts *counts, uint64_t first, size_t entries);

void dmctl_thin_compare(const struct dmctl_thin_counts *counted, const struct dmctl_thin_counts *stored, uint64_t *found,
			size_t room, uint64_t *differing, uint64_t *too_low);
