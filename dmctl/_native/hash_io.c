/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "hash_io.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

int hash_io_open(struct hash_io *io, int fd, const uint8_t *memory)
{
	struct stat status;
	int flags;

	*io = (struct hash_io) { .fd = fd, .memory = memory };
	if (fd < 0)
		return memory ? 0 : EBADF;
	if ((flags = fcntl(fd, F_GETFL)) < 0 || fstat(fd, &status))
		return errno;
	io->direct = flags & O_DIRECT;
	if (S_ISREG(status.st_mode))
		io->sparse_bytes = status.st_size;
	return 0;
}

const uint8_t *hash_io_read(const struct hash_io *io, uint64_t offset_bytes, size_t bytes, uint8_t *buffer,
			    struct hash_io_error *error)
{
	/* Only a direct read must not end where its data do; it reads what is around them too. */
	uint64_t mask = io->direct ? HASH_IO_ALIGNMENT - 1 : 0;
	uint64_t from = offset_bytes & ~mask, needed = offset_bytes + bytes, to = (needed + mask) & ~mask, at = from;
	ssize_t got;

	if (io->memory)
		return io->memory + offset_bytes;
	while (at < needed) {
		got = pread(io->fd, buffer + (at - from), to - at, (off_t) at);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0) {
			error->error = got ? errno : 0;
			break;
		}
		at += got;
	}
	if (at >= needed)
		return buffer + (offset_bytes - from);
	error->offset_bytes = at > offset_bytes ? at : offset_bytes;
	return NULL;
}

bool hash_io_write(int fd, uint64_t offset_bytes, size_t bytes, const uint8_t *data, struct hash_io_error *error)
{
	ssize_t written;

	while (bytes) {
		written = pwrite(fd, data, bytes, (off_t) offset_bytes);
		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0) {
			error->error = written ? errno : ENOSPC;
			error->offset_bytes = offset_bytes;
			return false;
		}
		data += written;
		offset_bytes += written;
		bytes -= written;
	}
	return true;
}

uint64_t hash_io_data_from(const struct hash_io *io, uint64_t offset_bytes, uint64_t end_bytes)
{
	off_t data;

	if (end_bytes > io->sparse_bytes)
		return offset_bytes;
	if ((data = lseek(io->fd, (off_t) offset_bytes, SEEK_DATA)) >= 0)
		return (uint64_t) data < end_bytes ? (uint64_t) data : end_bytes;
	return errno == ENXIO ? end_bytes : offset_bytes; /* ENXIO: nothing but a hole from here on */
}
