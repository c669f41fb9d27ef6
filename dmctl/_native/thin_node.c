/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "thin_node.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

enum { INNER = 1, LEAF = 2 };

void thin_damaged(struct dmctl_thin_reader *reader, uint64_t block, int what, int error)
{
	if (reader->damage_count < DMCTL_THIN_MAX_DAMAGES)
		reader->damages[reader->damage_count] =
			(struct dmctl_thin_damage) { .block = block, .thin = reader->thin, .what = what, .error = error };
	reader->damage_count++;
}

uint8_t *dmctl_thin_new_block(void)
{
	void *block;

	return posix_memalign(&block, DMCTL_THIN_BLOCK_BYTES, DMCTL_THIN_BLOCK_BYTES) ? NULL : block;
}

void dmctl_thin_free(void *memory)
{
	free(memory);
}

static int read_whole(int fd, uint64_t block, uint8_t *buffer, int *error)
{
	size_t got = 0;
	ssize_t count;

	while (got < DMCTL_THIN_BLOCK_BYTES) {
		count = pread(fd, buffer + got, DMCTL_THIN_BLOCK_BYTES - got,
			      (off_t) (block * DMCTL_THIN_BLOCK_BYTES + got));
		if (count < 0 && errno == EINTR)
			continue;
		if (count <= 0) {
			*error = count ? errno : 0;
			return DMCTL_THIN_UNREADABLE;
		}
		got += count;
	}
	return DMCTL_THIN_SOUND;
}

int dmctl_thin_read_block(struct dmctl_thin_reader *reader, uint64_t block, uint32_t seed, uint8_t *buffer)
{
	int error = 0, what;

	if (__atomic_load_n(&reader->cancel, __ATOMIC_RELAXED))
		return ECANCELED;
	if (block >= reader->blocks)
		what = DMCTL_THIN_OUTSIDE;
	else if (!(what = read_whole(reader->fd, block, buffer, &error))) {
		if (thin_u32(buffer) != dmctl_thin_checksum(buffer, seed))
			what = DMCTL_THIN_CHECKSUM;
		else if (thin_u64(buffer + 8) != block)
			what = DMCTL_THIN_NUMBER;
	}
	__atomic_fetch_add(&reader->blocks_read, 1, __ATOMIC_RELAXED);
	if (!what)
		return 0;
	thin_damaged(reader, block, what, error);
	return EBADMSG;
}

/* Whether the header says what a node of such a tree can say. */
static bool shape(const uint8_t *buffer, uint32_t value_bytes, bool root, struct thin_node *node)
{
	uint32_t flags = thin_u32(buffer + 4), entries = thin_u32(buffer + 16), most = thin_u32(buffer + 20);
	uint32_t bytes = thin_u32(buffer + 24);

	node->leaf = flags == LEAF;
	if (flags != INNER && flags != LEAF)
		return false;
	/* Leaves alone have the tree's values; an inner node's are blocks. */
	if (bytes != (node->leaf ? value_bytes : 8) || most > DMCTL_THIN_MAX_ENTRIES || entries > most || most % 3 ||
	    THIN_NODE_HEADER_BYTES + (size_t) most * (8 + bytes) > DMCTL_THIN_BLOCK_BYTES)
		return false;
	node->entries = entries;
	node->keys = buffer + THIN_NODE_HEADER_BYTES;
	node->values = node->keys + 8 * (size_t) most;
	return entries || (root && node->leaf);
}

/* Ascending, from least on, up to last. */
static bool ordered(const struct thin_node *node, uint64_t least, uint64_t last)
{
	uint64_t before;

	if (!node->entries)
		return true;
	before = thin_key(node, 0);
	if (before < least)
		return false;
	for (uint32_t i = 1; i < node->entries; i++) {
		uint64_t key = thin_key(node, i);

		if (key <= before)
			return false;
		before = key;
	}
	return before <= last;
}

struct level {
	struct thin_walk *walk;
	uint8_t *buffers;
};

static int visit(struct level *level, uint64_t block, int depth, uint64_t least, uint64_t last);

/* A block that is to be read: what is in it, and below. */
static int inside(struct level *level, uint64_t block, int depth, uint64_t least, uint64_t last)
{
	struct thin_walk *walk = level->walk;
	struct thin_node node = { .block = block };
	uint8_t *buffer = level->buffers + (size_t) depth * DMCTL_THIN_BLOCK_BYTES;
	int what = 0, error;

	if ((error = dmctl_thin_read_block(walk->reader, block, DMCTL_THIN_NODE_SEED, buffer)))
		return error == EBADMSG ? 0 : error;
	if (!shape(buffer, walk->value_bytes, !depth, &node))
		what = DMCTL_THIN_SHAPE;
	else if (!ordered(&node, least, last))
		what = DMCTL_THIN_KEYS;
	if (what) {
		thin_damaged(walk->reader, block, what, 0);
		return 0;
	}
	if (node.leaf)
		return walk->leaf(walk, &node);
	for (uint32_t i = 0; i < node.entries && !error; i++) {
		uint64_t end = i + 1 < node.entries ? thin_key(&node, i + 1) - 1 : last;

		if (end >= walk->from_key)
			error = visit(level, thin_value(&node, i), depth + 1, thin_key(&node, i), end);
	}
	return error;
}

static int visit(struct level *level, uint64_t block, int depth, uint64_t least, uint64_t last)
{
	struct thin_walk *walk = level->walk;
	int error;

	if (block >= walk->reader->blocks || depth == THIN_MAX_DEPTH) {
		thin_damaged(walk->reader, block, depth == THIN_MAX_DEPTH ? DMCTL_THIN_DEPTH : DMCTL_THIN_OUTSIDE, 0);
		return 0;
	}
	walk->least = least;
	walk->last = last;
	if (walk->enter && !walk->enter(walk, block))
		return 0;
	error = inside(level, block, depth, least, last);
	if (walk->left)
		walk->left(walk, block);
	return error;
}

int thin_walk(struct thin_walk *walk, uint64_t root)
{
	struct level level = { .walk = walk };
	void *buffers;
	int error;

	if (posix_memalign(&buffers, DMCTL_THIN_BLOCK_BYTES, (size_t) THIN_MAX_DEPTH * DMCTL_THIN_BLOCK_BYTES))
		return ENOMEM;
	level.buffers = buffers;
	error = visit(&level, root, 0, 0, UINT64_MAX);
	free(buffers);
	return error;
}
