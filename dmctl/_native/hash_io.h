/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads and writes of the hashing core. */
#ifndef DMCTL_HASH_IO_H
#define DMCTL_HASH_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Direct reads begin and end at such places; a buffer has room for one more at each end, and begins at one. */
enum { HASH_IO_ALIGNMENT = 4096 };

/* A file, device, or memory where fd is -1. */
struct hash_io {
	int fd;
	bool direct;
	const uint8_t *memory;
	uint64_t sparse_bytes;	/* up to here there may be holes: 0, or the size of a regular file */
};

struct hash_io_error {
	int error;		/* 0: it ends there */
	uint64_t offset_bytes;
};

/* 0 or an errno. */
int hash_io_open(struct hash_io *io, int fd, const uint8_t *memory);
/* Where to find so many bytes, in the buffer or in the memory; NULL and the error if they could not all be read. */
const uint8_t *hash_io_read(const struct hash_io *io, uint64_t offset_bytes, size_t bytes, uint8_t *buffer,
			    struct hash_io_error *error);
bool hash_io_write(int fd, uint64_t offset_bytes, size_t bytes, const uint8_t *data, struct hash_io_error *error);
/* The first place from here on that is not in a hole, at most the end. The position of the descriptor moves. */
uint64_t hash_io_data_from(const struct hash_io *io, uint64_t offset_bytes, uint64_t end_bytes);

#endif
