/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads rows of the message from the areas, and parity from its place; errors say where. */
#include "fec_work.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static bool failed_at(struct dmctl_fec_job *job, int error, int area, uint64_t offset)
{
	int expected = 0;

	/* Another thread may have failed a moment ago: its place stands. */
	if (!__atomic_compare_exchange_n(&job->failed, &expected, error ? error : EIO, false, __ATOMIC_ACQ_REL,
					 __ATOMIC_ACQUIRE))
		return false;
	job->failed_area = area;
	job->failed_short = !error;
	job->failed_offset = offset;
	return false;
}

bool fec_failed(struct dmctl_fec_job *job, int error)
{
	return failed_at(job, error, DMCTL_FEC_NOWHERE, 0);
}

static bool read_at(struct dmctl_fec_job *job, int fd, int area, uint64_t offset, uint8_t *buffer, size_t count)
{
	while (count) {
		ssize_t got = pread(fd, buffer, count, offset);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return failed_at(job, got ? errno : 0, area, offset);
		buffer += got;
		offset += got;
		count -= got;
	}
	return true;
}

static bool all_zero(const uint8_t *buffer, size_t width)
{
	static const uint8_t zeros[64];

	/* Data is mostly found out by its first bytes. */
	return !memcmp(buffer, zeros, 64) && !memcmp(buffer, buffer + 64, width - 64);
}

/* Whether there is no data in the area from a place on for `width` bytes; up to where, as a place in the message. */
static bool in_hole(const struct dmctl_fec_area *area, uint64_t start, uint64_t place, size_t width, uint64_t *end)
{
	uint64_t offset = area->offset + (place - start);
	off_t data = lseek(area->fd, offset, SEEK_DATA);

	if (data < 0 && errno != ENXIO)
		return false;
	*end = start + area->length;
	if (data >= 0 && start + ((uint64_t)data - area->offset) < *end)
		*end = start + ((uint64_t)data - area->offset);
	return *end >= place + width;
}

bool fec_read_row(struct fec_thread *thread, unsigned row, uint64_t column, uint8_t *buffer, size_t width, bool *zero)
{
	struct fec_work *work = thread->work;
	struct dmctl_fec_job *job = work->job;
	uint64_t place = row * work->row_bytes + column, start = 0, end;
	size_t left = width;
	uint8_t *next = buffer;

	*zero = true;
	if (place >= work->total_bytes)
		return true;
	if (left > work->total_bytes - place)
		left = work->total_bytes - place;
	if (place + left <= thread->hole_end[row]) {
		__atomic_fetch_add(&job->done_bytes, left, __ATOMIC_RELAXED);
		return true;
	}
	for (uint32_t i = 0; left; start = end, i++) {
		const struct dmctl_fec_area *area = &job->areas[i];
		size_t here;

		end = start + area->length;
		if (place >= end)
			continue;
		here = left < end - place ? left : end - place;
		if (area->fd >= 0)
			__atomic_fetch_add(&job->done_bytes, here, __ATOMIC_RELAXED);
		if (next == buffer && here == left &&
		    (area->fd < 0 || (work->sparse[i] && in_hole(area, start, place, left, &thread->hole_end[row]))))
			return true;
		if (area->fd < 0)
			memset(next, 0, here);
		else if (!read_at(job, area->fd, i, area->offset + (place - start), next, here))
			return false;
		next += here;
		place += here;
		left -= here;
	}
	memset(next, 0, buffer + width - next);
	*zero = all_zero(buffer, width);
	return true;
}

bool fec_read_parity(struct fec_thread *thread, uint64_t place, uint8_t *buffer, size_t count)
{
	struct dmctl_fec_job *job = thread->work->job;

	return read_at(job, job->fec_fd, DMCTL_FEC_AT_PARITY, job->fec_offset + place, buffer, count);
}

bool fec_write_parity(struct fec_thread *thread, uint64_t place, const uint8_t *buffer, size_t count)
{
	struct dmctl_fec_job *job = thread->work->job;
	uint64_t offset = job->fec_offset + place;

	while (count) {
		ssize_t put = pwrite(job->fec_fd, buffer, count, offset);

		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0)
			return failed_at(job, put ? errno : ENOSPC, DMCTL_FEC_AT_PARITY, offset);
		buffer += put;
		offset += put;
		count -= put;
	}
	return true;
}
