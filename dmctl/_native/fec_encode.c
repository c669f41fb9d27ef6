/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The parity of a whole message. An item is a window of columns: small enough that its sums stay in the processor's
 * cache while the rows stream by. */
#include "fec_work.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define WINDOW_BYTES 65536
/* Rows are not a power of two apart: they would all be in the same few lines of the cache. */
#define STRIDE (WINDOW_BYTES + 64)

static bool encode_window(struct fec_thread *thread, uint64_t item)
{
	struct fec_work *work = thread->work;
	struct dmctl_fec_job *job = work->job;
	uint64_t column = item * WINDOW_BYTES;
	size_t width = work->row_bytes - column < WINDOW_BYTES ? work->row_bytes - column : WINDOW_BYTES;
	uint8_t *parity = thread->memory, *mixed = parity + job->roots * STRIDE;
	struct fec_sum sum = {
		.path = work->path,
		.matrix = work->context,
		.outputs = job->roots,
		.output = parity,
		.stride = STRIDE,
		.width = width,
		.room = mixed + job->roots * STRIDE,
	};

	for (unsigned i = 0; i < job->roots; i++)
		memset(parity + i * STRIDE, 0, width);
	for (unsigned row = 0; row < work->rows; row++) {
		uint8_t *room = fec_sum_room(&sum);
		bool zero;

		if (fec_cancelled(job) || !fec_read_row(thread, row, column, room, width, &zero))
			return false;
		if (!zero)
			fec_sum_add(&sum, row, room);
	}
	fec_sum_end(&sum);
	fec_interleave(mixed, parity, STRIDE, job->roots, width);
	return fec_write_parity(thread, column * job->roots, mixed, width * job->roots);
}

int dmctl_fec_encode(struct dmctl_fec_job *job)
{
	uint8_t matrix[FEC_SYMBOLS * FEC_MAX_ROOTS];
	struct fec_work work = { .item = encode_window };
	int error = fec_prepare(&work, job);
	uint8_t *expanded;

	if (error)
		return error;
	fec_encoding_matrix(job->roots, matrix);
	expanded = fec_expand(work.path, matrix, work.rows * job->roots);
	if (!expanded) {
		free(work.sparse);
		return ENOMEM;
	}
	work.context = expanded;
	work.memory_bytes = (2 * job->roots + FEC_BATCH) * STRIDE;
	work.items = (work.row_bytes + WINDOW_BYTES - 1) / WINDOW_BYTES;
	error = fec_run(&work);
	free(expanded);
	return error;
}
