/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Devices suspended, messages sent, devices resumed, whatever happens in between.
 *
 * Between the suspend and the resume nothing may wait for the devices: not for a page of the program, not for a file.
 * So all is made ready before; in the section there are ioctls on memory that is locked, with signals blocked. A second
 * process, the guardian, resumes what was suspended where this one dies, and kills it first where it takes too long.
 * The interface is the kernel's own, include/uapi/linux/dm-ioctl.h. */
#ifndef DMCTL_SECTION_H
#define DMCTL_SECTION_H

#include <stdint.h>

struct dmctl_section;

/* Where it is, for the tests: before the step of this number something happens to the process. */
enum { DMCTL_SECTION_LIVE, DMCTL_SECTION_KILL, DMCTL_SECTION_HANG, DMCTL_SECTION_TERM };

/* What it failed at. */
enum {
	DMCTL_SECTION_NOTHING,
	DMCTL_SECTION_PREPARE,	/* the guardian, or the memory: nothing was suspended */
	DMCTL_SECTION_SUSPEND,	/* of the device with this index */
	DMCTL_SECTION_MESSAGE,	/* the message with this index */
	DMCTL_SECTION_RESUME,	/* the device is left suspended */
};

struct dmctl_section_failure {
	int step;
	int index;
	int error;	/* errno */
};

/* Room for so many of each. control_fd: of /dev/mapper/control. kept_fd: is left open in the guardian. NULL: no memory. */
struct dmctl_section *dmctl_section_open(int control_fd, int kept_fd, uint32_t devices, uint32_t messages,
					 uint32_t timeout_ms);
void dmctl_section_close(struct dmctl_section *section);
int dmctl_section_device(struct dmctl_section *section, uint32_t major, uint32_t minor, int no_flush, int skip_lockfs);
int dmctl_section_message(struct dmctl_section *section, uint32_t major, uint32_t minor, const char *text);
void dmctl_section_test(struct dmctl_section *section, uint32_t step, int what);

/* 0, or the errno of the first failure. After a failed enter nothing is suspended, and there is no guardian. */
int dmctl_section_enter(struct dmctl_section *section, struct dmctl_section_failure *failure);
/* The messages in order, until one fails. */
int dmctl_section_send(struct dmctl_section *section, struct dmctl_section_failure *failure);
/* Resumes in reverse, each whatever became of the others. Nothing to do where it was not entered. */
int dmctl_section_leave(struct dmctl_section *section, struct dmctl_section_failure *failure);
/* All three. */
int dmctl_section_run(struct dmctl_section *section, struct dmctl_section_failure *failure);

/* For how long the device was suspended, from the begin of the suspend to the end of the resume. */
uint64_t dmctl_section_nanoseconds(const struct dmctl_section *section, uint32_t device);

#endif
