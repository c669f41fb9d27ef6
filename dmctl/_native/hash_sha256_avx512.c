/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SHA-256, sixteen streams */
#include "hash_sha2.h"

#ifdef __x86_64__
#include <immintrin.h>

#define KERNEL hash_sha256_avx512
#define TARGET __attribute__((target("avx512f,avx512bw")))
#define WORD uint32_t
#define VECTOR __m512i
#define LANES 16
#define ROUNDS 64
#define CONSTANTS hash_sha256_constants
#define ADD(a, b) _mm512_add_epi32(a, b)
#define EVERY(word) _mm512_set1_epi32((int) (word))
#define LOAD(p) _mm512_load_si512(p)
#define STORE(p, v) _mm512_store_si512(p, v)
/* The truth tables of a ^ b ^ c, of e ? f : g, and of the majority */
#define XOR3(a, b, c) _mm512_ternarylogic_epi32(a, b, c, 0x96)
#define CHOOSE(e, f, g) _mm512_ternarylogic_epi32(e, f, g, 0xca)
#define MAJORITY(a, b, c) _mm512_ternarylogic_epi32(a, b, c, 0xe8)
#define ROTATE(x, n) _mm512_ror_epi32(x, n)
#define BIG_SIGMA0(x) XOR3(ROTATE(x, 2), ROTATE(x, 13), ROTATE(x, 22))
#define BIG_SIGMA1(x) XOR3(ROTATE(x, 6), ROTATE(x, 11), ROTATE(x, 25))
#define SMALL_SIGMA0(x) XOR3(ROTATE(x, 7), ROTATE(x, 18), _mm512_srli_epi32(x, 3))
#define SMALL_SIGMA1(x) XOR3(ROTATE(x, 17), ROTATE(x, 19), _mm512_srli_epi32(x, 10))

TARGET static inline __attribute__((always_inline))
void load_message(__m512i *w, const uint8_t *const *data, size_t at)
{
	const __m512i swap = _mm512_broadcast_i32x4(_mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203));
	__m512i pairs[16], fours[16];

	/* A stream a vector … */
	for (int i = 0; i < 16; i++)
		w[i] = _mm512_shuffle_epi8(_mm512_loadu_si512(data[i] + at), swap);
	/* … in each quarter of a vector four streams' same word, then all sixteen. */
	for (int i = 0; i < 16; i += 2) {
		pairs[i] = _mm512_unpacklo_epi32(w[i], w[i + 1]);
		pairs[i + 1] = _mm512_unpackhi_epi32(w[i], w[i + 1]);
	}
	for (int i = 0; i < 16; i += 4) {
		fours[i] = _mm512_unpacklo_epi64(pairs[i], pairs[i + 2]);
		fours[i + 1] = _mm512_unpackhi_epi64(pairs[i], pairs[i + 2]);
		fours[i + 2] = _mm512_unpacklo_epi64(pairs[i + 1], pairs[i + 3]);
		fours[i + 3] = _mm512_unpackhi_epi64(pairs[i + 1], pairs[i + 3]);
	}
	for (int i = 0; i < 4; i++) {
		__m512i low01 = _mm512_shuffle_i32x4(fours[i], fours[i + 4], 0x88);
		__m512i high01 = _mm512_shuffle_i32x4(fours[i], fours[i + 4], 0xdd);
		__m512i low23 = _mm512_shuffle_i32x4(fours[i + 8], fours[i + 12], 0x88);
		__m512i high23 = _mm512_shuffle_i32x4(fours[i + 8], fours[i + 12], 0xdd);

		w[i] = _mm512_shuffle_i32x4(low01, low23, 0x88);
		w[i + 8] = _mm512_shuffle_i32x4(low01, low23, 0xdd);
		w[i + 4] = _mm512_shuffle_i32x4(high01, high23, 0x88);
		w[i + 12] = _mm512_shuffle_i32x4(high01, high23, 0xdd);
	}
}

#include "hash_sha2_lanes.h"
#endif
