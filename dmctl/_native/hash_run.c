/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A level of a hash tree, by several threads.
 *
 * The range is handed out in order, in units that fit a processor's own cache. In a write, units share a group: whole
 * hash blocks, which the thread that finishes the last unit writes. Units go out in order, so no more groups are under
 * way than threads, and the lowest place of several that fail is always the one that is reported. */
#include "hash_io.h"
#include "hash_level.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum {
	UNIT_BYTES = 256 * 1024,
	UNIT_MIN_BLOCKS = 2,	/* some kernels take two streams at once */
	UNIT_MAX_BLOCKS = UNIT_BYTES / DMCTL_HASH_MIN_BLOCK,
};

struct group {
	uint64_t first_block;
	uint64_t end_block;
	uint8_t *hash_blocks;
	int pending;		/* units handed out and not finished */
	bool used;
	bool handed_out;	/* all of it */
};

struct run {
	const struct dmctl_hash *hash;
	struct dmctl_hash_job *job;
	struct hash_io source, destination;
	uint64_t unit_blocks, group_blocks, end_block;
	size_t group_bytes;
	uint8_t zero_digest[DMCTL_HASH_MAX_DIGEST];

	pthread_mutex_t lock;	/* of what follows, and of the job's error */
	uint64_t next_block;
	struct group *groups, *group;
	int group_count;
	bool failed;
};

struct unit {
	uint64_t first_block, end_block;
	struct group *group;
};

/* A thread's own. */
struct thread {
	struct hash_worker worker;
	uint8_t *data, *expected;		/* buffers for reads */
	uint8_t *digests;
	uint64_t hole_from, hole_to;		/* a hole that is known, in bytes */
	const uint8_t *blocks[UNIT_MAX_BLOCKS];
	uint8_t *out[UNIT_MAX_BLOCKS];
};

static uint64_t min64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static void fail(struct run *run, int side, int error, uint64_t offset_bytes)
{
	struct dmctl_hash_job *job = run->job;

	pthread_mutex_lock(&run->lock);
	if (!run->failed || (side == job->error_side && offset_bytes < job->error_offset_bytes)) {
		job->error_side = side;
		job->error_errno = error;
		job->error_offset_bytes = offset_bytes;
	}
	run->failed = true;
	pthread_mutex_unlock(&run->lock);
}

static bool cancelled(const struct run *run)
{
	return __atomic_load_n(&run->job->cancel, __ATOMIC_RELAXED);
}

/* ---- the queue ---- */

static struct group *begin_group(struct run *run, uint64_t first_block)
{
	struct group *group = run->groups;

	while (group->used)
		group++;
	*group = (struct group) { .used = true, .first_block = first_block, .hash_blocks = group->hash_blocks };
	group->end_block = min64(first_block - first_block % run->group_blocks + run->group_blocks, run->end_block);
	if (run->destination.memory)
		group->hash_blocks = run->job->destination + hash_block_offset(run->job, first_block);
	return group;
}

static size_t group_bytes(const struct run *run, const struct group *group)
{
	uint32_t per = run->job->digests_per_block;

	return (group->end_block - group->first_block + per - 1) / per * run->job->hash_block_bytes;
}

static bool take(struct run *run, struct unit *unit)
{
	bool some;

	pthread_mutex_lock(&run->lock);
	some = !run->failed && !cancelled(run) && run->next_block < run->end_block;
	if (some) {
		unit->first_block = run->next_block;
		unit->end_block = min64(unit->first_block - unit->first_block % run->unit_blocks + run->unit_blocks,
					run->end_block);
		run->next_block = unit->end_block;
		if (!run->job->verify) {
			if (!run->group) {
				run->group = begin_group(run, unit->first_block);
				memset(run->group->hash_blocks, 0, group_bytes(run, run->group));
			}
			unit->group = run->group;
			unit->group->pending++;
			if (unit->end_block == unit->group->end_block) {
				unit->group->handed_out = true;
				run->group = NULL;
			}
		}
	}
	pthread_mutex_unlock(&run->lock);
	return some;
}

/* Writes the unit's group if it was the last one of it. */
static bool finish_group(struct run *run, struct group *group)
{
	struct hash_io_error error;
	bool last, ok = true;

	pthread_mutex_lock(&run->lock);
	last = !--group->pending && group->handed_out;
	pthread_mutex_unlock(&run->lock);
	if (!last)
		return true;
	if (!run->destination.memory)
		ok = hash_io_write(run->destination.fd, hash_block_offset(run->job, group->first_block),
				   group_bytes(run, group), group->hash_blocks, &error);
	if (!ok)
		fail(run, DMCTL_HASH_DESTINATION, error.error, error.offset_bytes);
	pthread_mutex_lock(&run->lock);
	group->used = false;
	pthread_mutex_unlock(&run->lock);
	return ok;
}

/* ---- one unit ---- */

