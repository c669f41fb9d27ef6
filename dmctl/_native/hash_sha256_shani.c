/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SHA-256 by the processor's own instructions, two streams: one fills the time in which the other waits. */
#include "hash_sha2.h"

#ifdef __x86_64__
#include <immintrin.h>

#define TARGET __attribute__((target("sha,sse4.1,ssse3")))
enum { STREAMS = 2 };

/* The instructions take the state as two vectors, a b e f and c d g h, first word highest. */
TARGET void hash_sha256_shani(void *state, const uint8_t *const *data, size_t message_blocks)
{
	const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
	uint32_t (*words)[STREAMS] = state;
	__m128i abef[STREAMS], cdgh[STREAMS], w[4][STREAMS];

#define BOTH _Pragma("GCC unroll 2") for (int s = 0; s < STREAMS; s++)
	BOTH {
		abef[s] = _mm_set_epi32(words[0][s], words[1][s], words[4][s], words[5][s]);
		cdgh[s] = _mm_set_epi32(words[2][s], words[3][s], words[6][s], words[7][s]);
	}
	for (size_t at = 0; at < message_blocks * 64; at += 64) {
		__m128i abef_before[STREAMS], cdgh_before[STREAMS];

		BOTH {
			abef_before[s] = abef[s];
			cdgh_before[s] = cdgh[s];
		}
#pragma GCC unroll 16
		for (int i = 0; i < 16; i++) {
			__m128i constants = _mm_loadu_si128((const __m128i *) hash_sha256_constants + i);

			/* One stream's four rounds as a whole, then the other's: each step of both in turn takes a tenth
			 * longer, for the third operand is always the same register. */
			BOTH {
				__m128i *oldest = &w[i % 4][s], sum;

				if (i < 4) {
					sum = _mm_loadu_si128((const __m128i *) (data[s] + at) + i);
					*oldest = _mm_shuffle_epi8(sum, swap);
				} else { /* the four words that follow those in w */
					__m128i last = w[(i + 3) % 4][s];
					__m128i next = _mm_sha256msg1_epu32(*oldest, w[(i + 1) % 4][s]);

					next = _mm_add_epi32(next, _mm_alignr_epi8(last, w[(i + 2) % 4][s], 4));
					*oldest = _mm_sha256msg2_epu32(next, last);
				}
				sum = _mm_add_epi32(*oldest, constants);
				cdgh[s] = _mm_sha256rnds2_epu32(cdgh[s], abef[s], sum);
				sum = _mm_shuffle_epi32(sum, 0x0e);
				abef[s] = _mm_sha256rnds2_epu32(abef[s], cdgh[s], sum);
			}
		}
		BOTH {
			abef[s] = _mm_add_epi32(abef[s], abef_before[s]);
			cdgh[s] = _mm_add_epi32(cdgh[s], cdgh_before[s]);
		}
	}
	BOTH {
		words[0][s] = _mm_extract_epi32(abef[s], 3);
		words[1][s] = _mm_extract_epi32(abef[s], 2);
		words[4][s] = _mm_extract_epi32(abef[s], 1);
		words[5][s] = _mm_extract_epi32(abef[s], 0);
		words[2][s] = _mm_extract_epi32(cdgh[s], 3);
		words[3][s] = _mm_extract_epi32(cdgh[s], 2);
		words[6][s] = _mm_extract_epi32(cdgh[s], 1);
		words[7][s] = _mm_extract_epi32(cdgh[s], 0);
	}
}
#endif
