/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is asked of whole trees: entries, references, runs of mappings. */
#include "thin_node.h"

#include <errno.h>

/* ---- entries ---- */

struct listing {
	uint64_t *keys;
	uint8_t *values;
	size_t room, found;
	uint64_t next;
};

static int list_leaf(struct thin_walk *walk, const struct thin_node *node)
{
	struct listing *listing = walk->context;

	if (!node->entries)
		return 0;
	if (node->entries > listing->room - listing->found) {
		listing->next = thin_key(node, 0);
		return ENOSPC;
	}
	for (uint32_t i = 0; i < node->entries; i++)
		listing->keys[listing->found + i] = thin_key(node, i);
	memcpy(listing->values + listing->found * walk->value_bytes, node->values,
	       (size_t) node->entries * walk->value_bytes);
	listing->found += node->entries;
	return 0;
}

int dmctl_thin_list(struct dmctl_thin_reader *reader, uint64_t root, uint32_t value_bytes, uint64_t *next, int *more,
		    uint64_t *keys, uint8_t *values, size_t room, size_t *found)
{
	struct listing listing = { .keys = keys, .values = values, .room = room };
	struct thin_walk walk = { .reader = reader, .value_bytes = value_bytes, .from_key = *next, .context = &listing,
				  .leaf = list_leaf };
	int error = thin_walk(&walk, root);

	*more = error == ENOSPC;
	*next = listing.next;
	*found = listing.found;
	return error == ENOSPC ? 0 : error;
}

/* ---- references ---- */

/* What is below a node is remembered as one more than it is: 0 is what was not walked yet. */
struct mapped {
	uint64_t *remembered, count;
	uint64_t entered[THIN_MAX_DEPTH];	/* the count when each open node was entered */
	int depth;
};

/* Whether the node has to be walked for it. */
static bool mapped_enter(struct mapped *mapped, uint64_t block)
{
	if (mapped->remembered[block]) {
		mapped->count += mapped->remembered[block] - 1;
		return false;
	}
	mapped->entered[mapped->depth++] = mapped->count;
	return true;
}

static void mapped_left(struct mapped *mapped, uint64_t block)
{
	mapped->remembered[block] = mapped->count - mapped->entered[--mapped->depth] + 1;
}

struct counting {
	struct dmctl_thin_counts *metadata, *data;
	struct mapped mapped;			/* of the thin that is being walked */
};

static bool count_enter(struct thin_walk *walk, uint64_t block)
{
	struct counting *counting = walk->context;

	return !dmctl_thin_counts_add(counting->metadata, block);
}

static bool count_enter_thin(struct thin_walk *walk, uint64_t block)
{
	struct counting *counting = walk->context;
	bool first = !dmctl_thin_counts_add(counting->metadata, block);

	/* A node that is there twice and not remembered is one that is its own descendant. */
	if (counting->mapped.remembered && (first || counting->mapped.remembered[block]))
		mapped_enter(&counting->mapped, block);
	return first;
}

static void count_left_thin(struct thin_walk *walk, uint64_t block)
{
	struct counting *counting = walk->context;

	if (counting->mapped.remembered)
		mapped_left(&counting->mapped, block);
}

static int count_leaf(struct thin_walk *walk, const struct thin_node *node)
{
	struct counting *counting = walk->context;
	uint64_t data_blocks = dmctl_thin_counts_blocks(counting->data);
	bool beyond = false;

	for (uint32_t i = 0; i < node->entries; i++) {
		uint64_t block = thin_data_block(thin_value(node, i));

		if (block < data_blocks)
			dmctl_thin_counts_add(counting->data, block);
		else
			beyond = true;
	}
	if (beyond)
		thin_damaged(walk->reader, node->block, DMCTL_THIN_VALUE, 0);
	counting->mapped.count += node->entries;
	return 0;
}

static int no_leaf(struct thin_walk *walk, const struct thin_node *node)
{
	return 0;
}

int dmctl_thin_count_nodes(struct dmctl_thin_reader *reader, uint64_t root, uint32_t value_bytes,
			   struct dmctl_thin_counts *metadata)
{
	struct counting counting = { .metadata = metadata };
	struct thin_walk walk = { .reader = reader, .value_bytes = value_bytes, .context = &counting,
				  .enter = count_enter, .leaf = no_leaf };
	int error = thin_walk(&walk, root);

	return error ? error : dmctl_thin_counts_error(metadata);
}

static int count_thins(struct thin_walk *walk, const struct thin_node *node)
{
	struct thin_walk below = { .reader = walk->reader, .value_bytes = 8, .context = walk->context,
				   .enter = count_enter_thin, .leaf = count_leaf, .left = count_left_thin };
	int error = 0;

	for (uint32_t i = 0; i < node->entries && !error; i++) {
		walk->reader->thin = thin_key(node, i);
		error = thin_walk(&below, thin_value(node, i));
	}
	walk->reader->thin = -1;
	return error;
}

