/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The Reed-Solomon coder of dm-verity's forward error correction: what Python sees of it.
 *
 * The message is the areas one after the other, in blocks, with zeros behind them. With k = 255 - roots and
 * rounds = the number of blocks / k, rounded up, it is a matrix of k rows of rounds * block_size bytes. A column is the
 * message of one codeword of RS(255, k) over GF(256), x^8+x^4+x^3+x^2+1, first root alpha^0; its parity, the highest
 * power first, is roots bytes at fec_offset + column * roots. Round q is the columns q * block_size and on, a block
 * wide; block number b is row b / rounds of round b % rounds. */
#ifndef DMCTL_FEC_H
#define DMCTL_FEC_H

#include <stddef.h>
#include <stdint.h>

/* How constants of GF(256) are multiplied, the slowest first. */
enum {
	DMCTL_FEC_PORTABLE,
	DMCTL_FEC_AVX2,
	DMCTL_FEC_GFNI,		/* with AVX2 */
	DMCTL_FEC_GFNI512,	/* with AVX-512 */
	DMCTL_FEC_PATHS,
};
/* Whether this processor has it, and a multiplication has come out right. */
int dmctl_fec_usable(int path);

struct dmctl_fec_area {
	int fd;			/* encoding: -1 stands for zeros, which another call has or will have the parity of */
	uint64_t offset;	/* bytes; so is the length, which is whole blocks */
	uint64_t length;
};

enum { DMCTL_FEC_WINDOW = 131072 };	/* bytes of a row that are worked on at once */

enum { DMCTL_FEC_AT_PARITY = -1, DMCTL_FEC_NOWHERE = -2 };

/* Is shown blocks of the first area as a thread has them, from number `first` on; no data: they are zeros. 0 or an
 * errno, which ends the work. */
typedef int dmctl_fec_show(void *context, uint64_t first, size_t count, const uint8_t *data);

struct dmctl_fec_job {
	const struct dmctl_fec_area *areas;
	uint32_t area_count;
	int fec_fd;
	uint64_t fec_offset;
	uint32_t block_size;	/* a power of two of at least 512 */
	uint32_t roots;
	uint32_t threads;
	int path;

	/* Of encoding */
	int add;		/* to the parity that is there: a code is linear, so that of parts is its parts' sum */
	dmctl_fec_show *show;	/* or NULL; blocks of up to DMCTL_FEC_WINDOW bytes */
	void *show_context;

	uint64_t done_bytes;	/* of the message; another thread may read it at any time */
	int cancel;		/* another thread may set it at any time */

	int failed_area;	/* number of an area, or DMCTL_FEC_AT_PARITY, or DMCTL_FEC_NOWHERE */
	int failed_short;	/* not an error of the system, the file ends there */
	uint64_t failed_offset;	/* in the file */
	int failed;		/* first failure; returned */
};
/* Both return 0, an errno whose place is in the job, ENOMEM, or ECANCELED. The position of a sparse file is moved. */
int dmctl_fec_encode(struct dmctl_fec_job *job);

/* What became of the blocks of one round. */
enum {
	DMCTL_FEC_CONSISTENT,	/* more parity than bad blocks, and the rest of it agrees */
	DMCTL_FEC_UNCHECKED,	/* as many bad blocks as parity: nothing was left to check with */
	DMCTL_FEC_INCONSISTENT,	/* something else is damaged too; the bytes are worth little */
	DMCTL_FEC_BLIND,	/* the errors were looked for, and found */
	DMCTL_FEC_LOST,		/* too many of them; the bytes are worth nothing */
};

/* Neighbouring rounds that have bad blocks in the same rows. */
struct dmctl_fec_window {
	uint64_t first_round;
	uint32_t round_count;
	uint32_t bad_count;	/* blind: up to k, else up to roots */
	const uint8_t *bad;	/* rows, ascending */
	uint8_t *output;	/* bad_count rows of round_count blocks */
	uint8_t *verdicts;	/* one a round */
	uint8_t *suspects;	/* 255 a round, set to 1: row or parity byte that was found wrong, beside the bad ones */
};
/* The windows in ascending order. */
int dmctl_fec_decode(struct dmctl_fec_job *job, struct dmctl_fec_window *windows, uint32_t count, int blind);

#endif
