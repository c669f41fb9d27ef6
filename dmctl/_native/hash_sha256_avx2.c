/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SHA-256, eight streams */
#include "hash_sha2.h"

#ifdef __x86_64__
#include <immintrin.h>

#define KERNEL hash_sha256_avx2
#define TARGET __attribute__((target("avx2")))
#define WORD uint32_t
#define VECTOR __m256i
#define LANES 8
#define ROUNDS 64
#define CONSTANTS hash_sha256_constants
#define ADD(a, b) _mm256_add_epi32(a, b)
#define EVERY(word) _mm256_set1_epi32((int) (word))
#define LOAD(p) _mm256_load_si256((const __m256i *) (p))
#define STORE(p, v) _mm256_store_si256((__m256i *) (p), v)
#define XOR(a, b) _mm256_xor_si256(a, b)
#define CHOOSE(e, f, g) XOR(g, _mm256_and_si256(e, XOR(f, g)))
#define MAJORITY(a, b, c) XOR(b, _mm256_and_si256(XOR(a, b), XOR(b, c)))
#define SHIFT(x, n) _mm256_srli_epi32(x, n)
#define ROTATE(x, n) XOR(SHIFT(x, n), _mm256_slli_epi32(x, 32 - (n)))
#define BIG_SIGMA0(x) XOR(XOR(ROTATE(x, 2), ROTATE(x, 13)), ROTATE(x, 22))
#define BIG_SIGMA1(x) XOR(XOR(ROTATE(x, 6), ROTATE(x, 11)), ROTATE(x, 25))
#define SMALL_SIGMA0(x) XOR(XOR(ROTATE(x, 7), ROTATE(x, 18)), SHIFT(x, 3))
#define SMALL_SIGMA1(x) XOR(XOR(ROTATE(x, 17), ROTATE(x, 19)), SHIFT(x, 10))

TARGET static inline __attribute__((always_inline))
void load_message(__m256i *w, const uint8_t *const *data, size_t at)
{
	const __m256i swap = _mm256_broadcastsi128_si256(_mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203));
	__m256i rows[8], pairs[8], fours[8];

	for (int half = 0; half < 2; half++, w += 8, at += 32) {
		/* A stream a vector … */
		for (int i = 0; i < 8; i++)
			rows[i] = _mm256_shuffle_epi8(_mm256_loadu_si256((const __m256i *) (data[i] + at)), swap);
		/* … in each half of a vector four streams' same word, then all eight. */
		for (int i = 0; i < 8; i += 2) {
			pairs[i] = _mm256_unpacklo_epi32(rows[i], rows[i + 1]);
			pairs[i + 1] = _mm256_unpackhi_epi32(rows[i], rows[i + 1]);
		}
		for (int i = 0; i < 8; i += 4) {
			fours[i] = _mm256_unpacklo_epi64(pairs[i], pairs[i + 2]);
			fours[i + 1] = _mm256_unpackhi_epi64(pairs[i], pairs[i + 2]);
			fours[i + 2] = _mm256_unpacklo_epi64(pairs[i + 1], pairs[i + 3]);
			fours[i + 3] = _mm256_unpackhi_epi64(pairs[i + 1], pairs[i + 3]);
		}
		for (int i = 0; i < 4; i++) {
			w[i] = _mm256_permute2x128_si256(fours[i], fours[i + 4], 0x20);
			w[i + 4] = _mm256_permute2x128_si256(fours[i], fours[i + 4], 0x31);
		}
	}
}

#include "hash_sha2_lanes.h"
#endif