/* Blocks at the begin of the unit that are in a hole as a whole. */
static uint64_t blocks_in_hole(const struct run *run, struct thread *thread, const struct unit *unit)
{
	uint32_t block_bytes = run->job->block_bytes;
	uint64_t from = run->job->source_offset_bytes + unit->first_block * block_bytes;
	uint64_t to = run->job->source_offset_bytes + unit->end_block * block_bytes;

	if (!run->source.sparse_bytes)
		return 0;
	if (from < thread->hole_from || to > thread->hole_to) {
		thread->hole_from = from;
		thread->hole_to = hash_io_data_from(&run->source, from, to);
		if (thread->hole_to == to && to < run->source.sparse_bytes)
			thread->hole_to = hash_io_data_from(&run->source, to, run->source.sparse_bytes);
	}
	return (min64(thread->hole_to, to) - from) / block_bytes;
}

/* Into thread->out: NULL where the constant digest is the answer. */
static bool hash_unit(struct run *run, struct thread *thread, const struct unit *unit)
{
	struct dmctl_hash_job *job = run->job;
	size_t count = unit->end_block - unit->first_block, hole = blocks_in_hole(run, thread, unit);
	uint64_t offset_bytes = job->source_offset_bytes + (unit->first_block + hole) * job->block_bytes;
	size_t bytes = (count - hole) * job->block_bytes;
	struct hash_io_error io_error;
	const uint8_t *data = NULL;
	int error;

	if (bytes && !(data = hash_io_read(&run->source, offset_bytes, bytes, thread->data, &io_error))) {
		fail(run, DMCTL_HASH_SOURCE, io_error.error, io_error.offset_bytes);
		return false;
	}
	__atomic_fetch_add(&job->bytes_read, bytes, __ATOMIC_RELAXED);
	error = hash_in_order(run->hash, &thread->worker, run->zero_digest, data, job->block_bytes, hole, thread->blocks,
			      thread->out, count);
	if (error)
		fail(run, DMCTL_HASH_NO_SIDE, error, 0);
	return !error;
}

static bool write_unit(struct run *run, struct thread *thread, const struct unit *unit)
{
	struct dmctl_hash_job *job = run->job;
	struct group *group = unit->group;

	for (uint64_t block = unit->first_block; block < unit->end_block; block++) {
		uint64_t hash_block = (block - group->first_block) / job->digests_per_block;

		thread->out[block - unit->first_block] = group->hash_blocks + hash_block * job->hash_block_bytes +
							 block % job->digests_per_block * job->slot_bytes;
	}
	return hash_unit(run, thread, unit) && finish_group(run, group);
}

static void set_bit(uint8_t *bits, uint64_t bit, uint64_t *count)
{
	uint8_t mask = 1 << bit % 8;

	if (!(__atomic_fetch_or(bits + bit / 8, mask, __ATOMIC_RELAXED) & mask))
		__atomic_fetch_add(count, 1, __ATOMIC_RELAXED);
}

static bool all_zero(const uint8_t *from, const uint8_t *to)
{
	return from == to || hash_is_zero(from, to - from);
}

static bool verify_unit(struct run *run, struct thread *thread, const struct unit *unit)
{
	struct dmctl_hash_job *job = run->job;
	uint32_t per = job->digests_per_block;
	int digest_bytes = run->hash->algorithm->digest_bytes;
	uint64_t last = unit->end_block - 1;
	uint64_t from = hash_slot_offset(job, unit->first_block), to = hash_slot_end(job, last);
	struct hash_io_error error;
	const uint8_t *expected;

	for (uint64_t i = 0; i < unit->end_block - unit->first_block; i++)
		thread->out[i] = thread->digests + i * DMCTL_HASH_MAX_DIGEST;
	if (!hash_unit(run, thread, unit))
		return false;
	if (!(expected = hash_io_read(&run->destination, from, to - from, thread->expected, &error))) {
		fail(run, DMCTL_HASH_DESTINATION, error.error, error.offset_bytes);
		return false;
	}
	for (uint64_t block = unit->first_block; block <= last; block++) {
		const uint8_t *slot = expected + (hash_slot_offset(job, block) - from);
		const uint8_t *end = expected + (hash_slot_end(job, block) - from);

		if (memcmp(slot, thread->digests + (block - unit->first_block) * DMCTL_HASH_MAX_DIGEST, digest_bytes))
			set_bit(job->bad_blocks, block - job->first_block, &job->bad_block_count);
		if (!all_zero(slot + digest_bytes, end))
			set_bit(job->bad_padding, block / per - job->first_block / per, &job->bad_padding_count);
	}
	return true;
}

/* ---- threads ---- */

static void *aligned(size_t bytes)
{
	void *memory;

	return posix_memalign(&memory, HASH_IO_ALIGNMENT, bytes + 2 * HASH_IO_ALIGNMENT) ? NULL : memory;
}

