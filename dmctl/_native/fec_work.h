/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What encoding and decoding share: reading rows of the message, and threads that take one item after the other. */
#ifndef DMCTL_FEC_WORK_H
#define DMCTL_FEC_WORK_H

#include "fec.h"
#include "fec_gf.h"

#include <stdbool.h>

#define FEC_BATCH 8	/* rows that are read before they are multiplied: sums are loaded and stored once for all */

struct fec_work;

struct fec_thread {
	struct fec_work *work;
	uint8_t *memory;		/* memory_bytes, at a multiple of 64 */
	uint64_t hole_end[FEC_SYMBOLS];	/* place in the message up to which a row is known to have no data */
};

struct fec_work {
	struct dmctl_fec_job *job;
	const struct fec_path *path;
	bool *sparse;			/* areas in files that have holes */
	uint64_t total_bytes;		/* of the message, without the zeros behind it */
	uint64_t row_bytes;
	unsigned rows;
	size_t memory_bytes;		/* of each thread */
	uint64_t items;
	uint64_t next;
	/* Does item number `item`, in ascending order in a thread; false if it was cancelled, or if it failed, which it
	 * has said with fec_failed(). */
	bool (*item)(struct fec_thread *thread, uint64_t item);
	void *context;
};

/* Fills in what the job says, from sparse to rows. 0 or an errno. What the job says is in bounds: Python has looked. */
int fec_prepare(struct fec_work *work, struct dmctl_fec_job *job);
/* Does all items, and ends the work; 0 or an errno, as the functions of fec.h. */
int fec_run(struct fec_work *work);
/* Notes the first failure, and ends all threads. Returns false. */
bool fec_failed(struct dmctl_fec_job *job, int error);
bool fec_cancelled(struct dmctl_fec_job *job);

/* The bytes of a row from a column on. *zero: they are all 0, and need not have been written to the buffer. */
bool fec_read_row(struct fec_thread *thread, unsigned row, uint64_t column, uint8_t *buffer, size_t width, bool *zero);
/* count bytes of parity, from byte `place` of all parity on. */
bool fec_read_parity(struct fec_thread *thread, uint64_t place, uint8_t *buffer, size_t count);
bool fec_write_parity(struct fec_thread *thread, uint64_t place, const uint8_t *buffer, size_t count);

/* Rows that wait for being multiplied, and what they are multiplied to. */
struct fec_sum {
	const struct fec_path *path;
	const uint8_t *matrix;		/* expanded; inputs are 255 or fewer */
	unsigned outputs;
	uint8_t *output;		/* stride apart */
	size_t stride;
	size_t width;
	uint8_t *room;			/* for FEC_BATCH inputs, stride apart */
	unsigned waiting;
	const uint8_t *input[FEC_BATCH];
	const uint8_t *table[FEC_BATCH];
};
/* Where the next input is to be put, if it is to be kept here. */
static inline uint8_t *fec_sum_room(struct fec_sum *sum)
{
	return sum->room + sum->waiting * sum->stride;
}
/* A row, there or elsewhere, is the input with this number. It has to stay as it is until the end. */
void fec_sum_add(struct fec_sum *sum, unsigned number, const uint8_t *row);
void fec_sum_end(struct fec_sum *sum);

/* One symbol after the other, as on the disk, from rows and to rows. */
void fec_interleave(uint8_t *mixed, const uint8_t *rows, size_t stride, unsigned count, size_t width);
void fec_separate(uint8_t *rows, size_t stride, const uint8_t *mixed, unsigned count, size_t width);

#endif
