/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of the hashing core share. */
#ifndef DMCTL_HASH_CORE_H
#define DMCTL_HASH_CORE_H

#include "hash.h"

#include <openssl/evp.h>
#include <stdbool.h>

/* SHA-2 comes in two word sizes; their shorter digests differ in the initial state alone. */
enum hash_family { HASH_OTHER, HASH_SHA256, HASH_SHA512 };

struct hash_algorithm {
	const char *name;	/* as the kernel spells it */
	const char *openssl;
	int digest_bytes;
	enum hash_family family;
	const uint64_t *initial;	/* eight words; of a family only */
};

/* A way to compute a family: the compression function over several streams at once. */
struct hash_path {
	const char *name;
	enum hash_family family;
	int lanes;
	int spare;	/* up to so many streams the next path is faster */
	bool (*supported)(void);
	bool (*slow)(void);	/* where OpenSSL is faster; NULL: nowhere */
	/* Words are stored as state[word][lane]; each stream has so many whole message blocks, one after the other. */
	void (*compress)(void *state, const uint8_t *const *data, size_t message_blocks);
};

enum { HASH_MAX_LANES = 16 };

struct dmctl_hash {
	const struct hash_algorithm *algorithm;
	const struct hash_path *path;	/* NULL: EVP */
	bool forced;			/* that path even for a few blocks, where the next one is faster */
	EVP_MD *md;
	bool salt_last;
	size_t salt_bytes;
	uint8_t salt[DMCTL_HASH_MAX_SALT];
	uint64_t midstate[8];		/* after the whole message blocks of a salt that comes first */
};

/* What one thread needs to compute digests. */
struct hash_worker {
	EVP_MD_CTX *salted, *context;
};

const struct hash_algorithm *hash_find_algorithm(const char *name);
EVP_MD *hash_fetch(const struct hash_algorithm *algorithm);

/* All but hash_worker_close(): 0 or an errno. */
int hash_worker_open(const struct dmctl_hash *hash, struct hash_worker *worker);
void hash_worker_close(struct hash_worker *worker);
/* Blocks of one size, a multiple of 512 bytes, wherever they and their digests are. */
int hash_blocks(const struct dmctl_hash *hash, struct hash_worker *worker, const uint8_t *const *blocks,
		uint32_t block_bytes, uint8_t *const *digests, size_t count);
int hash_evp(const struct dmctl_hash *hash, struct hash_worker *worker, const uint8_t *data, size_t data_bytes,
	     uint8_t *digest);

/* The paths of a family, fastest first, and after this one; NULL at the end. Those that are faster here than OpenSSL,
 * or those that are slower. Each has shown that it computes what OpenSSL computes. */
const struct hash_path *hash_next_path(enum hash_family family, const struct hash_path *after, bool slow);
void hash_set_midstate(struct dmctl_hash *hash, const struct hash_path *path);
void hash_lanes(const struct dmctl_hash *hash, const struct hash_path *path, const uint8_t *const *blocks,
		uint32_t block_bytes, uint8_t *const *digests, size_t count);

#endif
