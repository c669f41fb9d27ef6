/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* CRC-32C (Castagnoli): with the processor's own instruction, else by tables of eight bytes at a time. */
#include "thin.h"

#include <endian.h>
#include <pthread.h>
#include <string.h>

enum { FIRST = 4, WORDS = (DMCTL_THIN_BLOCK_BYTES - FIRST) / 8, REST = (DMCTL_THIN_BLOCK_BYTES - FIRST) % 8 };

static const uint32_t polynomial = 0x82f63b78;	/* reflected */
static uint32_t table[8][256];

static void fill_table(void)
{
	for (uint32_t byte = 0; byte < 256; byte++) {
		uint32_t crc = byte;

		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? polynomial : 0);
		table[0][byte] = crc;
	}
	for (int i = 1; i < 8; i++)
		for (uint32_t byte = 0; byte < 256; byte++)
			table[i][byte] = table[i - 1][byte] >> 8 ^ table[0][table[i - 1][byte] & 0xff];
}

static uint32_t crc_by_table(const uint8_t *data)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	uint32_t crc = ~0u;

	pthread_once(&once, fill_table);
	for (int word = 0; word < WORDS; word++, data += 8) {
		uint64_t bytes;

		memcpy(&bytes, data, 8);
		bytes = le64toh(bytes) ^ crc;
		crc = 0;
		for (int i = 0; i < 8; i++)
			crc ^= table[7 - i][bytes >> 8 * i & 0xff];
	}
	for (int i = 0; i < REST; i++)
		crc = crc >> 8 ^ table[0][(crc ^ data[i]) & 0xff];
	return crc;
}

#if defined(__x86_64__)
#include <nmmintrin.h>

__attribute__((target("sse4.2"))) static uint32_t crc_by_instruction(const uint8_t *data)
{
	uint64_t crc = ~0u, bytes;

	for (int word = 0; word < WORDS; word++, data += 8) {
		memcpy(&bytes, data, 8);
		crc = _mm_crc32_u64(crc, bytes);
	}
	for (int i = 0; i < REST; i++)
		crc = _mm_crc32_u8(crc, data[i]);
	return crc;
}

static int has_instruction(void)
{
	return __builtin_cpu_supports("sse4.2");
}
#elif defined(__ARM_FEATURE_CRC32)
#include <arm_acle.h>

static uint32_t crc_by_instruction(const uint8_t *data)
{
	uint32_t crc = ~0u;
	uint64_t bytes;

	for (int word = 0; word < WORDS; word++, data += 8) {
		memcpy(&bytes, data, 8);
		crc = __crc32cd(crc, le64toh(bytes));
	}
	for (int i = 0; i < REST; i++)
		crc = __crc32cb(crc, data[i]);
	return crc;
}

static int has_instruction(void)
{
	return 1;
}
#else
#define crc_by_instruction crc_by_table

static int has_instruction(void)
{
	return 0;
}
#endif

uint32_t dmctl_thin_checksum(const uint8_t *block, uint32_t seed)
{
	return (has_instruction() ? crc_by_instruction : crc_by_table)(block + FIRST) ^ seed;
}

uint32_t dmctl_thin_checksum_by_table(const uint8_t *block, uint32_t seed)
{
	return crc_by_table(block + FIRST) ^ seed;
}
