/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Multiplication by constants with no more than what every x86-64 and arm64 has (SSE2, NEON): the input times 1, 2, 4,
 * ... 128, of which a constant's bits say what to add. */
#include "fec_gf.h"

#include <string.h>

/* Of 8 powers a piece each is 4 KiB: with the outputs they stay in the first cache. */
#define PIECE 512

typedef uint8_t vector __attribute__((vector_size(16)));
typedef int8_t signs __attribute__((vector_size(16)));

static void expand(uint8_t constant, uint8_t *expanded)
{
	*expanded = constant;
}

static void find_powers(vector (*power)[PIECE / 16], const uint8_t *input, size_t width)
{
	for (size_t v = 0; v < width / 16; v++) {
		vector value;

		memcpy(&value, input + 16 * v, 16);
		power[0][v] = value;
		for (unsigned bit = 1; bit < 8; bit++)
			power[bit][v] = value = (value + value) ^ ((vector)((signs)value < 0) & 0x1d);
	}
}

/* output ^= the sum of count powers; count is a constant where this is inlined. */
static inline __attribute__((always_inline)) void add(uint8_t *output, vector *const *power, unsigned count,
						      size_t width)
{
	for (size_t v = 0; v < width / 16; v++) {
		vector sum;

		memcpy(&sum, output + 16 * v, 16);
		for (unsigned i = 0; i < count; i++)
			sum ^= power[i][v];
		memcpy(output + 16 * v, &sum, 16);
	}
}

static void add_chosen(uint8_t *output, vector *const *power, unsigned count, size_t width)
{
	switch (count) {
	case 1:
		return add(output, power, 1, width);
	case 2:
		return add(output, power, 2, width);
	case 3:
		return add(output, power, 3, width);
	case 4:
		return add(output, power, 4, width);
	case 5:
		return add(output, power, 5, width);
	case 6:
		return add(output, power, 6, width);
	case 7:
		return add(output, power, 7, width);
	case 8:
		return add(output, power, 8, width);
	}
}

static void multiply_add(uint8_t *output, size_t stride, unsigned outputs, const uint8_t *const *input,
			 const uint8_t *const *table, unsigned inputs, size_t width)
{
	vector power[8][PIECE / 16];

	for (size_t column = 0; column < width; column += PIECE) {
		size_t piece = width - column < PIECE ? width - column : PIECE;

		for (unsigned i = 0; i < inputs; i++) {
			find_powers(power, input[i] + column, piece);
			for (unsigned o = 0; o < outputs; o++) {
				vector *chosen[8];
				unsigned count = 0;

				for (unsigned bit = 0; bit < 8; bit++)
					if (table[i][o] >> bit & 1)
						chosen[count++] = power[bit];
				add_chosen(output + o * stride + column, chosen, count, piece);
			}
		}
	}
}

const struct fec_path fec_portable = { 1, expand, multiply_add };
