/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The parity of a whole message. An item is a window of columns: small enough that its sums stay in the processor's
 * cache while the rows stream by. */
#include "fec_work.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Rows are not a power of two apart: they would all be in the same few lines of the cache. */
#define STRIDE (DMCTL_FEC_WINDOW + 64)

struct encoding {
	uint8_t *matrix;	/* expanded */
	size_t window;		/* bytes */
};

/* Shows what of the first area is in the row from `place` on. */
static bool show(struct fec_work *work, uint64_t place, size_t width, const uint8_t *data)
{
	struct dmctl_fec_job *job = work->job;
	uint64_t length = job->areas[0].length;
	int error;

	if (place >= length)
		return true;
	if (width > length - place)
		width = length - place;
	error = job->show(job->show_context, place / job->block_size, width / job->block_size, data);
	return error ? fec_failed(job, error) : true;
}

static bool encode_window(struct fec_thread *thread, uint64_t item)
{
	struct fec_work *work = thread->work;
	struct dmctl_fec_job *job = work->job;
	struct encoding *encoding = work->context;
	uint64_t column = item * encoding->window;
	size_t width = work->row_bytes - column < encoding->window ? work->row_bytes - column : encoding->window;
	uint8_t *parity = thread->memory, *mixed = parity + job->roots * STRIDE;
	struct fec_sum sum = {
		.path = work->path,
		.matrix = encoding->matrix,
		.outputs = job->roots,
		.output = parity,
		.stride = STRIDE,
		.width = width,
		.room = mixed + job->roots * STRIDE,
	};

	if (job->add) {
		if (!fec_read_parity(thread, column * job->roots, mixed, width * job->roots))
			return false;
		fec_separate(parity, STRIDE, mixed, job->roots, width);
	} else {
		for (unsigned i = 0; i < job->roots; i++)
			memset(parity + i * STRIDE, 0, width);
	}
	for (unsigned row = 0; row < work->rows; row++) {
		uint8_t *room = fec_sum_room(&sum);
		bool zero;

		if (fec_cancelled(job) || !fec_read_row(thread, row, column, room, width, &zero))
			return false;
		if (job->show && !show(work, row * work->row_bytes + column, width, zero ? NULL : room))
			return false;
		if (!zero)
			fec_sum_add(&sum, row, room);
	}
	fec_sum_end(&sum);
	fec_interleave(mixed, parity, STRIDE, job->roots, width);
	return fec_write_parity(thread, column * job->roots, mixed, width * job->roots);
}

/* So that there is work for all threads to the end; whole blocks, if they are not too large. */
static size_t window_bytes(const struct fec_work *work)
{
	uint64_t share = work->row_bytes / 4 / work->job->threads, block = work->job->block_size;

	share = (share / block + 1) * block;
	return share < DMCTL_FEC_WINDOW ? share : DMCTL_FEC_WINDOW;
}

int dmctl_fec_encode(struct dmctl_fec_job *job)
{
	uint8_t matrix[FEC_SYMBOLS * FEC_MAX_ROOTS];
	struct encoding encoding;
	struct fec_work work = { .item = encode_window, .context = &encoding };
	int error = fec_prepare(&work, job);

	if (error)
		return error;
	fec_encoding_matrix(job->roots, matrix);
	encoding.window = window_bytes(&work);
	encoding.matrix = fec_expand(work.path, matrix, work.rows * job->roots);
	if (!encoding.matrix) {
		free(work.sparse);
		return ENOMEM;
	}
	work.memory_bytes = (2 * job->roots + FEC_BATCH) * STRIDE;
	work.items = (work.row_bytes + encoding.window - 1) / encoding.window;
	error = fec_run(&work);
	free(encoding.matrix);
	return error;
}
