/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Mappings as text, a line a run.
 *
 * Thins that share a tree say the same again and again, so the text of a leaf that comes a second time is kept, by block
 * number. A run may go on in the next leaf: the first and the last one of a leaf are kept as numbers. */
#include "thin_node.h"

#include <errno.h>
#include <stdlib.h>

enum {
	MAX_LINE_BYTES = 160,
	/* A leaf's lines, and one that was open before it. */
	MAX_LEAF_BYTES = (DMCTL_THIN_MAX_ENTRIES + 1) * MAX_LINE_BYTES,
	CACHE_BYTES = 32 * 1024 * 1024,
	CACHE_LEAVES = 1 << 15,
	CACHE_SLOTS = 2 * CACHE_LEAVES,
};

struct run {
	uint64_t virtual_block, data_block, blocks;
	uint32_t time;
};

/* All of a leaf: one run; or a first one, lines, and a last one. */
struct leaf {
	uint64_t block;
	bool used, several;
	struct run first, last;
	size_t text, bytes;
};

struct dmctl_thin_text {
	int format;
	struct run open;		/* not written yet: the next leaf may continue it */
	struct leaf passing;		/* one that is not kept */
	struct leaf *leaves;		/* by block, open addressing */
	size_t leaf_count;
	uint8_t *seen;			/* a bit a block of metadata */
	uint64_t seen_blocks;
	char *kept;
	size_t kept_bytes;

	/* of one call */
	char *out;
	size_t room, length;
	bool full;
	uint64_t next;
};

struct dmctl_thin_text *dmctl_thin_text_open(int format)
{
	struct dmctl_thin_text *text = calloc(1, sizeof(*text));

	if (!text)
		return NULL;
	text->format = format;
	text->leaves = calloc(CACHE_SLOTS, sizeof(*text->leaves));
	text->kept = malloc(CACHE_BYTES);
	if (text->leaves && text->kept)
		return text;
	dmctl_thin_text_close(text);
	return NULL;
}

void dmctl_thin_text_close(struct dmctl_thin_text *text)
{
	free(text->leaves);
	free(text->seen);
	free(text->kept);
	free(text);
}

void dmctl_thin_text_begin(struct dmctl_thin_text *text)
{
	text->open.blocks = 0;
}

/* ---- lines ---- */

static char *put(char *at, const char *words)
{
	size_t length = strlen(words);

	memcpy(at, words, length);
	return at + length;
}

static char *put_number(char *at, uint64_t number)
{
	char digits[20];
	int count = 0;

	do
		digits[count++] = '0' + number % 10;
	while (number /= 10);
	while (count)
		*at++ = digits[--count];
	return at;
}

static char *xml(char *at, const struct run *run)
{
	bool one = run->blocks == 1;

	at = put(at, one ? "    <single_mapping origin_block=\"" : "    <range_mapping origin_begin=\"");
	at = put_number(at, run->virtual_block);
	at = put(at, one ? "\" data_block=\"" : "\" data_begin=\"");
	at = put_number(at, run->data_block);
	if (!one)
		at = put_number(put(at, "\" length=\""), run->blocks);
	at = put_number(put(at, "\" time=\""), run->time);
	return put(at, "\"/>\n");
}

static char *human(char *at, const struct run *run)
{
	bool one = run->blocks == 1;

	at = put_number(put(at, one ? "    " : "    ("), run->virtual_block);
	if (!one)
		at = put_number(put(at, ".."), run->virtual_block + run->blocks - 1);
	at = put_number(put(at, one ? " -> " : ") -> ("), run->data_block);
	if (!one)
		at = put_number(put(at, ".."), run->data_block + run->blocks - 1);
	at = put_number(put(at, one ? ", " : "), "), run->time);
	return put(at, "\n");
}

/* With the comma that parts it from the one before. */
static char *json(char *at, const struct run *run)
{
	at = put_number(put(at, ",\n        {\"origin_begin\": "), run->virtual_block);
	at = put_number(put(at, ", \"data_begin\": "), run->data_block);
	at = put_number(put(at, ", \"length\": "), run->blocks);
	at = put_number(put(at, ", \"time\": "), run->time);
	return put(at, "}");
}

static char *line(int format, char *at, const struct run *run)
{
	return format == DMCTL_THIN_XML ? xml(at, run) : format == DMCTL_THIN_HUMAN ? human(at, run) : json(at, run);
}

/* ---- leaves ---- */

/* Where the leaf is, or would be. */
static struct leaf *slot(struct dmctl_thin_text *text, uint64_t block)
{
	size_t at = block * 0x9e3779b97f4a7c15 >> 40;

	while (text->leaves[at %= CACHE_SLOTS].used && text->leaves[at].block != block)
		at++;
	return &text->leaves[at];
}