static struct thread *thread_open(const struct run *run)
{
	const struct dmctl_hash_job *job = run->job;
	struct thread *thread = calloc(1, sizeof(*thread));
	size_t hash_blocks = (run->unit_blocks + job->digests_per_block - 1) / job->digests_per_block;

	if (!thread)
		return NULL;
	if ((run->source.memory || (thread->data = aligned(run->unit_blocks * job->block_bytes))) &&
	    (!job->verify || ((thread->expected = aligned(hash_blocks * job->hash_block_bytes)) &&
			      (thread->digests = malloc(run->unit_blocks * DMCTL_HASH_MAX_DIGEST)))) &&
	    !hash_worker_open(run->hash, &thread->worker))
		return thread;
	free(thread->data);
	free(thread->expected);
	free(thread->digests);
	free(thread);
	return NULL;
}

static void thread_close(struct thread *thread)
{
	hash_worker_close(&thread->worker);
	free(thread->data);
	free(thread->expected);
	free(thread->digests);
	free(thread);
}

static void *work(void *argument)
{
	struct run *run = argument;
	struct thread *thread = thread_open(run);
	struct unit unit;
	bool ok = true;

	if (!thread) {
		fail(run, DMCTL_HASH_NO_SIDE, ENOMEM, 0);
		return NULL;
	}
	while (ok && take(run, &unit)) {
		ok = run->job->verify ? verify_unit(run, thread, &unit) : write_unit(run, thread, &unit);
		if (ok)
			__atomic_fetch_add(&run->job->blocks_done, unit.end_block - unit.first_block, __ATOMIC_RELAXED);
	}
	thread_close(thread);
	return NULL;
}

/* The caller's thread is one of them. Fewer than asked for do too, if the system gives no more. */
static void run_threads(struct run *run, int count)
{
	pthread_t others[DMCTL_HASH_MAX_THREADS];
	sigset_t all, before;
	int started = 0;

	/* A signal is for the thread that runs Python. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	while (started < count - 1 && !pthread_create(&others[started], NULL, work, run))
		started++;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	work(run);
	while (started)
		pthread_join(others[--started], NULL);
}

/* ---- the call ---- */

static bool prepare(struct run *run, int threads)
{
	struct dmctl_hash_job *job = run->job;
	uint32_t per = job->digests_per_block;

	run->next_block = job->first_block;
	run->end_block = job->first_block + job->blocks;
	run->group_blocks = run->unit_blocks > per ? run->unit_blocks : per;
	if (job->verify)
		return true;
	if (!(run->groups = calloc(threads, sizeof(*run->groups))))
		return false;
	run->group_count = threads;
	if (!run->destination.memory)
		for (int i = 0; i < threads; i++)
			if (!(run->groups[i].hash_blocks = aligned(run->group_blocks / per * job->hash_block_bytes)))
				return false;
	return true;
}

int dmctl_hash_run(const struct dmctl_hash *hash, struct dmctl_hash_job *job)
{
	struct run run = { .hash = hash, .job = job, .lock = PTHREAD_MUTEX_INITIALIZER };
	uint64_t units;
	int error, threads;

	job->error_side = DMCTL_HASH_NO_SIDE;
	job->error_errno = hash_job_sound(hash, job) ? 0 : EINVAL;
	if (job->error_errno)
		return DMCTL_HASH_FAILED;
	if ((error = hash_io_open(&run.source, job->source_fd, job->source))) {
		job->error_side = DMCTL_HASH_SOURCE;
		job->error_errno = error;
		return DMCTL_HASH_FAILED;
	}
	if ((error = hash_io_open(&run.destination, job->destination_fd, job->destination))) {
		job->error_side = DMCTL_HASH_DESTINATION;
		job->error_errno = error;
		return DMCTL_HASH_FAILED;
	}
	run.unit_blocks = UNIT_BYTES / job->block_bytes;
	if (run.unit_blocks < UNIT_MIN_BLOCKS)
		run.unit_blocks = UNIT_MIN_BLOCKS;
	units = job->blocks / run.unit_blocks + 1;
	threads = job->threads < 1 ? 1 : min64(min64(job->threads, DMCTL_HASH_MAX_THREADS), units);
	if (!prepare(&run, threads))
		fail(&run, DMCTL_HASH_NO_SIDE, ENOMEM, 0);
	else if ((error = hash_digest_of_zeros(hash, job, run.zero_digest)))
		fail(&run, DMCTL_HASH_NO_SIDE, error, 0);
	else
		run_threads(&run, threads);
	for (int i = 0; i < run.group_count && !run.destination.memory; i++)
		free(run.groups[i].hash_blocks);
	free(run.groups);
	if (run.failed)
		return DMCTL_HASH_FAILED;
	return run.next_block < run.end_block ? DMCTL_HASH_CANCELLED : DMCTL_HASH_DONE;
}
