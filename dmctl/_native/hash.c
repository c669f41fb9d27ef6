/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Algorithms by the kernel's names, and their digests by way of OpenSSL's EVP or our own kernels. */
#include "hash_core.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* FIPS 180-4, 5.3.2 to 5.3.5 */
static const uint64_t sha224_initial[8] = {
	0xc1059ed8, 0x367cd507, 0x3070dd17, 0xf70e5939, 0xffc00b31, 0x68581511, 0x64f98fa7, 0xbefa4fa4,
};
static const uint64_t sha256_initial[8] = {
	0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
};
static const uint64_t sha384_initial[8] = {
	0xcbbb9d5dc1059ed8, 0x629a292a367cd507, 0x9159015a3070dd17, 0x152fecd8f70e5939,
	0x67332667ffc00b31, 0x8eb44a8768581511, 0xdb0c2e0d64f98fa7, 0x47b5481dbefa4fa4,
};
static const uint64_t sha512_initial[8] = {
	0x6a09e667f3bcc908, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b, 0xa54ff53a5f1d36f1,
	0x510e527fade682d1, 0x9b05688c2b3e6c1f, 0x1f83d9abfb41bd6b, 0x5be0cd19137e2179,
};

static const struct hash_algorithm algorithms[] = {
	{ "sha256", "SHA2-256", 32, HASH_SHA256, sha256_initial },
	{ "sha512", "SHA2-512", 64, HASH_SHA512, sha512_initial },
	{ "sha1", "SHA1", 20 },
	{ "sha224", "SHA2-224", 28, HASH_SHA256, sha224_initial },
	{ "sha384", "SHA2-384", 48, HASH_SHA512, sha384_initial },
	{ "sha3-224", "SHA3-224", 28 },
	{ "sha3-256", "SHA3-256", 32 },
	{ "sha3-384", "SHA3-384", 48 },
	{ "sha3-512", "SHA3-512", 64 },
	{ "blake2b-512", "BLAKE2B-512", 64 },
	{ "blake2s-256", "BLAKE2S-256", 32 },
	{ "rmd160", "RIPEMD-160", 20 },
	{ "sm3", "SM3", 32 },
	{ "md5", "MD5", 16 },
};
static const size_t algorithm_count = sizeof(algorithms) / sizeof(*algorithms);

EVP_MD *hash_fetch(const struct hash_algorithm *algorithm)
{
	return EVP_MD_fetch(NULL, algorithm->openssl, NULL);
}

/* An OpenSSL may be built, or be set up by its administrator, without some of them. */
static bool available(const struct hash_algorithm *algorithm)
{
	EVP_MD *md = hash_fetch(algorithm);
	bool is = md && EVP_MD_get_size(md) == algorithm->digest_bytes;

	EVP_MD_free(md);
	return is;
}

const struct hash_algorithm *hash_find_algorithm(const char *name)
{
	for (size_t i = 0; i < algorithm_count; i++)
		if (!strcmp(name, algorithms[i].name))
			return available(&algorithms[i]) ? &algorithms[i] : NULL;
	return NULL;
}

const char *dmctl_hash_algorithm(int index)
{
	for (size_t i = 0; i < algorithm_count; i++)
		if (available(&algorithms[i]) && !index--)
			return algorithms[i].name;
	return NULL;
}

int dmctl_hash_digest_bytes(const char *name)
{
	const struct hash_algorithm *algorithm = hash_find_algorithm(name);

	return algorithm ? algorithm->digest_bytes : 0;
}

static const char evp_name[] = "evp";

const char *dmctl_hash_path(const char *name, int index)
{
	const struct hash_algorithm *algorithm = hash_find_algorithm(name);
	const struct hash_path *path = NULL;

	if (!algorithm)
		return NULL;
	for (int slow = 0; slow < 2; slow++) {
		while ((path = hash_next_path(algorithm->family, path, slow)))
			if (!index--)
				return path->name;
		if (!slow && !index--)
			return evp_name;
	}
	return NULL;
}

const char *dmctl_hash_path_of(const struct dmctl_hash *hash)
{
	return hash->path ? hash->path->name : evp_name;
}

static bool choose_path(struct dmctl_hash *hash, const char *name)
{
	enum hash_family family = hash->algorithm->family;

	hash->forced = *name;
	if (!*name)
		hash->path = hash_next_path(family, NULL, false);
	if (!*name || !strcmp(name, evp_name))
		return true;
	for (int slow = 0; slow < 2; slow++)
		while ((hash->path = hash_next_path(family, hash->path, slow)))
			if (!strcmp(name, hash->path->name))
				return true;
	return false;
}

