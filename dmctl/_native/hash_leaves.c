/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The lowest level of a tree out of order: of blocks that somebody else has read, as he comes by them. */
#include "hash_io.h"
#include "hash_level.h"

#include <errno.h>
#include <stdlib.h>

struct dmctl_hash_leaves {
	const struct dmctl_hash *hash;
	struct dmctl_hash_job *job;
	uint8_t zero_digest[DMCTL_HASH_MAX_DIGEST];
};

struct dmctl_hash_leaves *dmctl_hash_leaves_new(const struct dmctl_hash *hash, struct dmctl_hash_job *job)
{
	struct dmctl_hash_leaves *leaves = calloc(1, sizeof(*leaves));
	int error = leaves ? hash_job_sound(hash, job) && !job->verify ? 0 : EINVAL : ENOMEM;

	if (!error)
		error = hash_digest_of_zeros(hash, job, leaves->zero_digest);
	if (error) {
		free(leaves);
		errno = error;
		return NULL;
	}
	leaves->hash = hash;
	leaves->job = job;
	job->error_errno = 0;
	job->error_side = DMCTL_HASH_NO_SIDE;
	return leaves;
}

void dmctl_hash_leaves_free(struct dmctl_hash_leaves *leaves)
{
	free(leaves);
}

/* Of several threads the first says where. */
static void failed_at(struct dmctl_hash_job *job, uint64_t offset_bytes)
{
	int expected = DMCTL_HASH_NO_SIDE;

	if (__atomic_compare_exchange_n(&job->error_side, &expected, DMCTL_HASH_DESTINATION, false, __ATOMIC_RELAXED,
					__ATOMIC_RELAXED))
		job->error_offset_bytes = offset_bytes;
}

int dmctl_hash_leaves_show(void *context, uint64_t first, size_t count, const uint8_t *data)
{
	struct dmctl_hash_leaves *leaves = context;
	const struct dmctl_hash_job *job = leaves->job;
	uint64_t from = hash_slot_offset(job, first), to = hash_slot_end(job, first + count - 1);
	const uint8_t **blocks = calloc(count, sizeof(*blocks));
	uint8_t **out = calloc(count, sizeof(*out)), *slots = calloc(1, to - from);
	struct hash_worker worker = { NULL, NULL };
	struct hash_io_error io_error;
	int error = blocks && out && slots ? hash_worker_open(leaves->hash, &worker) : ENOMEM;

	if (!error) {
		for (size_t i = 0; i < count; i++)
			out[i] = slots + (hash_slot_offset(job, first + i) - from);
		error = hash_in_order(leaves->hash, &worker, leaves->zero_digest, data, job->block_bytes, data ? 0 : count,
				      blocks, out, count);
		hash_worker_close(&worker);
	}
	if (!error && !hash_io_write(job->destination_fd, from, to - from, slots, &io_error)) {
		failed_at(leaves->job, io_error.offset_bytes);
		error = io_error.error ? io_error.error : ENOSPC;
	}
	free(blocks);
	free(out);
	free(slots);
	return error;
}
