/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What bad blocks should hold. That a block is bad is known from its hash, so in all codewords of its round the same
 * symbol is erased: the values are the syndromes times one matrix, for whole rows at once. Only where the parity that
 * is left does not agree are codewords looked at one by one. */
#include "fec_work.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct decoding {
	struct dmctl_fec_window *windows;
	uint8_t *matrix;	/* of syndromes, expanded */
	size_t stride;
	bool blind;
};

struct place {		/* one window, and the rooms of the thread that works on it */
	struct fec_thread *thread;
	struct dmctl_fec_window *window;
	size_t width, stride;
	unsigned roots;
	uint8_t *syndromes;	/* roots rows, of the message with 0 in the place of bad blocks */
	uint8_t *values;	/* roots rows: of the bad blocks, then sums that should be 0 */
	uint8_t *current;	/* what the bad blocks hold now, current_stride apart */
	size_t current_stride;
	uint8_t *room;
	int bad_at[FEC_SYMBOLS];	/* number in window->bad, or -1 */
};

static bool find_syndromes(struct place *place, const uint8_t *matrix)
{
	struct fec_work *work = place->thread->work;
	struct dmctl_fec_job *job = work->job;
	uint64_t column = place->window->first_round * job->block_size;
	struct fec_sum sum = {
		.path = work->path,
		.matrix = matrix,
		.outputs = place->roots,
		.output = place->syndromes,
		.stride = place->stride,
		.width = place->width,
		.room = place->room,
	};

	memset(place->syndromes, 0, place->roots * place->stride);
	for (unsigned row = 0; row < work->rows; row++) {
		uint8_t *room = fec_sum_room(&sum);
		bool zero;

		if (place->bad_at[row] >= 0)
			continue;
		if (fec_cancelled(job) || !fec_read_row(place->thread, row, column, room, place->width, &zero))
			return false;
		if (!zero)
			fec_sum_add(&sum, row, room);
	}
	fec_sum_end(&sum);
	/* The room for what the bad blocks hold now is free still. */
	if (!fec_read_parity(place->thread, column * place->roots, place->current, place->width * place->roots))
		return false;
	fec_separate(place->values, place->stride, place->current, place->roots, place->width);
	for (unsigned i = 0; i < place->roots; i++)
		fec_sum_add(&sum, work->rows + i, place->values + i * place->stride);
	fec_sum_end(&sum);
	return true;
}

static bool find_values(struct place *place)
{
	struct fec_work *work = place->thread->work;
	const struct dmctl_fec_window *window = place->window;
	uint8_t matrix[FEC_MAX_ROOTS * FEC_MAX_ROOTS];
	uint8_t *expanded;
	struct fec_sum sum = {
		.path = work->path,
		.outputs = place->roots,
		.output = place->values,
		.stride = place->stride,
		.width = place->width,
	};

	fec_erasure_matrix(place->roots, window->bad, window->bad_count, matrix);
	sum.matrix = expanded = fec_expand(work->path, matrix, place->roots * place->roots);
	if (!expanded)
		return fec_failed(work->job, ENOMEM);
	memset(place->values, 0, place->roots * place->stride);
	for (unsigned i = 0; i < place->roots; i++)
		fec_sum_add(&sum, i, place->syndromes + i * place->stride);
	fec_sum_end(&sum);
	free(expanded);
	for (unsigned i = 0; i < window->bad_count; i++)
		memcpy(window->output + i * place->width, place->values + i * place->stride, place->width);
	return true;
}

static bool agrees(const struct place *place, size_t column)
{
	for (unsigned i = place->window->bad_count; i < place->roots; i++)
		if (place->values[i * place->stride + column])
			return false;
	return true;
}

static bool read_bad_blocks(struct place *place)
{
	struct dmctl_fec_window *window = place->window;
	struct dmctl_fec_job *job = place->thread->work->job;

	if (window->bad_count > place->roots) {
		place->current = window->output;
		place->current_stride = place->width;
	}
	for (unsigned i = 0; i < window->bad_count; i++) {
		uint8_t *row = place->current + i * place->current_stride;
		bool zero;

		if (fec_cancelled(job) || !fec_read_row(place->thread, window->bad[i],
							window->first_round * job->block_size, row, place->width, &zero))
			return false;
		if (zero)
			memset(row, 0, place->width);
	}
	return true;
}

/* Puts what a codeword's decoding has found in its place; false, and nothing done, if it cannot be true. */
static bool apply(struct place *place, size_t column, int found, const uint8_t *symbols, const uint8_t *values,
		  bool erased, bool only_bad)
{
	struct fec_work *work = place->thread->work;
	struct dmctl_fec_window *window = place->window;
	uint64_t round = column / work->job->block_size;

	for (int n = 0; n < found; n++) {
		uint64_t start = symbols[n] * work->row_bytes +
				 (window->first_round + round) * work->job->block_size;

		/* Behind the message is nothing that could be wrong. */
		if (symbols[n] < work->rows && place->bad_at[symbols[n]] < 0 &&
		    (only_bad || start >= work->total_bytes))
			return false;
	}
	for (unsigned i = 0; i < window->bad_count; i++)
		window->output[i * place->width + column] =
			erased ? 0 : place->current[i * place->current_stride + column];
	for (int n = 0; n < found; n++) {
		int bad = place->bad_at[symbols[n]];

		if (bad >= 0)
			window->output[bad * place->width + column] ^= values[n];
		else
			window->suspects[round * FEC_SYMBOLS + symbols[n]] = 1;
	}
	return true;
}

