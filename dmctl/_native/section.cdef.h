/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Read by cffi: devices suspended for a moment; section.h explains it. */

struct dmctl_section;

enum { DMCTL_SECTION_LIVE, DMCTL_SECTION_KILL, DMCTL_SECTION_HANG, DMCTL_SECTION_TERM };

enum {
	DMCTL_SECTION_NOTHING,
	DMCTL_SECTION_PREPARE,
	DMCTL_SECTION_SUSPEND,
	DMCTL_SECTION_MESSAGE,
	DMCTL_SECTION_RESUME,
};

struct dmctl_section_failure {
	int step;
	int index;
	int error;
};

struct dmctl_section *dmctl_section_open(int control_fd, int kept_fd, uint32_t devices, uint32_t messages,
					 uint32_t timeout_ms);
void dmctl_section_close(struct dmctl_section *section);
int dmctl_section_device(struct dmctl_section *section, uint32_t major, uint32_t minor, int no_flush, int skip_lockfs);
int dmctl_section_message(struct dmctl_section *section, uint32_t major, uint32_t minor, const char *text);
void dmctl_section_test(struct dmctl_section *section, uint32_t step, int what);

int dmctl_section_enter(struct dmctl_section *section, struct dmctl_section_failure *failure);

int dmctl_section_send(struct dmctl_section *section, struct dmctl_section_failure *failure);

int dmctl_section_leave(struct dmctl_section *section, struct dmctl_section_failure *failure);

int dmctl_section_run(struct dmctl_section *section, struct dmctl_section_failure *failure);

uint64_t dmctl_section_nanoseconds(const struct dmctl_section *section, uint32_t device);
