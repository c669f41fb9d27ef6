/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the ways to go over a level have in common: one in the order of its blocks, one in that of a Reed-Solomon code. */
#include "hash_level.h"
#include "hash_io.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool power_of_two(uint64_t number)
{
	return number && !(number & (number - 1));
}

static bool block_size(uint32_t bytes)
{
	return power_of_two(bytes) && bytes >= DMCTL_HASH_MIN_BLOCK && bytes <= DMCTL_HASH_MAX_BLOCK;
}

/* Whether so many blocks from there on have offsets that a file can have. */
static bool in_file(uint64_t offset_bytes, uint64_t blocks, uint32_t block_bytes)
{
	uint64_t end;

	return !__builtin_mul_overflow(blocks, (uint64_t) block_bytes, &end) &&
	       !__builtin_add_overflow(end, offset_bytes, &end) && end <= INT64_MAX - 2 * HASH_IO_ALIGNMENT;
}

bool hash_job_sound(const struct dmctl_hash *hash, const struct dmctl_hash_job *job)
{
	uint32_t per = job->digests_per_block;
	uint64_t end = job->first_block + job->blocks;

	return block_size(job->block_bytes) && block_size(job->hash_block_bytes) && power_of_two(per) &&
	       job->slot_bytes >= (uint32_t) hash->algorithm->digest_bytes &&
	       (uint64_t) per * job->slot_bytes <= job->hash_block_bytes &&
	       in_file(job->source_offset_bytes, job->level_blocks, job->block_bytes) &&
	       in_file(job->destination_offset_bytes, job->level_blocks / per + 1, job->hash_block_bytes) &&
	       end >= job->first_block && end <= job->level_blocks &&
	       (job->verify || (job->first_block % per == 0 && (end % per == 0 || end == job->level_blocks)));
}

bool hash_is_zero(const uint8_t *block, size_t bytes)
{
	uint64_t first;

	memcpy(&first, block, sizeof(first));
	return !first && !memcmp(block, block + sizeof(first), bytes - sizeof(first));
}

int hash_digest_of_zeros(const struct dmctl_hash *hash, const struct dmctl_hash_job *job, uint8_t *digest)
{
	uint8_t *zeros = calloc(1, job->block_bytes);
	int error = zeros ? dmctl_hash_digest(hash, zeros, job->block_bytes, digest) : ENOMEM;

	free(zeros);
	return error;
}

int hash_in_order(const struct dmctl_hash *hash, struct hash_worker *worker, const uint8_t *zero_digest,
		  const uint8_t *data, uint32_t block_bytes, size_t zeros, const uint8_t **blocks, uint8_t **out,
		  size_t count)
{
	size_t some = 0;

	for (size_t i = 0; i < count; i++) {
		const uint8_t *block = i < zeros ? NULL : data + (i - zeros) * block_bytes;

		if (!block || hash_is_zero(block, block_bytes)) {
			memcpy(out[i], zero_digest, hash->algorithm->digest_bytes);
			continue;
		}
		blocks[some] = block;
		out[some++] = out[i];
	}
	return hash_blocks(hash, worker, blocks, block_bytes, out, some);
}
