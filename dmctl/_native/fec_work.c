/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Threads that take one item after the other, and the sums that they make. */
#include "fec_work.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int fec_prepare(struct fec_work *work, struct dmctl_fec_job *job)
{
	uint64_t row_blocks;

	job->done_bytes = 0;
	job->failed = job->failed_short = 0;
	job->failed_area = DMCTL_FEC_NOWHERE;
	job->failed_offset = 0;
	if (!dmctl_fec_usable(job->path) || job->roots < 2 || job->roots > FEC_MAX_ROOTS || !job->block_size)
		return EINVAL;
	work->job = job;
	work->path = fec_path_of(job->path);
	work->rows = FEC_SYMBOLS - job->roots;
	work->total_bytes = 0;
	work->sparse = calloc(job->area_count, sizeof(*work->sparse));
	if (!work->sparse)
		return ENOMEM;
	for (uint32_t i = 0; i < job->area_count; i++) {
		struct stat status;

		work->total_bytes += job->areas[i].length;
		work->sparse[i] = !fstat(job->areas[i].fd, &status) && S_ISREG(status.st_mode) &&
				  status.st_blocks < status.st_size / 512;
	}
	row_blocks = (work->total_bytes / job->block_size + work->rows - 1) / work->rows;
	work->row_bytes = row_blocks * job->block_size;
	work->next = 0;
	return 0;
}

bool fec_cancelled(struct dmctl_fec_job *job)
{
	return __atomic_load_n(&job->cancel, __ATOMIC_RELAXED) || __atomic_load_n(&job->failed, __ATOMIC_RELAXED);
}

static void *take_items(void *argument)
{
	struct fec_work *work = argument;
	struct fec_thread *thread = calloc(1, sizeof(*thread));
	void *memory = NULL;

	if (!thread || posix_memalign(&memory, 64, work->memory_bytes)) {
		free(thread);
		fec_failed(work->job, ENOMEM);
		return NULL;
	}
	thread->work = work;
	thread->memory = memory;
	for (;;) {
		uint64_t item = __atomic_fetch_add(&work->next, 1, __ATOMIC_RELAXED);

		if (item >= work->items || !work->item(thread, item))
			break;
	}
	free(memory);
	free(thread);
	return NULL;
}

int fec_run(struct fec_work *work)
{
	struct dmctl_fec_job *job = work->job;
	uint32_t wanted = job->threads < work->items ? job->threads : work->items, started = 0;
	pthread_t *threads = wanted > 1 ? calloc(wanted - 1, sizeof(*threads)) : NULL;
	sigset_t all, before;

	/* Signals are for Python's threads. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	/* Fewer than wanted will do. */
	while (threads && started < wanted - 1 && !pthread_create(&threads[started], NULL, take_items, work))
		started++;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	take_items(work);
	while (started)
		pthread_join(threads[--started], NULL);
	free(threads);
	free(work->sparse);
	if (job->failed)
		return job->failed;
	return __atomic_load_n(&job->cancel, __ATOMIC_RELAXED) ? ECANCELED : 0;
}

void fec_sum_add(struct fec_sum *sum, unsigned number, const uint8_t *row)
{
	sum->input[sum->waiting] = row;
	sum->table[sum->waiting] = sum->matrix + (size_t)number * sum->outputs * sum->path->constant_bytes;
	if (++sum->waiting == FEC_BATCH)
		fec_sum_end(sum);
}

void fec_sum_end(struct fec_sum *sum)
{
	if (sum->waiting)
		sum->path->multiply_add(sum->output, sum->stride, sum->outputs, sum->input, sum->table, sum->waiting,
					sum->width);
	sum->waiting = 0;
}

void fec_interleave(uint8_t *restrict mixed, const uint8_t *restrict rows, size_t stride, unsigned count, size_t width)
{
	if (count == 2) {	/* by far the most frequent, and a vector instruction */
		for (size_t c = 0; c < width; c++) {
			mixed[2 * c] = rows[c];
			mixed[2 * c + 1] = rows[stride + c];
		}
		return;
	}
	for (size_t c = 0; c < width; c++)
		for (unsigned i = 0; i < count; i++)
			mixed[c * count + i] = rows[i * stride + c];
}

void fec_separate(uint8_t *restrict rows, size_t stride, const uint8_t *restrict mixed, unsigned count, size_t width)
{
	for (size_t c = 0; c < width; c++)
		for (unsigned i = 0; i < count; i++)
			rows[i * stride + c] = mixed[c * count + i];
}
