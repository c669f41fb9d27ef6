/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The field, and the matrices that encoding and erasures come to. */
#include "fec_gf.h"

#include <pthread.h>
#include <string.h>

uint8_t fec_exp[2 * 255];
uint8_t fec_log[256];

static void fill_tables(void)
{
	unsigned value = 1;

	for (unsigned power = 0; power < 255; power++) {
		fec_exp[power] = fec_exp[power + 255] = value;
		fec_log[value] = power;
		value <<= 1;
		if (value & 0x100)
			value ^= 0x11d;
	}
}

void fec_gf_init(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, fill_tables);
}

void fec_encoding_matrix(unsigned roots, uint8_t *matrix)
{
	/* The generator, highest power first and without its leading 1. */
	uint8_t generator[FEC_MAX_ROOTS + 1] = { 1 };
	uint8_t rest[FEC_MAX_ROOTS + 1];

	for (unsigned degree = 0; degree < roots; degree++)
		for (unsigned i = degree + 1; i > 0; i--)
			generator[i] ^= fec_mul(generator[i - 1], fec_exp[degree]);
	/* The last symbol of the message is x^roots: what is left of it is the generator itself. Each one before it is x
	 * times as much. */
	memcpy(rest, generator + 1, roots);
	for (unsigned symbol = FEC_SYMBOLS - roots; symbol-- > 0;) {
		memcpy(matrix + symbol * roots, rest, roots);
		uint8_t carry = rest[0];
		for (unsigned i = 0; i < roots; i++)
			rest[i] = (i + 1 < roots ? rest[i + 1] : 0) ^ fec_mul(carry, generator[i + 1]);
	}
}

void fec_syndrome_matrix(unsigned roots, uint8_t *matrix)
{
	for (unsigned symbol = 0; symbol < FEC_SYMBOLS; symbol++)
		for (unsigned i = 0; i < roots; i++)
			matrix[symbol * roots + i] = fec_exp[fec_power(symbol) * i % 255];
}

/* Gauss and Jordan, on a matrix and what begins as the identity. A Vandermonde matrix of different locators has an
 * inverse, and so has each of its leading parts, so no pivot is 0. */
static void invert(unsigned size, uint8_t (*matrix)[FEC_MAX_ROOTS], uint8_t (*inverse)[FEC_MAX_ROOTS])
{
	for (unsigned i = 0; i < size; i++)
		for (unsigned j = 0; j < size; j++)
			inverse[i][j] = i == j;
	for (unsigned pivot = 0; pivot < size; pivot++) {
		uint8_t scale = fec_inverse(matrix[pivot][pivot]);

		for (unsigned j = 0; j < size; j++) {
			matrix[pivot][j] = fec_mul(matrix[pivot][j], scale);
			inverse[pivot][j] = fec_mul(inverse[pivot][j], scale);
		}
		for (unsigned i = 0; i < size; i++) {
			uint8_t factor = matrix[i][pivot];

			if (i == pivot || !factor)
				continue;
			for (unsigned j = 0; j < size; j++) {
				matrix[i][j] ^= fec_mul(factor, matrix[pivot][j]);
				inverse[i][j] ^= fec_mul(factor, inverse[pivot][j]);
			}
		}
	}
}

void fec_erasure_matrix(unsigned roots, const uint8_t *symbols, unsigned count, uint8_t *matrix)
{
	uint8_t locators[FEC_MAX_ROOTS][FEC_MAX_ROOTS], inverse[FEC_MAX_ROOTS][FEC_MAX_ROOTS];

	for (unsigned i = 0; i < count; i++)
		for (unsigned j = 0; j < count; j++)
			locators[i][j] = fec_exp[fec_power(symbols[j]) * i % 255];
	invert(count, locators, inverse);

	memset(matrix, 0, roots * roots);
	/* The first syndromes give the values ... */
	for (unsigned i = 0; i < count; i++)
		for (unsigned j = 0; j < count; j++)
			matrix[i * roots + j] = inverse[j][i];
	/* ... and with these every other syndrome has to come out. */
	for (unsigned i = count; i < roots; i++) {
		matrix[i * roots + i] = 1;
		for (unsigned j = 0; j < count; j++)
			for (unsigned s = 0; s < count; s++)
				matrix[s * roots + i] ^= fec_mul(fec_exp[fec_power(symbols[j]) * i % 255], inverse[j][s]);
	}
}