struct dmctl_hash *dmctl_hash_new(const char *name, const char *path, const uint8_t *salt, size_t salt_bytes, int type)
{
	const struct hash_algorithm *algorithm = hash_find_algorithm(name);
	struct dmctl_hash *hash;

	if (salt_bytes > DMCTL_HASH_MAX_SALT || (type != 0 && type != 1)) {
		errno = EINVAL;
		return NULL;
	}
	if (!algorithm) {
		errno = ENOENT;
		return NULL;
	}
	if (!(hash = calloc(1, sizeof(*hash))))
		return NULL;
	hash->algorithm = algorithm;
	hash->salt_last = type == 0;
	hash->salt_bytes = salt_bytes;
	memcpy(hash->salt, salt, salt_bytes);
	if (!choose_path(hash, path)) {
		free(hash);
		errno = ENOTSUP;
		return NULL;
	}
	if (!(hash->md = hash_fetch(algorithm))) {
		free(hash);
		errno = ENOMEM;
		return NULL;
	}
	if (hash->path)
		hash_set_midstate(hash, hash->path);
	return hash;
}

void dmctl_hash_free(struct dmctl_hash *hash)
{
	if (hash)
		EVP_MD_free(hash->md);
	free(hash);
}

int hash_worker_open(const struct dmctl_hash *hash, struct hash_worker *worker)
{
	worker->context = EVP_MD_CTX_new();
	worker->salted = EVP_MD_CTX_new();
	if (worker->context && worker->salted && EVP_DigestInit_ex2(worker->salted, hash->md, NULL) &&
	    (hash->salt_last || EVP_DigestUpdate(worker->salted, hash->salt, hash->salt_bytes)))
		return 0;
	hash_worker_close(worker);
	return ENOMEM;
}

void hash_worker_close(struct hash_worker *worker)
{
	EVP_MD_CTX_free(worker->context);
	EVP_MD_CTX_free(worker->salted);
	worker->context = worker->salted = NULL;
}

int hash_evp(const struct dmctl_hash *hash, struct hash_worker *worker, const uint8_t *data, size_t data_bytes,
	     uint8_t *digest)
{
	EVP_MD_CTX *context = worker->context;

	if (EVP_MD_CTX_copy_ex(context, worker->salted) && EVP_DigestUpdate(context, data, data_bytes) &&
	    (!hash->salt_last || EVP_DigestUpdate(context, hash->salt, hash->salt_bytes)) &&
	    EVP_DigestFinal_ex(context, digest, NULL))
		return 0;
	return ENOMEM; /* the only way in which a digest that was fetched can fail */
}

int hash_blocks(const struct dmctl_hash *hash, struct hash_worker *worker, const uint8_t *const *blocks,
		uint32_t block_bytes, uint8_t *const *digests, size_t count)
{
	const struct hash_path *path = hash->path;
	size_t done = 0, now;
	int error;

	while (path && done < count) {
		now = hash->forced ? count - done : (count - done) - (count - done) % path->lanes;
		if (count - done - now > (size_t) path->spare)
			now = count - done;
		hash_lanes(hash, path, blocks + done, block_bytes, digests + done, now);
		done += now;
		if (done < count)
			path = hash_next_path(hash->algorithm->family, path, false);
	}
	for (; done < count; done++)
		if ((error = hash_evp(hash, worker, blocks[done], block_bytes, digests[done])))
			return error;
	return 0;
}

int dmctl_hash_digest(const struct dmctl_hash *hash, const uint8_t *data, size_t data_bytes, uint8_t *digest)
{
	struct hash_worker worker;
	int error = hash_worker_open(hash, &worker);

	if (!error) {
		error = hash_evp(hash, &worker, data, data_bytes, digest);
		hash_worker_close(&worker);
	}
	return error;
}

int dmctl_hash_memory(const struct dmctl_hash *hash, const uint8_t *data, uint32_t block_bytes, size_t count,
		      uint8_t *digests)
{
	enum { AT_ONCE = 64 };
	const uint8_t *blocks[AT_ONCE];
	uint8_t *out[AT_ONCE];
	struct hash_worker worker;
	int error;

	if (block_bytes % DMCTL_HASH_MIN_BLOCK)
		return EINVAL;
	if ((error = hash_worker_open(hash, &worker)))
		return error;
	for (size_t i, done = 0; done < count && !error; done += i) {
		for (i = 0; i < AT_ONCE && done + i < count; i++) {
			blocks[i] = data + (done + i) * block_bytes;
			out[i] = digests + (done + i) * hash->algorithm->digest_bytes;
		}
		error = hash_blocks(hash, &worker, blocks, block_bytes, out, i);
	}
	hash_worker_close(&worker);
	return error;
}
