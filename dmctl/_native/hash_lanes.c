/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Our own kernels: which there are, that they are right, and how a salted block becomes whole message blocks. */
#include "hash_core.h"

const struct hash_path *hash_next_path(enum hash_family family, const struct hash_path *after)
{
	return NULL;
}

void hash_set_midstate(struct dmctl_hash *hash)
{
}

void hash_lanes(const struct dmctl_hash *hash, const struct hash_path *path, const uint8_t *const *blocks,
		uint32_t block_bytes, uint8_t *const *digests, size_t count)
{
}
