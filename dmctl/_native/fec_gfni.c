/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Multiplication by constants with GFNI, whose own field is another one: so as an 8 x 8 matrix of bits. */
#include "fec_gf.h"

#ifdef __x86_64__
#include <immintrin.h>
#include <string.h>

#define GFNI __attribute__((target("gfni,avx2")))
#define GFNI512 __attribute__((target("gfni,avx512f,avx512bw")))

static void expand(uint8_t constant, uint8_t *expanded)
{
	/* Byte 7 - n of the matrix says which bits of the value make bit n of the product. */
	memset(expanded, 0, 8);
	for (unsigned bit = 0; bit < 8; bit++) {
		uint8_t product = fec_mul(constant, 1 << bit);

		for (unsigned n = 0; n < 8; n++)
			expanded[7 - n] |= (product >> n & 1) << bit;
	}
}

static inline long long matrix_at(const uint8_t *table)
{
	long long matrix;

	memcpy(&matrix, table, 8);
	return matrix;
}

/* outputs is a constant where these are inlined. */
static inline __attribute__((always_inline)) GFNI void some(uint8_t *output, size_t stride, unsigned outputs,
							    const uint8_t *const *input, const uint8_t *const *table,
							    size_t skipped, unsigned inputs, size_t width)
{
	for (size_t column = 0; column < width; column += 64) {
		__m256i sum[4][2];

#pragma GCC unroll 4
		for (unsigned o = 0; o < outputs; o++) {
			sum[o][0] = _mm256_load_si256((const __m256i *)(output + o * stride + column));
			sum[o][1] = _mm256_load_si256((const __m256i *)(output + o * stride + column + 32));
		}
		for (unsigned i = 0; i < inputs; i++) {
			__m256i first = _mm256_load_si256((const __m256i *)(input[i] + column));
			__m256i second = _mm256_load_si256((const __m256i *)(input[i] + column + 32));

#pragma GCC unroll 4
			for (unsigned o = 0; o < outputs; o++) {
				__m256i matrix = _mm256_set1_epi64x(matrix_at(table[i] + skipped + 8 * o));

				sum[o][0] = _mm256_xor_si256(sum[o][0], _mm256_gf2p8affine_epi64_epi8(first, matrix, 0));
				sum[o][1] = _mm256_xor_si256(sum[o][1], _mm256_gf2p8affine_epi64_epi8(second, matrix, 0));
			}
		}
#pragma GCC unroll 4
		for (unsigned o = 0; o < outputs; o++) {
			_mm256_store_si256((__m256i *)(output + o * stride + column), sum[o][0]);
			_mm256_store_si256((__m256i *)(output + o * stride + column + 32), sum[o][1]);
		}
	}
}

static GFNI void multiply_add(uint8_t *output, size_t stride, unsigned outputs, const uint8_t *const *input,
			      const uint8_t *const *table, unsigned inputs, size_t width)
{
	unsigned done = 0;

	for (; outputs - done >= 4; done += 4)
		some(output + done * stride, stride, 4, input, table, done * 8, inputs, width);
	output += done * stride;
	switch (outputs - done) {
	case 3:
		some(output, stride, 3, input, table, done * 8, inputs, width);
		break;
	case 2:
		some(output, stride, 2, input, table, done * 8, inputs, width);
		break;
	case 1:
		some(output, stride, 1, input, table, done * 8, inputs, width);
		break;
	}
}

const struct fec_path fec_gfni = { 8, expand, multiply_add };

static inline __attribute__((always_inline)) GFNI512 void some512(uint8_t *output, size_t stride, unsigned outputs,
								  const uint8_t *const *input,
								  const uint8_t *const *table, size_t skipped,
								  unsigned inputs, size_t width)
{
	for (size_t column = 0; column < width; column += 64) {
		__m512i sum[12];

#pragma GCC unroll 12
		for (unsigned o = 0; o < outputs; o++)
			sum[o] = _mm512_load_si512(output + o * stride + column);
		for (unsigned i = 0; i < inputs; i++) {
			__m512i value = _mm512_load_si512(input[i] + column);

#pragma GCC unroll 12
			for (unsigned o = 0; o < outputs; o++) {
				__m512i matrix = _mm512_set1_epi64(matrix_at(table[i] + skipped + 8 * o));

				sum[o] = _mm512_xor_si512(sum[o], _mm512_gf2p8affine_epi64_epi8(value, matrix, 0));
			}
		}
#pragma GCC unroll 12
		for (unsigned o = 0; o < outputs; o++)
			_mm512_store_si512(output + o * stride + column, sum[o]);
	}
}

static GFNI512 void multiply_add512(uint8_t *output, size_t stride, unsigned outputs, const uint8_t *const *input,
				    const uint8_t *const *table, unsigned inputs, size_t width)
{
	unsigned done = 0;

	for (; outputs - done >= 12; done += 12)
		some512(output + done * stride, stride, 12, input, table, done * 8, inputs, width);
	for (; outputs - done >= 4; done += 4)
		some512(output + done * stride, stride, 4, input, table, done * 8, inputs, width);
	output += done * stride;
	switch (outputs - done) {
	case 3:
		some512(output, stride, 3, input, table, done * 8, inputs, width);
		break;
	case 2:
		some512(output, stride, 2, input, table, done * 8, inputs, width);
		break;
	case 1:
		some512(output, stride, 1, input, table, done * 8, inputs, width);
		break;
	}
}

const struct fec_path fec_gfni512 = { 8, expand, multiply_add512 };
#endif