static bool continues(const struct run *run, const struct run *next)
{
	return run->blocks && next->virtual_block == run->virtual_block + run->blocks &&
	       next->data_block == run->data_block + run->blocks && next->time == run->time;
}

static void write_open(struct dmctl_thin_text *text)
{
	if (text->open.blocks)
		text->length = line(text->format, text->out + text->length, &text->open) - text->out;
}

static void append(struct dmctl_thin_text *text, const struct run *run)
{
	if (continues(&text->open, run)) {
		text->open.blocks += run->blocks;
		return;
	}
	write_open(text);
	text->open = *run;
}

static void append_leaf(struct dmctl_thin_text *text, const struct leaf *leaf)
{
	append(text, &leaf->first);
	if (!leaf->several)
		return;
	write_open(text);
	memcpy(text->out + text->length, text->kept + leaf->text, leaf->bytes);
	text->length += leaf->bytes;
	text->open = leaf->last;
}

/* Whether it was seen before. Without memory for that, it counts as new. */
static bool seen(struct dmctl_thin_text *text, uint64_t block, uint64_t blocks)
{
	uint8_t bit = 1 << block % 8;
	bool before;

	if (!text->seen) {
		text->seen = calloc(1, blocks / 8 + 1);
		text->seen_blocks = blocks;
	}
	if (!text->seen || block >= text->seen_blocks)
		return false;
	before = text->seen[block / 8] & bit;
	text->seen[block / 8] |= bit;
	return before;
}

static void forget_all(struct dmctl_thin_text *text)
{
	memset(text->leaves, 0, CACHE_SLOTS * sizeof(*text->leaves));
	text->leaf_count = text->kept_bytes = 0;
}

/* For the next time too, or only until the next leaf. */
static const struct leaf *make(struct dmctl_thin_text *text, const struct thin_node *node, bool keep)
{
	struct run run = { 0 }, next;
	struct leaf *leaf = &text->passing;
	char *at;

	if (text->leaf_count == CACHE_LEAVES || CACHE_BYTES - text->kept_bytes < MAX_LEAF_BYTES)
		forget_all(text);
	if (keep) {
		text->leaf_count++;
		leaf = slot(text, node->block);
	}
	*leaf = (struct leaf) { .block = node->block, .used = true, .text = text->kept_bytes };
	at = text->kept + text->kept_bytes;
	for (uint32_t i = 0; i < node->entries; i++) {
		uint64_t mapping = thin_value(node, i);

		next = (struct run) { thin_key(node, i), thin_data_block(mapping), 1, thin_time(mapping) };
		if (continues(&run, &next)) {
			run.blocks++;
			continue;
		}
		if (leaf->several)
			at = line(text->format, at, &run);
		else if (run.blocks) {
			leaf->first = run;
			leaf->several = true;
		}
		run = next;
	}
	*(leaf->several ? &leaf->last : &leaf->first) = run;
	leaf->bytes = at - (text->kept + text->kept_bytes);
	if (keep)
		text->kept_bytes += leaf->bytes;
	return leaf;
}

static bool room(struct dmctl_thin_text *text, uint64_t first_key)
{
	if (text->room - text->length >= MAX_LEAF_BYTES)
		return true;
	text->full = true;
	text->next = first_key;
	return false;
}

static bool text_enter(struct thin_walk *walk, uint64_t block)
{
	struct dmctl_thin_text *text = walk->context;
	const struct leaf *leaf = slot(text, block);
	const struct run *last = leaf->several ? &leaf->last : &leaf->first;

	if (text->full)
		return false;
	if (!leaf->used)
		return true;
	/* Where it does not belong, the walk says so. */
	if (leaf->first.virtual_block < walk->least || last->virtual_block + last->blocks - 1 > walk->last)
		return true;
	if (room(text, leaf->first.virtual_block))
		append_leaf(text, leaf);
	return false;
}

static int text_leaf(struct thin_walk *walk, const struct thin_node *node)
{
	struct dmctl_thin_text *text = walk->context;

	if (node->entries && room(text, thin_key(node, 0)))
		append_leaf(text, make(text, node, seen(text, node->block, walk->reader->blocks)));
	return 0;
}

int dmctl_thin_text(struct dmctl_thin_reader *reader, struct dmctl_thin_text *text, uint64_t root, uint64_t *next,
		    int *more, char *buffer, size_t bytes, size_t *length)
{
	struct thin_walk walk = { .reader = reader, .value_bytes = 8, .from_key = *next, .context = text,
				  .enter = text_enter, .leaf = text_leaf };
	int error;

	text->out = buffer;
	text->room = bytes - MAX_LINE_BYTES;
	text->length = 0;
	text->full = false;
	error = thin_walk(&walk, root);
	if (!error && !text->full) {
		write_open(text);
		text->open.blocks = 0;
	}
	*more = !error && text->full;
	*next = text->next;
	*length = text->length;
	return error;
}
