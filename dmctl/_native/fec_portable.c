/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Multiplication by constants in plain C, which compilers turn into the vectors that every x86-64 and arm64 has: the
 * input times 1, 2, 4, ... 128, of which a constant's bits say what to add. */
#include "fec_gf.h"

#define PIECE 512

static void expand(uint8_t constant, uint8_t *expanded)
{
	*expanded = constant;
}

static void times_two(uint8_t *restrict output, const uint8_t *restrict input, size_t width)
{
	for (size_t c = 0; c < width; c++)
		output[c] = (uint8_t)(input[c] << 1) ^ (input[c] & 0x80 ? 0x1d : 0);
}

static void add(uint8_t *restrict output, const uint8_t *restrict input, size_t width)
{
	for (size_t c = 0; c < width; c++)
		output[c] ^= input[c];
}

static void add_four(uint8_t *restrict output, const uint8_t *const *input, size_t width)
{
	const uint8_t *restrict a = input[0], *restrict b = input[1], *restrict d = input[2], *restrict e = input[3];

	for (size_t c = 0; c < width; c++)
		output[c] ^= (uint8_t)(a[c] ^ b[c]) ^ (uint8_t)(d[c] ^ e[c]);
}

static void multiply_add(uint8_t *output, size_t stride, unsigned outputs, const uint8_t *const *input,
			 const uint8_t *const *table, unsigned inputs, size_t width)
{
	uint8_t doubled[7][PIECE] __attribute__((aligned(64)));

	for (size_t column = 0; column < width; column += PIECE) {
		size_t piece = width - column < PIECE ? width - column : PIECE;

		for (unsigned i = 0; i < inputs; i++) {
			const uint8_t *power[8] = { input[i] + column };

			for (unsigned bit = 1; bit < 8; bit++) {
				times_two(doubled[bit - 1], power[bit - 1], piece);
				power[bit] = doubled[bit - 1];
			}
			for (unsigned o = 0; o < outputs; o++) {
				uint8_t *sum = output + o * stride + column;
				const uint8_t *chosen[8];
				unsigned count = 0, done = 0;

				for (unsigned bit = 0; bit < 8; bit++)
					if (table[i][o] >> bit & 1)
						chosen[count++] = power[bit];
				for (; count - done >= 4; done += 4)
					add_four(sum, chosen + done, piece);
				for (; done < count; done++)
					add(sum, chosen[done], piece);
			}
		}
	}
}

const struct fec_path fec_portable = { 1, expand, multiply_add };
