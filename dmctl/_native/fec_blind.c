/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One codeword from its syndromes: errors at unknown places beside the erasures (Berlekamp and Massey, Forney). */
#include "fec_gf.h"

#include <string.h>

struct polynomial {
	uint8_t factor[FEC_MAX_ROOTS + 2];	/* of x to the power of */
};

static uint8_t value_at(const struct polynomial *polynomial, unsigned degree, uint8_t x)
{
	uint8_t value = 0;

	for (unsigned i = degree + 1; i-- > 0;)
		value = fec_mul(value, x) ^ polynomial->factor[i];
	return value;
}

static void times_x(struct polynomial *polynomial)
{
	memmove(polynomial->factor + 1, polynomial->factor, FEC_MAX_ROOTS + 1);
	polynomial->factor[0] = 0;
}

/* Its roots are the inverses of the locators of all wrong symbols. Returns how many these should be, or -1. */
static int locate(unsigned roots, const uint8_t *syndromes, const uint8_t *erased, unsigned count,
		  struct polynomial *locator)
{
	struct polynomial previous;
	unsigned length = count;

	memset(locator, 0, sizeof(*locator));
	locator->factor[0] = 1;
	for (unsigned i = 0; i < count; i++)
		for (unsigned j = i + 1; j > 0; j--)
			locator->factor[j] ^= fec_mul(locator->factor[j - 1], fec_exp[fec_power(erased[i])]);
	previous = *locator;
	for (unsigned step = count; step < roots; step++) {
		uint8_t discrepancy = 0;

		for (unsigned i = 0; i <= step; i++)
			discrepancy ^= fec_mul(locator->factor[i], syndromes[step - i]);
		times_x(&previous);
		if (!discrepancy)
			continue;
		struct polynomial before = *locator;
		for (unsigned i = 0; i <= FEC_MAX_ROOTS; i++)
			locator->factor[i] ^= fec_mul(discrepancy, previous.factor[i]);
		if (2 * length <= step + count) {
			length = step + 1 + count - length;
			for (unsigned i = 0; i <= FEC_MAX_ROOTS; i++)
				previous.factor[i] = fec_mul(before.factor[i], fec_inverse(discrepancy));
		}
	}
	/* length - count errors, two roots each. */
	if (2 * length > roots + count || !locator->factor[length])
		return -1;
	for (unsigned i = length + 1; i <= FEC_MAX_ROOTS; i++)
		if (locator->factor[i])
			return -1;
	return length;
}

int fec_decode_codeword(unsigned roots, const uint8_t *syndromes, const uint8_t *erased, unsigned count,
			uint8_t *symbols, uint8_t *values)
{
	struct polynomial locator, evaluator, derivative;
	int length, found = 0;

	for (unsigned i = 0; i < roots && !found; i++)
		found = syndromes[i] != 0;
	if (!found)
		return 0;
	length = locate(roots, syndromes, erased, count, &locator);
	if (length < 0)
		return -1;

	memset(&evaluator, 0, sizeof(evaluator));
	for (unsigned i = 0; i < roots; i++)
		for (unsigned j = 0; j <= i; j++)
			evaluator.factor[i] ^= fec_mul(locator.factor[j], syndromes[i - j]);
	memset(&derivative, 0, sizeof(derivative));
	for (int i = 1; i <= length; i += 2)
		derivative.factor[i - 1] = locator.factor[i];

	found = 0;
	for (unsigned symbol = 0; symbol < FEC_SYMBOLS; symbol++) {
		uint8_t place = fec_exp[fec_power(symbol)], inverse = fec_inverse(place), slope;

		if (value_at(&locator, length, inverse))
			continue;
		slope = value_at(&derivative, length, inverse);
		if (!slope || found == length)
			return -1;
		symbols[found] = symbol;
		values[found++] = fec_mul(fec_mul(place, value_at(&evaluator, roots - 1, inverse)), fec_inverse(slope));
	}
	/* As many as the locator says: then they have these very syndromes, not only the first of them. */
	return found == length ? found : -1;
}
