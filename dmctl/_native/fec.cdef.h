/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Read by cffi: the Reed-Solomon coder of dm-verity's forward error correction; fec.h explains it. */

enum {
	DMCTL_FEC_PORTABLE, DMCTL_FEC_AVX2, DMCTL_FEC_GFNI, DMCTL_FEC_GFNI512, DMCTL_FEC_PATHS
};
enum { DMCTL_FEC_AT_PARITY = -1, DMCTL_FEC_NOWHERE = -2 };
enum {
	DMCTL_FEC_CONSISTENT, DMCTL_FEC_UNCHECKED, DMCTL_FEC_INCONSISTENT, DMCTL_FEC_BLIND, DMCTL_FEC_LOST
};

struct dmctl_fec_area {
	int fd;
	uint64_t offset;
	uint64_t length;
};

enum { DMCTL_FEC_WINDOW = 131072 };

typedef int dmctl_fec_show(void *context, uint64_t first, size_t count, const uint8_t *data);

struct dmctl_fec_job {
	const struct dmctl_fec_area *areas;
	uint32_t area_count;
	int fec_fd;
	uint64_t fec_offset;
	uint32_t block_size;
	uint32_t roots;
	uint32_t threads;
	int path;
	int add;
	dmctl_fec_show *show;
	void *show_context;
	uint64_t done_bytes;
	int cancel;
	int failed_area;
	int failed_short;
	uint64_t failed_offset;
	...;
};

struct dmctl_fec_window {
	uint64_t first_round;
	uint32_t round_count;
	uint32_t bad_count;
	const uint8_t *bad;
	uint8_t *output;
	uint8_t *verdicts;
	uint8_t *suspects;
};

int dmctl_fec_usable(int path);
int dmctl_fec_encode(struct dmctl_fec_job *job);
int dmctl_fec_decode(struct dmctl_fec_job *job, struct dmctl_fec_window *windows, uint32_t count, int blind);
