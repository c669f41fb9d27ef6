/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Kernels of SHA-2, and what they share: FIPS 180-4's constants. */
#ifndef DMCTL_HASH_SHA2_H
#define DMCTL_HASH_SHA2_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

extern const uint32_t hash_sha256_constants[64];
extern const uint64_t hash_sha512_constants[80];

#ifdef __x86_64__
bool hash_has_avx512(void);
bool hash_has_shani(void);
bool hash_has_avx2(void);

void hash_sha256_avx512(void *state, const uint8_t *const *data, size_t message_blocks);
void hash_sha256_shani(void *state, const uint8_t *const *data, size_t message_blocks);
void hash_sha256_avx2(void *state, const uint8_t *const *data, size_t message_blocks);
void hash_sha512_avx512(void *state, const uint8_t *const *data, size_t message_blocks);
void hash_sha512_avx2(void *state, const uint8_t *const *data, size_t message_blocks);
#endif

#endif