static bool decode_column(struct place *place, size_t column)
{
	const struct dmctl_fec_window *window = place->window;
	unsigned bad_count = window->bad_count, roots = place->roots;
	uint8_t syndromes[FEC_MAX_ROOTS], symbols[FEC_MAX_ROOTS], values[FEC_MAX_ROOTS];
	int found;

	for (unsigned i = 0; i < roots; i++)
		syndromes[i] = place->syndromes[i * place->stride + column];
	if (bad_count < roots) {
		found = fec_decode_codeword(roots, syndromes, window->bad, bad_count, symbols, values);
		if (found >= 0 && apply(place, column, found, symbols, values, true, false))
			return true;
	}
	/* A bad block may have a single bad byte, and others be as they were: as if nothing were erased. */
	for (unsigned n = 0; n < bad_count; n++)
		for (unsigned i = 0; i < roots; i++)
			syndromes[i] ^= fec_mul(place->current[n * place->current_stride + column],
						fec_exp[fec_power(window->bad[n]) * i % 255]);
	found = fec_decode_codeword(roots, syndromes, NULL, 0, symbols, values);
	/* With as many bad blocks as parity the values explain everything: what explains it with a good block is worse. */
	if (found >= 0 && apply(place, column, found, symbols, values, false, bad_count == roots))
		return true;
	return bad_count == roots;
}

static bool decode_window(struct fec_thread *thread, uint64_t item)
{
	struct fec_work *work = thread->work;
	struct dmctl_fec_job *job = work->job;
	struct decoding *decoding = work->context;
	struct dmctl_fec_window *window = &decoding->windows[item];
	size_t rows_bytes = job->roots * decoding->stride;
	struct place place = {
		.thread = thread,
		.window = window,
		.width = (size_t)window->round_count * job->block_size,
		.stride = decoding->stride,
		.roots = job->roots,
		.syndromes = thread->memory,
		.values = thread->memory + rows_bytes,
		.current = thread->memory + 2 * rows_bytes,
		.current_stride = decoding->stride,
		.room = thread->memory + 3 * rows_bytes,
	};
	bool is_read = false;

	for (unsigned i = 0; i < FEC_SYMBOLS; i++)
		place.bad_at[i] = -1;
	for (unsigned i = 0; i < window->bad_count; i++)
		place.bad_at[window->bad[i]] = i;
	if (!find_syndromes(&place, decoding->matrix))
		return false;
	if (window->bad_count <= job->roots && !find_values(&place))
		return false;

	for (uint32_t round = 0; round < window->round_count; round++) {
		size_t end = (round + 1) * (size_t)job->block_size;
		uint8_t verdict = DMCTL_FEC_CONSISTENT;

		if (window->bad_count == job->roots)
			verdict = DMCTL_FEC_UNCHECKED;
		else if (window->bad_count > job->roots)
			verdict = DMCTL_FEC_LOST;
		else
			for (size_t column = end - job->block_size; column < end && verdict == DMCTL_FEC_CONSISTENT; column++)
				if (!agrees(&place, column))
					verdict = DMCTL_FEC_INCONSISTENT;
		if (decoding->blind && verdict != DMCTL_FEC_CONSISTENT) {
			if (!is_read && !read_bad_blocks(&place))
				return false;
			is_read = true;
			verdict = DMCTL_FEC_BLIND;
			for (size_t column = end - job->block_size; column < end; column++) {
				if (column % 64 == 0 && fec_cancelled(job))
					return false;
				if ((window->bad_count >= job->roots || !agrees(&place, column)) &&
				    !decode_column(&place, column)) {
					verdict = DMCTL_FEC_LOST;
					break;
				}
			}
		}
		window->verdicts[round] = verdict;
	}
	return true;
}

int dmctl_fec_decode(struct dmctl_fec_job *job, struct dmctl_fec_window *windows, uint32_t count, int blind)
{
	uint8_t matrix[FEC_SYMBOLS * FEC_MAX_ROOTS];
	struct decoding decoding = { .windows = windows, .blind = blind };
	struct fec_work work = { .item = decode_window, .context = &decoding, .items = count };
	uint32_t longest = 0;
	int error = fec_prepare(&work, job);

	if (error)
		return error;
	for (uint32_t i = 0; i < count; i++)
		if (windows[i].round_count > longest)
			longest = windows[i].round_count;
	decoding.stride = (size_t)longest * job->block_size + 64;
	fec_syndrome_matrix(job->roots, matrix);
	decoding.matrix = fec_expand(work.path, matrix, FEC_SYMBOLS * job->roots);
	if (!decoding.matrix) {
		free(work.sparse);
		return ENOMEM;
	}
	work.memory_bytes = (3 * job->roots + FEC_BATCH) * decoding.stride;
	error = fec_run(&work);
	free(decoding.matrix);
	return error;
}
