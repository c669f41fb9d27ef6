/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Our own kernels: which there are, that they are right, and how a salted block becomes whole message blocks. */
#include "hash_core.h"
#include "hash_sha2.h"

#include <endian.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#ifdef __x86_64__
/* Instructions for one stream, which OpenSSL has too, beat eight streams in AVX2. */
static const struct hash_path table[] = {
	{ "avx512", HASH_SHA256, 16, 6, hash_has_avx512, NULL, hash_sha256_avx512 },
	{ "shani", HASH_SHA256, 2, 1, hash_has_shani, NULL, hash_sha256_shani },
	{ "avx2", HASH_SHA256, 8, 2, hash_has_avx2, hash_has_shani, hash_sha256_avx2 },
	{ "avx512", HASH_SHA512, 8, 2, hash_has_avx512, NULL, hash_sha512_avx512 },
	{ "avx2", HASH_SHA512, 4, 2, hash_has_avx2, NULL, hash_sha512_avx2 },
};
#else
static const struct hash_path table[] = { { "" } };
#endif
enum { PATHS = sizeof(table) / sizeof(*table) };

/* A salt of a whole message block and a part of one makes use of all that there is below. Speed is measured with the
 * usual block. */
enum { CHECK_BLOCK = 512, CHECK_SALT = 165, BLOCK = 4096, TRIES = 4 };

static uint64_t nanoseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * UINT64_C(1000000000) + now.tv_nsec;
}

static bool check(const struct hash_path *path, struct hash_worker *worker, struct dmctl_hash *hash, uint8_t *data)
{
	const uint8_t *blocks[HASH_MAX_LANES];
	uint8_t digests[HASH_MAX_LANES][DMCTL_HASH_MAX_DIGEST], expected[DMCTL_HASH_MAX_DIGEST];
	uint8_t *out[HASH_MAX_LANES];

	for (int i = 0; i < HASH_MAX_LANES * CHECK_BLOCK; i++)
		data[i] = (uint32_t) i * 2654435761u >> 24;
	for (int i = 0; i < HASH_MAX_LANES; i++) {
		blocks[i] = data + i * CHECK_BLOCK;
		out[i] = digests[i];
	}
	hash_lanes(hash, path, blocks, CHECK_BLOCK, out, HASH_MAX_LANES);
	for (int i = 0; i < HASH_MAX_LANES; i++)
		if (hash_evp(hash, worker, blocks[i], CHECK_BLOCK, expected) ||
		    memcmp(expected, digests[i], hash->algorithm->digest_bytes))
			return false;
	return true;
}

/* How long the path takes for as many blocks as it has lanes at the most, in nanoseconds: the best of some tries. */
static uint64_t cost(const struct hash_path *path, struct dmctl_hash *hash, const uint8_t *data)
{
	const uint8_t *blocks[HASH_MAX_LANES];
	uint8_t digests[HASH_MAX_LANES][DMCTL_HASH_MAX_DIGEST], *out[HASH_MAX_LANES];
	uint64_t best = UINT64_MAX;

	for (int i = 0; i < HASH_MAX_LANES; i++) {
		blocks[i] = data + i * BLOCK;
		out[i] = digests[i];
	}
	for (int i = 0; i < TRIES; i++) {
		uint64_t begin = nanoseconds(), took;

		hash_lanes(hash, path, blocks, BLOCK, out, HASH_MAX_LANES);
		took = nanoseconds() - begin;
		if (took < best)
			best = took;
	}
	return best;
}

struct ranking {
	pthread_once_t once;
	int count;
	const struct hash_path *paths[PATHS];
	uint64_t costs[PATHS];
};
static struct ranking sha256_ranking = { PTHREAD_ONCE_INIT }, sha512_ranking = { PTHREAD_ONCE_INIT };

/* Those that compute what OpenSSL computes: a processor or compiler that we could not try must not cost anybody's data.
 * In the order of their speed, which depends on the processor's model: one takes 512 bits at once, another in halves. */
static void rank(struct ranking *ranking, enum hash_family family)
{
	uint8_t salt[CHECK_SALT] = "dm-verity", *data = calloc(HASH_MAX_LANES, BLOCK);
	struct dmctl_hash *hash = dmctl_hash_new(family == HASH_SHA256 ? "sha256" : "sha512", "evp", salt, sizeof(salt), 1);
	struct hash_worker worker;

	if (hash && data && !hash_worker_open(hash, &worker)) {
		for (const struct hash_path *path = table; path < table + PATHS; path++) {
			int at = ranking->count;
			uint64_t took;

			if (path->family != family || !path->supported())
				continue;
			hash_set_midstate(hash, path);
			if (!check(path, &worker, hash, data))
				continue;
			took = cost(path, hash, data);
			for (; at && ranking->costs[at - 1] > took; at--) {
				ranking->costs[at] = ranking->costs[at - 1];
				ranking->paths[at] = ranking->paths[at - 1];
			}
			ranking->costs[at] = took;
			ranking->paths[at] = path;
			ranking->count++;
		}
		hash_worker_close(&worker);
	}
	free(data);
	dmctl_hash_free(hash);
}

static void rank_sha256(void)
{
	rank(&sha256_ranking, HASH_SHA256);
}

static void rank_sha512(void)
{
	rank(&sha512_ranking, HASH_SHA512);
}

const struct hash_path *hash_next_path(enum hash_family family, const struct hash_path *after, bool slow)
{
	struct ranking *ranking = family == HASH_SHA256 ? &sha256_ranking : &sha512_ranking;
	bool passed = !after;

	if (family == HASH_OTHER)
		return NULL;
	pthread_once(&ranking->once, family == HASH_SHA256 ? rank_sha256 : rank_sha512);
	for (int i = 0; i < ranking->count; i++) {
		const struct hash_path *path = ranking->paths[i];

		if (passed && slow == (path->slow && path->slow()))
			return path;
		passed = passed || path == after;
	}
	return NULL;
}

