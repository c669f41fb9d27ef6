/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Multiplication by constants with AVX2: a table of 16 for each half of a byte, looked up 32 at a time. */
#include "fec_gf.h"

#ifdef __x86_64__
#include <immintrin.h>

#define AVX2 __attribute__((target("avx2")))
#define AT_ONCE 4	/* outputs: two sums of each, four halves, two tables and a mask fill the 16 registers */

static void expand(uint8_t constant, uint8_t *expanded)
{
	for (unsigned value = 0; value < 16; value++) {
		expanded[value] = fec_mul(constant, value);
		expanded[16 + value] = fec_mul(constant, value << 4);
	}
}

/* outputs is a constant where this is inlined. */
static inline __attribute__((always_inline)) AVX2 void some(uint8_t *output, size_t stride, unsigned outputs,
							    const uint8_t *const *input, const uint8_t *const *table,
							    size_t skipped, unsigned inputs, size_t width)
{
	const __m256i mask = _mm256_set1_epi8(0x0f);

	for (size_t column = 0; column < width; column += 64) {
		__m256i sum[AT_ONCE][2];

#pragma GCC unroll 4
		for (unsigned o = 0; o < outputs; o++) {
			sum[o][0] = _mm256_load_si256((const __m256i *)(output + o * stride + column));
			sum[o][1] = _mm256_load_si256((const __m256i *)(output + o * stride + column + 32));
		}
		for (unsigned i = 0; i < inputs; i++) {
			const __m128i *tables = (const __m128i *)(table[i] + skipped);
			__m256i first = _mm256_load_si256((const __m256i *)(input[i] + column));
			__m256i second = _mm256_load_si256((const __m256i *)(input[i] + column + 32));
			__m256i first_high = _mm256_and_si256(_mm256_srli_epi16(first, 4), mask);
			__m256i second_high = _mm256_and_si256(_mm256_srli_epi16(second, 4), mask);

			first = _mm256_and_si256(first, mask);
			second = _mm256_and_si256(second, mask);
#pragma GCC unroll 4
			for (unsigned o = 0; o < outputs; o++) {
				__m256i low = _mm256_broadcastsi128_si256(_mm_load_si128(tables + 2 * o));
				__m256i high = _mm256_broadcastsi128_si256(_mm_load_si128(tables + 2 * o + 1));

				sum[o][0] = _mm256_xor_si256(sum[o][0], _mm256_shuffle_epi8(low, first));
				sum[o][1] = _mm256_xor_si256(sum[o][1], _mm256_shuffle_epi8(low, second));
				sum[o][0] = _mm256_xor_si256(sum[o][0], _mm256_shuffle_epi8(high, first_high));
				sum[o][1] = _mm256_xor_si256(sum[o][1], _mm256_shuffle_epi8(high, second_high));
			}
		}
#pragma GCC unroll 4
		for (unsigned o = 0; o < outputs; o++) {
			_mm256_store_si256((__m256i *)(output + o * stride + column), sum[o][0]);
			_mm256_store_si256((__m256i *)(output + o * stride + column + 32), sum[o][1]);
		}
	}
}

static AVX2 void multiply_add(uint8_t *output, size_t stride, unsigned outputs, const uint8_t *const *input,
			      const uint8_t *const *table, unsigned inputs, size_t width)
{
	unsigned done = 0;

	for (; outputs - done >= 4; done += 4)
		some(output + done * stride, stride, 4, input, table, done * 32, inputs, width);
	output += done * stride;
	switch (outputs - done) {
	case 3:
		some(output, stride, 3, input, table, done * 32, inputs, width);
		break;
	case 2:
		some(output, stride, 2, input, table, done * 32, inputs, width);
		break;
	case 1:
		some(output, stride, 1, input, table, done * 32, inputs, width);
		break;
	}
}

const struct fec_path fec_avx2 = { 32, expand, multiply_add };
#endif
