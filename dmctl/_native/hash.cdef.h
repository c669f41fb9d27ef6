/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Read by cffi: hash.h as Python sees it. */

#define DMCTL_HASH_MAX_DIGEST ...
#define DMCTL_HASH_MAX_SALT ...
#define DMCTL_HASH_MIN_BLOCK ...
#define DMCTL_HASH_MAX_BLOCK ...
#define DMCTL_HASH_MAX_THREADS ...

struct dmctl_hash;

const char *dmctl_hash_algorithm(int index);
int dmctl_hash_digest_bytes(const char *algorithm);
const char *dmctl_hash_path(const char *algorithm, int index);
struct dmctl_hash *dmctl_hash_new(const char *algorithm, const char *path, const uint8_t *salt, size_t salt_bytes,
				  int type);
void dmctl_hash_free(struct dmctl_hash *hash);
const char *dmctl_hash_path_of(const struct dmctl_hash *hash);
int dmctl_hash_digest(const struct dmctl_hash *hash, const uint8_t *data, size_t data_bytes, uint8_t *digest);
int dmctl_hash_memory(const struct dmctl_hash *hash, const uint8_t *data, uint32_t block_bytes, size_t blocks,
		      uint8_t *digests);

enum { DMCTL_HASH_DONE, DMCTL_HASH_CANCELLED, DMCTL_HASH_FAILED, ... };
enum { DMCTL_HASH_NO_SIDE, DMCTL_HASH_SOURCE, DMCTL_HASH_DESTINATION, ... };

struct dmctl_hash_job {
	int source_fd;
	const uint8_t *source;
	uint64_t source_offset_bytes;
	uint32_t block_bytes;
	uint64_t level_blocks;
	uint64_t first_block, blocks;
	int destination_fd;
	uint8_t *destination;
	uint64_t destination_offset_bytes;
	uint32_t hash_block_bytes, slot_bytes, digests_per_block;
	int verify;
	uint8_t *bad_blocks, *bad_padding;
	int threads;
	int cancel;
	uint64_t blocks_done;
	uint64_t bytes_read;
	uint64_t bad_block_count, bad_padding_count;
	int error_side;
	int error_errno;
	uint64_t error_offset_bytes;
	...;
};
int dmctl_hash_run(const struct dmctl_hash *hash, struct dmctl_hash_job *job);

struct dmctl_hash_leaves;
struct dmctl_hash_leaves *dmctl_hash_leaves_new(const struct dmctl_hash *hash, struct dmctl_hash_job *job);
void dmctl_hash_leaves_free(struct dmctl_hash_leaves *leaves);
int dmctl_hash_leaves_show(void *leaves, uint64_t first, size_t count, const uint8_t *data);
