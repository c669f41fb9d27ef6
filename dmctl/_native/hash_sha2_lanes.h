/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SHA-2 over as many streams as a vector has lanes: FIPS 180-4, 6.2.2 and 6.4.2, a vector in the place of a word.
 *
 * Included once by each kernel, which has defined
 *   KERNEL, TARGET               the function's name, and its attributes
 *   WORD, VECTOR, LANES          types, and how many words a vector has
 *   ROUNDS, CONSTANTS            64 or 80, and the table
 *   BIG_SIGMA0(x) …              the four functions of 4.1.2 or 4.1.3
 *   ADD(a, b) CHOOSE(e, f, g) MAJORITY(a, b, c) EVERY(word) LOAD(p) STORE(p, v)
 *   load_message(w, data, at)    sixteen vectors: word i of the message block at this place of each stream
 */

/* From one round's e to the next one's only a rotation, a logical function and additions of what is there already:
 * h + k + w and the choice do not wait for the sum. */
#define ROUND(a, b, c, d, e, f, g, h, k, w) do { \
	VECTOR t_ = ADD(ADD(ADD(h, ADD(EVERY(k), w)), CHOOSE(e, f, g)), BIG_SIGMA1(e)); \
	d = ADD(d, t_); \
	h = ADD(t_, ADD(BIG_SIGMA0(a), MAJORITY(a, b, c))); \
} while (0)

#define SCHEDULE(i) \
	(w[i] = ADD(ADD(w[i], SMALL_SIGMA0(w[((i) + 1) & 15])), \
		    ADD(w[((i) + 9) & 15], SMALL_SIGMA1(w[((i) + 14) & 15]))))

#define EIGHT_ROUNDS(t, i, word) do { \
	ROUND(a, b, c, d, e, f, g, h, CONSTANTS[(t) + (i) + 0], word((i) + 0)); \
	ROUND(h, a, b, c, d, e, f, g, CONSTANTS[(t) + (i) + 1], word((i) + 1)); \
	ROUND(g, h, a, b, c, d, e, f, CONSTANTS[(t) + (i) + 2], word((i) + 2)); \
	ROUND(f, g, h, a, b, c, d, e, CONSTANTS[(t) + (i) + 3], word((i) + 3)); \
	ROUND(e, f, g, h, a, b, c, d, CONSTANTS[(t) + (i) + 4], word((i) + 4)); \
	ROUND(d, e, f, g, h, a, b, c, CONSTANTS[(t) + (i) + 5], word((i) + 5)); \
	ROUND(c, d, e, f, g, h, a, b, CONSTANTS[(t) + (i) + 6], word((i) + 6)); \
	ROUND(b, c, d, e, f, g, h, a, CONSTANTS[(t) + (i) + 7], word((i) + 7)); \
} while (0)

#define GIVEN(i) w[i]

TARGET void KERNEL(void *state, const uint8_t *const *data, size_t message_blocks)
{
	WORD *words = state;
	VECTOR a = LOAD(words), b = LOAD(words + LANES), c = LOAD(words + 2 * LANES), d = LOAD(words + 3 * LANES);
	VECTOR e = LOAD(words + 4 * LANES), f = LOAD(words + 5 * LANES), g = LOAD(words + 6 * LANES);
	VECTOR h = LOAD(words + 7 * LANES);
	VECTOR w[16];

	for (size_t block = 0; block < message_blocks; block++) {
		load_message(w, data, block * 16 * sizeof(WORD));
		EIGHT_ROUNDS(0, 0, GIVEN);
		EIGHT_ROUNDS(0, 8, GIVEN);
		for (int t = 16; t < ROUNDS; t += 16) {
			EIGHT_ROUNDS(t, 0, SCHEDULE);
			EIGHT_ROUNDS(t, 8, SCHEDULE);
		}
#define SUM(x, i) (x = ADD(x, LOAD(words + (i) * LANES)), STORE(words + (i) * LANES, x))
		SUM(a, 0);
		SUM(b, 1);
		SUM(c, 2);
		SUM(d, 3);
		SUM(e, 4);
		SUM(f, 5);
		SUM(g, 6);
		SUM(h, 7);
#undef SUM
	}
}
