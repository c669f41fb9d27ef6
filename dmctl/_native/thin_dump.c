/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Mappings as text, a line a run.
 *
 * Thins that share a tree say the same again and again, so what a leaf that comes a second time says is kept, by block
 * number, in few bytes. */
#include "thin_node.h"

#include <errno.h>
#include <stdlib.h>

enum {
	MAX_LINE_BYTES = 160,
	/* A leaf's lines, and one that was open before it. */
	MAX_LEAF_BYTES = (DMCTL_THIN_MAX_ENTRIES + 1) * MAX_LINE_BYTES,
	MAX_CODED_BYTES = DMCTL_THIN_MAX_ENTRIES * 32,
	CACHE_BYTES = 32 * 1024 * 1024,
	CACHE_LEAVES = 1 << 15,
	CACHE_SLOTS = 2 * CACHE_LEAVES,
};

struct run {
	uint64_t virtual_block, data_block, blocks;
	uint32_t time;
};

/* All of a leaf: a first run, and others that are coded. */
struct leaf {
	uint64_t block;
	struct run first;
	uint64_t last_virtual_block;
	const uint8_t *coded, *coded_end;
};

struct dmctl_thin_text {
	int format;
	struct run open;		/* not written yet: the next leaf may continue it */
	struct leaf *leaves;		/* in the order in which they came */
	uint32_t leaf_count;
	uint32_t *slots;		/* by block, open addressing: a number in leaves, from 1; 0: none */
	uint8_t *seen;			/* a bit a block of metadata */
	uint64_t seen_blocks;
	uint8_t *coded, *coded_end;

	/* of one call */
	char *out;
	size_t room, length;
	bool full;
	uint64_t next;
};

/* Of what is never touched the system gives no memory. */
struct dmctl_thin_text *dmctl_thin_text_open(int format)
{
	struct dmctl_thin_text *text = calloc(1, sizeof(*text));

	if (!text)
		return NULL;
	text->format = format;
	text->leaves = malloc(CACHE_LEAVES * sizeof(*text->leaves));
	text->slots = calloc(CACHE_SLOTS, sizeof(*text->slots));
	text->coded = text->coded_end = malloc(CACHE_BYTES);
	if (text->leaves && text->slots && text->coded)
		return text;
	dmctl_thin_text_close(text);
	return NULL;
}

void dmctl_thin_text_close(struct dmctl_thin_text *text)
{
	free(text->leaves);
	free(text->slots);
	free(text->seen);
	free(text->coded);
	free(text);
}

void dmctl_thin_text_begin(struct dmctl_thin_text *text)
{
	text->open.blocks = 0;
}

/* ---- lines ---- */

#define PUT(at, words) ((char *) memcpy(at, words, sizeof(words) - 1) + sizeof(words) - 1)

static char *put_number(char *at, uint64_t number)
{
	static const char pairs[] =
		"0001020304050607080910111213141516171819202122232425262728293031323334353637383940414243444546474849"
		"5051525354555657585960616263646566676869707172737475767778798081828384858687888990919293949596979899";
	unsigned digits = 1;
	char *end;

	for (uint64_t more = number; more >= 10; more /= 10)
		digits++;
	end = at += digits;
	for (; number >= 100; number /= 100)
		memcpy(end -= 2, pairs + number % 100 * 2, 2);
	if (number >= 10)
		memcpy(end - 2, pairs + number * 2, 2);
	else
		end[-1] = '0' + number;
	return at;
}

static char *xml(char *at, const struct run *run)
{
	if (run->blocks == 1) {
		at = put_number(PUT(at, "    <single_mapping origin_block=\""), run->virtual_block);
		at = put_number(PUT(at, "\" data_block=\""), run->data_block);
	} else {
		at = put_number(PUT(at, "    <range_mapping origin_begin=\""), run->virtual_block);
		at = put_number(PUT(at, "\" data_begin=\""), run->data_block);
		at = put_number(PUT(at, "\" length=\""), run->blocks);
	}
	at = put_number(PUT(at, "\" time=\""), run->time);
	return PUT(at, "\"/>\n");
}

static char *human(char *at, const struct run *run)
{
	if (run->blocks == 1) {
		at = put_number(PUT(at, "    "), run->virtual_block);
		at = put_number(PUT(at, " -> "), run->data_block);
		at = PUT(at, ", ");
	} else {
		at = put_number(PUT(at, "    ("), run->virtual_block);
		at = put_number(PUT(at, ".."), run->virtual_block + run->blocks - 1);
		at = put_number(PUT(at, ") -> ("), run->data_block);
		at = put_number(PUT(at, ".."), run->data_block + run->blocks - 1);
		at = PUT(at, "), ");
	}
	at = put_number(at, run->time);
	return PUT(at, "\n");
}

/* With the comma that parts it from the one before. */
static char *json(char *at, const struct run *run)
{
	at = put_number(PUT(at, ",\n        {\"origin_begin\": "), run->virtual_block);
	at = put_number(PUT(at, ", \"data_begin\": "), run->data_block);
	at = put_number(PUT(at, ", \"length\": "), run->blocks);
	at = put_number(PUT(at, ", \"time\": "), run->time);
	return PUT(at, "}");
}

static char *line(int format, char *at, const struct run *run)
{
	return format == DMCTL_THIN_XML ? xml(at, run) : format == DMCTL_THIN_HUMAN ? human(at, run) : json(at, run);
}