int dmctl_thin_count(struct dmctl_thin_reader *reader, uint64_t root, struct dmctl_thin_counts *metadata,
		     struct dmctl_thin_counts *data, uint64_t *remembered)
{
	struct counting counting = { .metadata = metadata, .data = data, .mapped.remembered = remembered };
	struct thin_walk walk = { .reader = reader, .value_bytes = 8, .context = &counting, .enter = count_enter,
				  .leaf = count_thins };
	int error = thin_walk(&walk, root);

	if (!error)
		error = dmctl_thin_counts_error(metadata);
	return error ? error : dmctl_thin_counts_error(data);
}

struct exclusive {
	const struct dmctl_thin_counts *metadata, *data;
	uint64_t count;
};

/* Below a node that two point to, nothing is one thin's alone. */
static bool exclusive_enter(struct thin_walk *walk, uint64_t block)
{
	struct exclusive *exclusive = walk->context;

	return dmctl_thin_counts_get(exclusive->metadata, block) == 1;
}

static int exclusive_leaf(struct thin_walk *walk, const struct thin_node *node)
{
	struct exclusive *exclusive = walk->context;
	uint64_t data_blocks = dmctl_thin_counts_blocks(exclusive->data);

	for (uint32_t i = 0; i < node->entries; i++) {
		uint64_t block = thin_data_block(thin_value(node, i));

		exclusive->count += block < data_blocks && dmctl_thin_counts_get(exclusive->data, block) == 1;
	}
	return 0;
}

int dmctl_thin_exclusive(struct dmctl_thin_reader *reader, const uint64_t *roots, size_t thins,
			 const struct dmctl_thin_counts *metadata, const struct dmctl_thin_counts *data,
			 uint64_t *exclusive)
{
	int error = 0;

	for (size_t i = 0; i < thins && !error; i++) {
		struct exclusive context = { .metadata = metadata, .data = data };
		struct thin_walk walk = { .reader = reader, .value_bytes = 8, .context = &context,
					  .enter = exclusive_enter, .leaf = exclusive_leaf };

		error = thin_walk(&walk, roots[i]);
		exclusive[i] = context.count;
	}
	return error;
}

static bool only_mapped_enter(struct thin_walk *walk, uint64_t block)
{
	return mapped_enter(walk->context, block);
}

static void only_mapped_left(struct thin_walk *walk, uint64_t block)
{
	mapped_left(walk->context, block);
}

static int only_mapped_leaf(struct thin_walk *walk, const struct thin_node *node)
{
	struct mapped *mapped = walk->context;

	mapped->count += node->entries;
	return 0;
}

int dmctl_thin_mapped(struct dmctl_thin_reader *reader, const uint64_t *roots, size_t thins, uint64_t *remembered,
		      uint64_t *mapped)
{
	int error = 0;

	for (size_t i = 0; i < thins && !error; i++) {
		struct mapped context = { .remembered = remembered };
		struct thin_walk walk = { .reader = reader, .value_bytes = 8, .context = &context,
					  .enter = only_mapped_enter, .leaf = only_mapped_leaf,
					  .left = only_mapped_left };

		error = thin_walk(&walk, roots[i]);
		mapped[i] = context.count;
	}
	return error;
}

/* ---- runs ---- */

struct runs {
	uint64_t data_from, data_to;
	uint64_t *out;
	size_t room, found;
	uint64_t next;
};

static int runs_leaf(struct thin_walk *walk, const struct thin_node *node)
{
	struct runs *runs = walk->context;

	for (uint32_t i = 0; i < node->entries; i++) {
		uint64_t key = thin_key(node, i), mapping = thin_value(node, i), data = thin_data_block(mapping);
		uint64_t *run = runs->out + DMCTL_THIN_RUN_NUMBERS * runs->found;

		if (key < walk->from_key || data < runs->data_from || data >= runs->data_to)
			continue;
		if (runs->found) {
			uint64_t *last = run - DMCTL_THIN_RUN_NUMBERS;

			if (key == last[0] + last[2] && data == last[1] + last[2] && thin_time(mapping) == last[3]) {
				last[2]++;
				continue;
			}
		}
		if (runs->found == runs->room) {
			runs->next = key;
			return ENOSPC;
		}
		run[0] = key;
		run[1] = data;
		run[2] = 1;
		run[3] = thin_time(mapping);
		runs->found++;
	}
	return 0;
}

int dmctl_thin_runs(struct dmctl_thin_reader *reader, uint64_t root, uint64_t data_from, uint64_t data_to,
		    uint64_t *next, int *more, uint64_t *runs, size_t room, size_t *found)
{
	struct runs context = { .data_from = data_from, .data_to = data_to, .out = runs, .room = room };
	struct thin_walk walk = { .reader = reader, .value_bytes = 8, .from_key = *next, .context = &context,
				  .leaf = runs_leaf };
	int error = thin_walk(&walk, root);

	*more = error == ENOSPC;
	*next = context.next;
	*found = context.found;
	return error == ENOSPC ? 0 : error;
}
