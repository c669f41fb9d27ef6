/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SHA-512, four streams */
#include "hash_sha2.h"

#ifdef __x86_64__
#include <immintrin.h>

#define KERNEL hash_sha512_avx2
#define TARGET __attribute__((target("avx2")))
#define WORD uint64_t
#define VECTOR __m256i
#define LANES 4
#define ROUNDS 80
#define CONSTANTS hash_sha512_constants
#define ADD(a, b) _mm256_add_epi64(a, b)
#define EVERY(word) _mm256_set1_epi64x((long long) (word))
#define LOAD(p) _mm256_load_si256((const __m256i *) (p))
#define STORE(p, v) _mm256_store_si256((__m256i *) (p), v)
#define XOR(a, b) _mm256_xor_si256(a, b)
#define CHOOSE(e, f, g) XOR(g, _mm256_and_si256(e, XOR(f, g)))
#define MAJORITY(a, b, c) XOR(b, _mm256_and_si256(XOR(a, b), XOR(b, c)))
#define SHIFT(x, n) _mm256_srli_epi64(x, n)
#define ROTATE(x, n) XOR(SHIFT(x, n), _mm256_slli_epi64(x, 64 - (n)))
#define BIG_SIGMA0(x) XOR(XOR(ROTATE(x, 28), ROTATE(x, 34)), ROTATE(x, 39))
#define BIG_SIGMA1(x) XOR(XOR(ROTATE(x, 14), ROTATE(x, 18)), ROTATE(x, 41))
/* By whole bytes, one instruction instead of three */
#define ROTATE_8(x) _mm256_shuffle_epi8(x, _mm256_broadcastsi128_si256( \
	_mm_set_epi64x(0x080f0e0d0c0b0a09, 0x0007060504030201)))
#define SMALL_SIGMA0(x) XOR(XOR(ROTATE(x, 1), ROTATE_8(x)), SHIFT(x, 7))
#define SMALL_SIGMA1(x) XOR(XOR(ROTATE(x, 19), ROTATE(x, 61)), SHIFT(x, 6))

TARGET static inline __attribute__((always_inline))
void load_message(__m256i *w, const uint8_t *const *data, size_t at)
{
	const __m256i swap = _mm256_broadcastsi128_si256(_mm_set_epi64x(0x08090a0b0c0d0e0f, 0x0001020304050607));
	__m256i rows[4], pairs[4];

	for (int quarter = 0; quarter < 4; quarter++, w += 4, at += 32) {
		/* A stream a vector … */
		for (int i = 0; i < 4; i++)
			rows[i] = _mm256_shuffle_epi8(_mm256_loadu_si256((const __m256i *) (data[i] + at)), swap);
		/* … in each half of a vector two streams' same word, then all four. */
		for (int i = 0; i < 4; i += 2) {
			pairs[i] = _mm256_unpacklo_epi64(rows[i], rows[i + 1]);
			pairs[i + 1] = _mm256_unpackhi_epi64(rows[i], rows[i + 1]);
		}
		for (int i = 0; i < 2; i++) {
			w[i] = _mm256_permute2x128_si256(pairs[i], pairs[i + 2], 0x20);
			w[i + 2] = _mm256_permute2x128_si256(pairs[i], pairs[i + 2], 0x31);
		}
	}
}

#include "hash_sha2_lanes.h"
#endif
