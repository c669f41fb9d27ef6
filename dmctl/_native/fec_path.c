/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which ways of multiplying this processor has, each tried once before it is believed. */
#include "fec.h"
#include "fec_gf.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

const struct fec_path *fec_path_of(int path)
{
	switch (path) {
	case DMCTL_FEC_PORTABLE:
		return &fec_portable;
#ifdef __x86_64__
	case DMCTL_FEC_AVX2:
		return &fec_avx2;
	case DMCTL_FEC_GFNI:
		return &fec_gfni;
	case DMCTL_FEC_GFNI512:
		return &fec_gfni512;
#endif
	default:
		return NULL;
	}
}

uint8_t *fec_expand(const struct fec_path *path, const uint8_t *matrix, size_t coefficients)
{
	void *expanded;

	if (posix_memalign(&expanded, 64, coefficients * path->constant_bytes))
		return NULL;
	for (size_t i = 0; i < coefficients; i++)
		path->expand(matrix[i], (uint8_t *)expanded + i * path->constant_bytes);
	return expanded;
}

static int processor_has(int path)
{
#ifdef __x86_64__
	__builtin_cpu_init();
	switch (path) {
	case DMCTL_FEC_AVX2:
		return __builtin_cpu_supports("avx2");
	case DMCTL_FEC_GFNI:
		return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("gfni");
	case DMCTL_FEC_GFNI512:
		return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
		       __builtin_cpu_supports("gfni");
	}
#endif
	return path == DMCTL_FEC_PORTABLE;
}

/* Every constant times every value, for every number of outputs, against the field's own tables. */
#define OUTPUTS 29
#define INPUTS 9
#define WIDTH 320

static int comes_out_right(const struct fec_path *path)
{
	static const unsigned counts[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 13, 16, 24, OUTPUTS };
	struct {
		uint8_t input[INPUTS][WIDTH], output[OUTPUTS][WIDTH];
	} *room;
	uint8_t matrix[INPUTS * OUTPUTS];
	const uint8_t *input[INPUTS], *table[INPUTS];
	void *memory;
	int right = 1;

	if (posix_memalign(&memory, 64, sizeof(*room)))
		return 0;
	room = memory;
	for (unsigned i = 0; i < INPUTS * OUTPUTS; i++)
		matrix[i] = i < 256 ? i : i * 7;
	for (unsigned i = 0; i < INPUTS; i++)
		for (unsigned c = 0; c < WIDTH; c++)
			room->input[i][c] = c + 41 * i;
	for (unsigned n = 0; right && n < sizeof(counts) / sizeof(*counts); n++) {
		unsigned outputs = counts[n];
		uint8_t *expanded = fec_expand(path, matrix, INPUTS * outputs);

		if (!expanded) {
			right = 0;
			break;
		}
		for (unsigned i = 0; i < INPUTS; i++) {
			input[i] = room->input[i];
			table[i] = expanded + i * outputs * path->constant_bytes;
		}
		memset(room->output, 0x5a, sizeof(room->output));
		path->multiply_add(room->output[0], WIDTH, outputs, input, table, INPUTS, WIDTH);
		for (unsigned o = 0; o < OUTPUTS; o++)
			for (unsigned c = 0; c < WIDTH; c++) {
				uint8_t sum = 0x5a;

				for (unsigned i = 0; o < outputs && i < INPUTS; i++)
					sum ^= fec_mul(matrix[i * outputs + o], room->input[i][c]);
				right &= sum == room->output[o][c];
			}
		free(expanded);
	}
	free(memory);
	return right;
}

static int usable[DMCTL_FEC_PATHS];

static void try_all(void)
{
	fec_gf_init();
	for (int path = 0; path < DMCTL_FEC_PATHS; path++)
		usable[path] = fec_path_of(path) && processor_has(path) && comes_out_right(fec_path_of(path));
}

int dmctl_fec_usable(int path)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, try_all);
	return path >= 0 && path < DMCTL_FEC_PATHS && usable[path];
}
