/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* GF(256) and matrices over it, for the coder of fec.h. */
#ifndef DMCTL_FEC_GF_H
#define DMCTL_FEC_GF_H

#include <stddef.h>
#include <stdint.h>

#define FEC_SYMBOLS 255
#define FEC_MAX_ROOTS 24

extern uint8_t fec_exp[2 * 255];	/* alpha to the power of */
extern uint8_t fec_log[256];		/* of 0: not to be used */
/* Fills the tables, once; to be called before anything below. */
void fec_gf_init(void);

static inline uint8_t fec_mul(uint8_t a, uint8_t b)
{
	return a && b ? fec_exp[fec_log[a] + fec_log[b]] : 0;
}

static inline uint8_t fec_inverse(uint8_t a)
{
	return fec_exp[255 - fec_log[a]];
}

/* The locator of a symbol: alpha to the power that it has in the codeword. */
static inline unsigned fec_power(unsigned symbol)
{
	return FEC_SYMBOLS - 1 - symbol;
}

/* All matrices by input: the coefficients of input 0 for outputs 0, 1, ... first. */
void fec_encoding_matrix(unsigned roots, uint8_t *matrix);	/* 255 - roots inputs, roots outputs */
void fec_syndrome_matrix(unsigned roots, uint8_t *matrix);	/* 255 inputs, roots outputs */
/* From roots syndromes (inputs) to the values of count <= roots erased symbols (outputs), and behind these outputs to
 * roots - count sums that are 0 where nothing else is wrong. */
void fec_erasure_matrix(unsigned roots, const uint8_t *symbols, unsigned count, uint8_t *matrix);

/* One codeword from its syndromes, with count erased symbols that were taken as 0: finds errors too, as long as
 * 2 * errors + count <= roots. Returns how many symbols have to be changed, writes which and what is to be added,
 * or returns -1. Both places take roots entries. */
int fec_decode_codeword(unsigned roots, const uint8_t *syndromes, const uint8_t *erased, unsigned count,
			uint8_t *symbols, uint8_t *values);

/* output[o][0..width) ^= the sum over i of coefficient(i, o) * input[i][0..width); output rows are stride apart.
 * table[i]: the coefficients of input i, expanded. width: a multiple of 64; everything at multiples of 64. */
typedef void fec_kernel(uint8_t *output, size_t stride, unsigned outputs, const uint8_t *const *input,
			const uint8_t *const *table, unsigned inputs, size_t width);

struct fec_path {
	size_t constant_bytes;
	void (*expand)(uint8_t constant, uint8_t *expanded);
	fec_kernel *multiply_add;
};
/* NULL where the compiler's target has no such thing; whether the processor has is not asked here. */
const struct fec_path *fec_path_of(int path);
extern const struct fec_path fec_portable;
#ifdef __x86_64__
extern const struct fec_path fec_avx2, fec_gfni, fec_gfni512;
#endif

/* The expanded matrix, at a multiple of 64, to be freed, or NULL. */
uint8_t *fec_expand(const struct fec_path *path, const uint8_t *matrix, size_t coefficients);

#endif
