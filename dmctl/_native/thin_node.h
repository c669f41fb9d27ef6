/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Nodes of the B-trees in thin metadata, and the one walk that all is made of. */
#ifndef DMCTL_THIN_NODE_H
#define DMCTL_THIN_NODE_H

#include "thin.h"

#include <endian.h>
#include <stdbool.h>
#include <string.h>

enum {
	THIN_NODE_HEADER_BYTES = 32,
	/* Nodes but the root are at least a third full: three levels more than the largest metadata can have. */
	THIN_MAX_DEPTH = 8,
};

struct thin_node {
	uint64_t block;
	uint32_t entries;
	bool leaf;
	const uint8_t *keys, *values;
};

static inline uint64_t thin_u64(const uint8_t *bytes)
{
	uint64_t number;

	memcpy(&number, bytes, sizeof(number));
	return le64toh(number);
}

static inline uint32_t thin_u32(const uint8_t *bytes)
{
	uint32_t number;

	memcpy(&number, bytes, sizeof(number));
	return le32toh(number);
}

static inline uint64_t thin_key(const struct thin_node *node, uint32_t entry)
{
	return thin_u64(node->keys + 8 * (size_t) entry);
}

static inline uint64_t thin_value(const struct thin_node *node, uint32_t entry)
{
	return thin_u64(node->values + 8 * (size_t) entry);
}

/* A mapping is a data block and the time of its making. */
static inline uint64_t thin_data_block(uint64_t mapping)
{
	return mapping >> 24;
}

static inline uint32_t thin_time(uint64_t mapping)
{
	return mapping & 0xffffff;
}

void thin_damaged(struct dmctl_thin_reader *reader, uint64_t block, int what, int error);

struct thin_walk {
	struct dmctl_thin_reader *reader;
	uint32_t value_bytes;
	uint64_t from_key;		/* what is wholly below it is not read */
	void *context;
	uint64_t least, last;		/* keys that may be in the block that is about to be entered */
	/* Whether to read this block; NULL: all. */
	bool (*enter)(struct thin_walk *walk, uint64_t block);
	/* 0, or an errno that ends the walk. */
	int (*leaf)(struct thin_walk *walk, const struct thin_node *node);
	/* After a block that was entered, and all below it; damaged or not. */
	void (*left)(struct thin_walk *walk, uint64_t block);
};

int thin_walk(struct thin_walk *walk, uint64_t root);

#endif