/* ---- leaves ---- */

/* Where the number of the leaf is, or would be. */
static uint32_t *slot(struct dmctl_thin_text *text, uint64_t block)
{
	size_t at = block * 0x9e3779b97f4a7c15 >> 40;

	while (text->slots[at %= CACHE_SLOTS] && text->leaves[text->slots[at] - 1].block != block)
		at++;
	return &text->slots[at];
}

static bool continues(const struct run *run, const struct run *next)
{
	return run->blocks && next->virtual_block == run->virtual_block + run->blocks &&
	       next->data_block == run->data_block + run->blocks && next->time == run->time;
}

static void write_run(struct dmctl_thin_text *text, const struct run *run)
{
	text->length = line(text->format, text->out + text->length, run) - text->out;
}

static void write_open(struct dmctl_thin_text *text)
{
	if (text->open.blocks)
		write_run(text, &text->open);
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

/* Seven bits a byte, the lowest first. */
static uint8_t *put_coded(uint8_t *at, uint64_t number)
{
	for (; number >= 128; number >>= 7)
		*at++ = number | 128;
	*at++ = number;
	return at;
}

static uint64_t get_coded(const uint8_t **at)
{
	uint64_t number = 0;
	unsigned shift = 0;

	for (; **at & 128; shift += 7)
		number |= (uint64_t) (*(*at)++ & 127) << shift;
	return number | (uint64_t) *(*at)++ << shift;
}

/* Small in both directions: 0, -1, 1, -2 … */
static uint64_t folded(int64_t number)
{
	return (uint64_t) number << 1 ^ number >> 63;
}

static int64_t unfolded(uint64_t number)
{
	return number >> 1 ^ -(number & 1);
}

/* By what differs from where the run before it ends. */
static uint8_t *encode(uint8_t *at, const struct run *before, const struct run *run)
{
	at = put_coded(at, run->virtual_block - before->virtual_block - before->blocks);
	at = put_coded(at, folded(run->data_block - before->data_block - before->blocks));
	at = put_coded(at, run->blocks);
	return put_coded(at, folded((int64_t) run->time - before->time));
}

static void decode(const uint8_t **at, struct run *run)
{
	run->virtual_block += run->blocks + get_coded(at);
	run->data_block += run->blocks + unfolded(get_coded(at));
	run->blocks = get_coded(at);
	run->time += unfolded(get_coded(at));
}

static void append_leaf(struct dmctl_thin_text *text, const struct leaf *leaf)
{
	const uint8_t *at = leaf->coded;

	append(text, &leaf->first);
	if (leaf->coded == leaf->coded_end)
		return;
	write_open(text);
	text->open = leaf->first;
	decode(&at, &text->open);
	/* The last one stays open. */
	while (at < leaf->coded_end) {
		write_run(text, &text->open);
		decode(&at, &text->open);
	}
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
	memset(text->slots, 0, CACHE_SLOTS * sizeof(*text->slots));
	text->leaf_count = 0;
	text->coded_end = text->coded;
}

static struct run mapping_of(const struct thin_node *node, uint32_t entry)
{
	uint64_t mapping = thin_value(node, entry);

	return (struct run) { thin_key(node, entry), thin_data_block(mapping), 1, thin_time(mapping) };
}

static const struct leaf *keep(struct dmctl_thin_text *text, const struct thin_node *node)
{
	struct run before = { 0 }, run = mapping_of(node, 0);
	struct leaf *leaf;

	if (text->leaf_count == CACHE_LEAVES || text->coded + CACHE_BYTES - text->coded_end < MAX_CODED_BYTES)
		forget_all(text);
	leaf = &text->leaves[text->leaf_count];
	*leaf = (struct leaf) { .block = node->block, .coded = text->coded_end,
				.last_virtual_block = thin_key(node, node->entries - 1) };
	for (uint32_t i = 1; i <= node->entries; i++) {
		struct run next = i < node->entries ? mapping_of(node, i) : (struct run) { 0 };

		if (next.blocks && continues(&run, &next)) {
			run.blocks++;
			continue;
		}
		if (before.blocks)
			text->coded_end = encode(text->coded_end, &before, &run);
		else
			leaf->first = run;
		before = run;
		run = next;
	}
	leaf->coded_end = text->coded_end;
	*slot(text, node->block) = ++text->leaf_count;
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
	uint32_t number = *slot(text, block);
	const struct leaf *leaf;

	if (text->full)
		return false;
	if (!number)
		return true;
	leaf = &text->leaves[number - 1];
	/* Where it does not belong, the walk says so. */
	if (leaf->first.virtual_block < walk->least || leaf->last_virtual_block > walk->last)
		return true;
	if (room(text, leaf->first.virtual_block))
		append_leaf(text, leaf);
	return false;
}

static int text_leaf(struct thin_walk *walk, const struct thin_node *node)
{
	struct dmctl_thin_text *text = walk->context;

	if (!node->entries || !room(text, thin_key(node, 0)))
		return 0;
	if (seen(text, node->block, walk->reader->blocks)) {
		append_leaf(text, keep(text, node));
		return 0;
	}
	for (uint32_t i = 0; i < node->entries; i++) {
		struct run run = mapping_of(node, i);

		append(text, &run);
	}
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