/* ---- message blocks ---- */

static size_t message_block_bytes(const struct dmctl_hash *hash)
{
	return hash->algorithm->family == HASH_SHA256 ? 64 : 128;
}

/* Vectors are loaded from it. */
struct state {
	_Alignas(64) union {
		uint32_t words32[8 * HASH_MAX_LANES];
		uint64_t words64[8 * HASH_MAX_LANES];
	};
};

static void begin(const struct dmctl_hash *hash, int lanes, const uint64_t *words, struct state *state)
{
	bool small = hash->algorithm->family == HASH_SHA256;

	for (int word = 0; word < 8; word++)
		for (int lane = 0; lane < lanes; lane++)
			if (small)
				state->words32[word * lanes + lane] = words[word];
			else
				state->words64[word * lanes + lane] = words[word];
}

static void store(const struct dmctl_hash *hash, int lanes, const struct state *state, int lane, uint8_t *digest)
{
	bool small = hash->algorithm->family == HASH_SHA256;
	int word_bytes = small ? 4 : 8;

	for (int word = 0; word < hash->algorithm->digest_bytes / word_bytes; word++) {
		if (small) {
			uint32_t big_endian = htobe32(state->words32[word * lanes + lane]);
			memcpy(digest + word * word_bytes, &big_endian, word_bytes);
		} else {
			uint64_t big_endian = htobe64(state->words64[word * lanes + lane]);
			memcpy(digest + word * word_bytes, &big_endian, word_bytes);
		}
	}
}

void hash_set_midstate(struct dmctl_hash *hash, const struct hash_path *path)
{
	size_t message_blocks = hash->salt_last ? 0 : hash->salt_bytes / message_block_bytes(hash);
	const uint8_t *salts[HASH_MAX_LANES];
	struct state state;

	for (int lane = 0; lane < path->lanes; lane++)
		salts[lane] = hash->salt;
	begin(hash, path->lanes, hash->algorithm->initial, &state);
	path->compress(&state, salts, message_blocks);
	for (int word = 0; word < 8; word++)
		hash->midstate[word] = hash->algorithm->family == HASH_SHA256 ? state.words32[word * path->lanes]
									      : state.words64[word * path->lanes];
}

/* The longest: a salt that comes last, and its padding. */
enum { MAX_TAIL = DMCTL_HASH_MAX_SALT + 2 * 128 };

/* The 0x80, zeros, and the length of the message in bits; how many message blocks the tail has then. */
static size_t pad(const struct dmctl_hash *hash, uint8_t *tail, size_t used, uint32_t block_bytes)
{
	size_t unit = message_block_bytes(hash), end = (used + 1 + unit / 8 + unit - 1) / unit * unit;
	uint64_t big_endian = htobe64((uint64_t) (hash->salt_bytes + block_bytes) * 8);

	tail[used] = 0x80;
	memset(tail + used + 1, 0, end - used - 1);
	memcpy(tail + end - sizeof(big_endian), &big_endian, sizeof(big_endian));
	return end / unit;
}

/* One digest a lane. Of the block only what shares a message block with salt or padding is copied. */
static void hash_full(const struct dmctl_hash *hash, const struct hash_path *path, const uint8_t *const *blocks,
		      uint32_t block_bytes, struct state *state)
{
	uint8_t staged[HASH_MAX_LANES][MAX_TAIL];
	const uint8_t *stages[HASH_MAX_LANES], *middles[HASH_MAX_LANES];
	size_t unit = message_block_bytes(hash), rest = hash->salt_last ? 0 : hash->salt_bytes % unit;
	size_t head = rest ? unit - rest : 0, tail_blocks = 0;
	const uint8_t *last = hash->salt_last ? hash->salt : NULL;
	size_t last_bytes = hash->salt_last ? hash->salt_bytes : rest;

	begin(hash, path->lanes, hash->midstate, state);
	for (int lane = 0; lane < path->lanes; lane++) {
		stages[lane] = staged[lane];
		middles[lane] = blocks[lane] + head;
		if (rest) {
			memcpy(staged[lane], hash->salt + hash->salt_bytes - rest, rest);
			memcpy(staged[lane] + rest, blocks[lane], head);
		}
	}
	if (rest)
		path->compress(state, stages, 1);
	path->compress(state, middles, (block_bytes - head) / unit);
	for (int lane = 0; lane < path->lanes; lane++) {
		memcpy(staged[lane], last ? last : blocks[lane] + block_bytes - rest, last_bytes);
		tail_blocks = pad(hash, staged[lane], last_bytes, block_bytes);
	}
	path->compress(state, stages, tail_blocks);
}

void hash_lanes(const struct dmctl_hash *hash, const struct hash_path *path, const uint8_t *const *blocks,
		uint32_t block_bytes, uint8_t *const *digests, size_t count)
{
	struct state state;

	for (size_t lanes = path->lanes, used; count; count -= used, blocks += used, digests += used) {
		const uint8_t *some[HASH_MAX_LANES];

		used = count < lanes ? count : lanes;
		for (size_t lane = 0; lane < lanes; lane++) /* lanes that are left over do the last one again */
			some[lane] = blocks[lane < used ? lane : used - 1];
		hash_full(hash, path, some, block_bytes, &state);
		for (size_t lane = 0; lane < used; lane++)
			store(hash, path->lanes, &state, lane, digests[lane]);
	}
}
