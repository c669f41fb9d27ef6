/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SHA-512, eight streams */
#include "hash_sha2.h"

#ifdef __x86_64__
#include <immintrin.h>

#define KERNEL hash_sha512_avx512
#define TARGET __attribute__((target("avx512f,avx512bw")))
#define WORD uint64_t
#define VECTOR __m512i
#define LANES 8
#define ROUNDS 80
#define CONSTANTS hash_sha512_constants
#define ADD(a, b) _mm512_add_epi64(a, b)
#define EVERY(word) _mm512_set1_epi64((long long) (word))
#define LOAD(p) _mm512_load_si512(p)
#define STORE(p, v) _mm512_store_si512(p, v)
/* The truth tables of a ^ b ^ c, of e ? f : g, and of the majority */
#define XOR3(a, b, c) _mm512_ternarylogic_epi64(a, b, c, 0x96)
#define CHOOSE(e, f, g) _mm512_ternarylogic_epi64(e, f, g, 0xca)
#define MAJORITY(a, b, c) _mm512_ternarylogic_epi64(a, b, c, 0xe8)
#define ROTATE(x, n) _mm512_ror_epi64(x, n)
#define BIG_SIGMA0(x) XOR3(ROTATE(x, 28), ROTATE(x, 34), ROTATE(x, 39))
#define BIG_SIGMA1(x) XOR3(ROTATE(x, 14), ROTATE(x, 18), ROTATE(x, 41))
#define SMALL_SIGMA0(x) XOR3(ROTATE(x, 1), ROTATE(x, 8), _mm512_srli_epi64(x, 7))
#define SMALL_SIGMA1(x) XOR3(ROTATE(x, 19), ROTATE(x, 61), _mm512_srli_epi64(x, 6))

TARGET static inline __attribute__((always_inline))
void load_message(__m512i *w, const uint8_t *const *data, size_t at)
{
	const __m512i swap = _mm512_broadcast_i32x4(_mm_set_epi64x(0x08090a0b0c0d0e0f, 0x0001020304050607));
	__m512i rows[8], pairs[8];

	for (int half = 0; half < 2; half++, w += 8, at += 64) {
		/* A stream a vector … */
		for (int i = 0; i < 8; i++)
			rows[i] = _mm512_shuffle_epi8(_mm512_loadu_si512(data[i] + at), swap);
		/* … in each quarter of a vector two streams' same word, then all eight. */
		for (int i = 0; i < 8; i += 2) {
			pairs[i] = _mm512_unpacklo_epi64(rows[i], rows[i + 1]);
			pairs[i + 1] = _mm512_unpackhi_epi64(rows[i], rows[i + 1]);
		}
		for (int i = 0; i < 2; i++) {
			__m512i low01 = _mm512_shuffle_i64x2(pairs[i], pairs[i + 2], 0x88);
			__m512i high01 = _mm512_shuffle_i64x2(pairs[i], pairs[i + 2], 0xdd);
			__m512i low23 = _mm512_shuffle_i64x2(pairs[i + 4], pairs[i + 6], 0x88);
			__m512i high23 = _mm512_shuffle_i64x2(pairs[i + 4], pairs[i + 6], 0xdd);

			w[i] = _mm512_shuffle_i64x2(low01, low23, 0x88);
			w[i + 4] = _mm512_shuffle_i64x2(low01, low23, 0xdd);
			w[i + 2] = _mm512_shuffle_i64x2(high01, high23, 0x88);
			w[i + 6] = _mm512_shuffle_i64x2(high01, high23, 0xdd);
		}
	}
}

#include "hash_sha2_lanes.h"
#endif
