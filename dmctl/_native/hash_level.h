/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where the digests of a level are in its hash blocks, and those of many blocks at once. */
#ifndef DMCTL_HASH_LEVEL_H
#define DMCTL_HASH_LEVEL_H

#include "hash_core.h"

static inline uint64_t hash_block_offset(const struct dmctl_hash_job *job, uint64_t block)
{
	return job->destination_offset_bytes + block / job->digests_per_block * job->hash_block_bytes;
}

static inline uint64_t hash_slot_offset(const struct dmctl_hash_job *job, uint64_t block)
{
	return hash_block_offset(job, block) + block % job->digests_per_block * job->slot_bytes;
}

/* Where the slot of a block ends; that of the last digest in a hash block with the hash block. */
static inline uint64_t hash_slot_end(const struct dmctl_hash_job *job, uint64_t block)
{
	if ((block + 1) % job->digests_per_block == 0 || block + 1 == job->level_blocks)
		return hash_block_offset(job, block) + job->hash_block_bytes;
	return hash_slot_offset(job, block) + job->slot_bytes;
}

/* Whether it is about places that exist, and numbers that fit each other. */
bool hash_job_sound(const struct dmctl_hash *hash, const struct dmctl_hash_job *job);

bool hash_is_zero(const uint8_t *block, size_t bytes);
/* Of a block of the job that is all zeros. 0 or an errno. */
int hash_digest_of_zeros(const struct dmctl_hash *hash, const struct dmctl_hash_job *job, uint8_t *digest);
/* The digests of blocks one behind the other; the first `zeros` of them are not in `data`. To out, which is a list that
 * is lost by this, as is room for as many pointers in blocks. 0 or an errno. */
int hash_in_order(const struct dmctl_hash *hash, struct hash_worker *worker, const uint8_t *zero_digest,
		  const uint8_t *data, uint32_t block_bytes, size_t zeros, const uint8_t **blocks, uint8_t **out,
		  size_t count);

#endif
