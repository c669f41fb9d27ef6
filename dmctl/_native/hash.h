/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The hashing core of dm-verity: the digests of a range of blocks, written or compared, by several threads. */
#ifndef DMCTL_HASH_H
#define DMCTL_HASH_H

#include <stddef.h>
#include <stdint.h>

enum {
	DMCTL_HASH_MAX_DIGEST = 64,
	DMCTL_HASH_MAX_SALT = 256,
	DMCTL_HASH_MIN_BLOCK = 512,
	DMCTL_HASH_MAX_BLOCK = 512 * 1024,
	DMCTL_HASH_MAX_THREADS = 256,
};

/* An algorithm with its salt, its place and the way it is computed; read only once made, so threads share it. */
struct dmctl_hash;

/* The name, as the kernel spells it, of each algorithm that can be computed here; NULL from the end on. */
const char *dmctl_hash_algorithm(int index);
/* 0: not known, or OpenSSL has it not. */
int dmctl_hash_digest_bytes(const char *algorithm);
/* The ways in which this processor can compute it, fastest first; NULL from the end on. */
const char *dmctl_hash_path(const char *algorithm, int index);

/* Type 1 is H(salt || block), type 0 is H(block || salt). A path of "" is the fastest. NULL with errno set on failure:
 * ENOENT for an unknown algorithm, ENOTSUP for a path that cannot be run here, EINVAL for salt or type. */
struct dmctl_hash *dmctl_hash_new(const char *algorithm, const char *path, const uint8_t *salt, size_t salt_bytes,
				  int type);
void dmctl_hash_free(struct dmctl_hash *hash);
const char *dmctl_hash_path_of(const struct dmctl_hash *hash);
/* The digest of one block of any length. 0 or an errno. */
int dmctl_hash_digest(const struct dmctl_hash *hash, const uint8_t *data, size_t data_bytes, uint8_t *digest);
/* The digests of blocks in memory, one after the other, on the calling thread. 0 or an errno. */
int dmctl_hash_memory(const struct dmctl_hash *hash, const uint8_t *data, uint32_t block_bytes, size_t blocks,
		      uint8_t *digests);

enum {
	DMCTL_HASH_DONE,
	DMCTL_HASH_CANCELLED,
	DMCTL_HASH_FAILED,	/* see error_* */
};
enum {
	DMCTL_HASH_NO_SIDE,	/* no memory, wrong arguments, a failure inside OpenSSL */
	DMCTL_HASH_SOURCE,
	DMCTL_HASH_DESTINATION,
};

/* One level, or a range of its blocks: where the blocks are and where their digests are. The digest of block b of the
 * level is in slot b % digests_per_block of hash block b / digests_per_block. */
struct dmctl_hash_job {
	/* Blocks: from a descriptor, or from memory where it is -1. */
	int source_fd;
	const uint8_t *source;
	uint64_t source_offset_bytes;	/* of block 0 of the level; with memory too */
	uint32_t block_bytes;
	uint64_t level_blocks;
	uint64_t first_block, blocks;	/* the range */

	/* Digests: likewise. */
	int destination_fd;
	uint8_t *destination;
	uint64_t destination_offset_bytes;	/* of hash block 0 of the level */
	uint32_t hash_block_bytes, slot_bytes, digests_per_block;

	/* Compare instead of write: a bit for each block of the range, and for each hash block that it touches;
	 * lowest bit first. Bits are only ever set here. */
	int verify;
	uint8_t *bad_blocks, *bad_padding;
	int threads;

	/* Read and set by other threads while it runs. */
	int cancel;
	uint64_t blocks_done;
	uint64_t bytes_read;		/* of the source; holes are not read */

	/* How it ended. */
	uint64_t bad_block_count, bad_padding_count;
	int error_side;
	int error_errno;		/* 0: the file or device ends at error_offset_bytes */
	uint64_t error_offset_bytes;
};

/* Write: the range begins at a whole hash block and ends at one or with the level. One of DMCTL_HASH_DONE, … */
int dmctl_hash_run(const struct dmctl_hash *hash, struct dmctl_hash_job *job);

/* The other way to write all of a level: blocks are shown in any order, by any number of threads, each once. NULL, and
 * errno. Of the job the source is not used, and error_side and error_offset_bytes tell where a write failed. */
struct dmctl_hash_leaves *dmctl_hash_leaves_new(const struct dmctl_hash *hash, struct dmctl_hash_job *job);
void dmctl_hash_leaves_free(struct dmctl_hash_leaves *leaves);
/* Blocks from number `first` on, which are zeros where there is no data. 0 or an errno. Of type dmctl_fec_show. */
int dmctl_hash_leaves_show(void *leaves, uint64_t first, size_t count, const uint8_t *data);

#endif
