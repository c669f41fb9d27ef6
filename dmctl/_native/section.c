/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "section.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/dm-ioctl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { STACK_BYTES = 64 * 1024, OOM_NEVER_BYTES = 5 };

/* What the guardian sees of each device. */
enum { RUNNING, SUSPENDED };

struct device {
	struct dm_ioctl suspend, resume;
	uint64_t since, nanoseconds;
};

struct message {
	struct dm_ioctl *request;
};

struct dmctl_section {
	int control_fd, kept_fd;
	uint32_t timeout_ms;
	struct device *devices;
	struct message *messages;
	uint32_t device_room, message_room, device_count, message_count;

	/* Shared with the guardian, device by device. */
	volatile uint8_t *states;
	size_t states_bytes;
	pid_t guardian;
	int to_guardian;	/* a pipe; its end at the death of this process is what the guardian waits for */
	bool entered;
	sigset_t mask;

	uint32_t step, test_step;
	int test_what;
};

static void fill(struct dm_ioctl *request, size_t bytes, uint32_t major, uint32_t minor)
{
	*request = (struct dm_ioctl) {
		.version = { DM_VERSION_MAJOR, 0, 0 },
		.data_size = bytes,
		.data_start = sizeof(*request),
		/* huge_encode_dev() of the kernel */
		.dev = (minor & 0xff) | major << 8 | (uint64_t) (minor & ~0xffu) << 12,
	};
}

struct dmctl_section *dmctl_section_open(int control_fd, int kept_fd, uint32_t devices, uint32_t messages,
					 uint32_t timeout_ms)
{
	struct dmctl_section *section = calloc(1, sizeof(*section));

	if (!section)
		return NULL;
	section->control_fd = control_fd;
	section->kept_fd = kept_fd;
	section->timeout_ms = timeout_ms;
	section->device_room = devices;
	section->message_room = messages;
	section->devices = calloc(devices + 1, sizeof(*section->devices));
	section->messages = calloc(messages + 1, sizeof(*section->messages));
	section->states_bytes = devices + 1;
	section->states = mmap(NULL, section->states_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (section->states == MAP_FAILED)
		section->states = NULL;
	if (section->devices && section->messages && section->states)
		return section;
	dmctl_section_close(section);
	return NULL;
}

void dmctl_section_close(struct dmctl_section *section)
{
	for (uint32_t i = 0; section->messages && i < section->message_count; i++)
		free(section->messages[i].request);
	if (section->states)
		munmap((void *) section->states, section->states_bytes);
	free(section->messages);
	free(section->devices);
	free(section);
}

int dmctl_section_device(struct dmctl_section *section, uint32_t major, uint32_t minor, int no_flush, int skip_lockfs)
{
	struct device *device = section->devices + section->device_count;

	if (section->device_count == section->device_room)
		return ENOSPC;
	fill(&device->suspend, sizeof(device->suspend), major, minor);
	fill(&device->resume, sizeof(device->resume), major, minor);
	device->suspend.flags = DM_SUSPEND_FLAG | (no_flush ? DM_NOFLUSH_FLAG : 0) |
				(skip_lockfs ? DM_SKIP_LOCKFS_FLAG : 0);
	section->device_count++;
	return 0;
}

int dmctl_section_message(struct dmctl_section *section, uint32_t major, uint32_t minor, const char *text)
{
	size_t bytes = sizeof(struct dm_ioctl) + sizeof(struct dm_target_msg) + strlen(text) + 1;
	struct dm_ioctl *request;

	if (section->message_count == section->message_room)
		return ENOSPC;
	if (!(request = calloc(1, bytes)))
		return ENOMEM;
	fill(request, bytes, major, minor);
	strcpy(((struct dm_target_msg *) (request + 1))->message, text);
	section->messages[section->message_count++].request = request;
	return 0;
}

void dmctl_section_test(struct dmctl_section *section, uint32_t step, int what)
{
	section->test_step = step;
	section->test_what = what;
}

/* Between any two requests to the kernel. */
static void boundary(struct dmctl_section *section)
{
	if (section->test_what == DMCTL_SECTION_LIVE || section->step++ != section->test_step)
		return;
	if (section->test_what == DMCTL_SECTION_KILL)
		kill(getpid(), SIGKILL);
	else if (section->test_what == DMCTL_SECTION_TERM)
		kill(getpid(), SIGTERM);
	else
		while (true)
			pause();
}

static uint64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * UINT64_C(1000000000) + time.tv_nsec;
}

static int fail(struct dmctl_section_failure *failure, int step, int index, int error)
{
	if (!failure->step)
		*failure = (struct dmctl_section_failure) { .step = step, .index = index, .error = error };
	return error;
}

/* The kernel writes into a request: it is sent as a copy, so that it can be sent again. */
static int send(int control_fd, unsigned long command, const struct dm_ioctl *request)
{
	struct dm_ioctl copy = *request;
	int result;

	do
		result = ioctl(control_fd, command, &copy);
	while (result < 0 && errno == EINTR);
	return result < 0 ? errno : 0;
}

/* ---- the guardian ---- */

static void wait_for(int fd, int timeout_ms)
{
	struct pollfd wait = { .fd = fd, .events = POLLIN };

	while (poll(&wait, 1, timeout_ms) < 0 && errno == EINTR)
		;
}

/* Its own process. It calls nothing that could wait for a lock that another thread of the parent held at the fork. */
static void guard(struct dmctl_section *section, int from_parent, int ready_fd, int parent_fd)
{
	int keep[] = { section->control_fd, section->kept_fd, from_parent, ready_fd, parent_fd };
	struct pollfd wait[] = { { .fd = from_parent, .events = POLLIN }, { .fd = parent_fd, .events = POLLIN } };
	int oom_fd, count, keeping = sizeof(keep) / sizeof(keep[0]);
	unsigned int least = 0;
	uint8_t word = 0;

	setsid();
	if ((oom_fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC)) >= 0)
		(void) !write(oom_fd, "-1000", OOM_NEVER_BYTES);
	/* Nobody waits for the end of a pipe that is open here, too. */
	while (true) {
		unsigned int next = ~0u;

		for (int i = 0; i < keeping; i++)
			if (keep[i] >= 0 && (unsigned int) keep[i] >= least && (unsigned int) keep[i] < next)
				next = keep[i];
		if (next > least)
			syscall(SYS_close_range, least, next - 1, 0);
		if (next == ~0u)
			break;
		least = next + 1;
	}
	if (mlockall(MCL_CURRENT | MCL_FUTURE))
		word = errno;
	if (write(ready_fd, &word, 1) != 1 || word)
		_exit(1);
	close(ready_fd);
	do
		count = poll(wait, 2, section->timeout_ms);
	while (count < 0 && errno == EINTR);
	if (wait[0].revents & POLLIN && read(from_parent, &word, 1) == 1)
		_exit(0);
	if (!count) {
		/* A message that comes late would be for a device that runs again. */
		syscall(SYS_pidfd_send_signal, parent_fd, SIGKILL, NULL, 0);
		wait_for(parent_fd, section->timeout_ms);
	} else {
		/* The pipe ends while the parent is dying: what it was in the kernel for is over when it is dead. */
		wait_for(parent_fd, section->timeout_ms);
	}
	for (uint32_t i = section->device_count; i--;)
		if (section->states[i] == SUSPENDED)
			send(section->control_fd, DM_DEV_SUSPEND, &section->devices[i].resume);
	_exit(0);
}

static void close_all(int *fds, int count)
{
	for (int i = 0; i < count; i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

static void dismiss(struct dmctl_section *section)
{
	uint8_t done = 1;

	(void) !write(section->to_guardian, &done, 1);
	close(section->to_guardian);
	while (waitpid(section->guardian, NULL, 0) < 0 && errno == EINTR)
		;
}

/* All signals are blocked already, and so they are in the child. */
static int start_guardian(struct dmctl_section *section)
{
	int fds[] = { -1, -1, -1, -1, -1 }, error = 0;	/* to it: read, write; ready: read, write; this process */
	uint8_t word = EPIPE;

	if (pipe2(fds, O_CLOEXEC) || pipe2(fds + 2, O_CLOEXEC) ||
	    (fds[4] = syscall(SYS_pidfd_open, getpid(), 0)) < 0 || (section->guardian = fork()) < 0) {
		error = errno;
		close_all(fds, 5);
		return error;
	}
	if (!section->guardian) {
		close(fds[1]);
		guard(section, fds[0], fds[3], fds[4]);
	}
	section->to_guardian = fds[1];
	fds[1] = -1;
	close(fds[3]);
	fds[3] = -1;
	while (read(fds[2], &word, 1) < 0 && errno == EINTR)
		;
	close_all(fds, 5);
	if (word)
		dismiss(section);
	return word;
}

/* ---- the section ---- */

/* So that no page of it is missing later. */
static void __attribute__((noinline)) touch_stack(void)
{
	volatile char stack[STACK_BYTES];

	for (size_t i = 0; i < sizeof(stack); i += 4096)
		stack[i] = 0;
}

static int prepare(struct dmctl_section *section)
{
	sigset_t all;
	int error;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &section->mask);
	if (!(error = start_guardian(section))) {
		touch_stack();
		if (!mlockall(MCL_CURRENT | MCL_FUTURE)) {
			section->entered = true;
			return 0;
		}
		error = errno;
		dismiss(section);
	}
	pthread_sigmask(SIG_SETMASK, &section->mask, NULL);
	return error;
}

static int suspend_all(struct dmctl_section *section, struct dmctl_section_failure *failure)
{
	for (uint32_t i = 0; i < section->device_count; i++) {
		struct device *device = section->devices + i;
		int error;

		boundary(section);
		device->since = now();
		section->states[i] = SUSPENDED;
		error = send(section->control_fd, DM_DEV_SUSPEND, &device->suspend);
		if (error) {
			section->states[i] = RUNNING;
			return fail(failure, DMCTL_SECTION_SUSPEND, i, error);
		}
	}
	boundary(section);
	return 0;
}

int dmctl_section_enter(struct dmctl_section *section, struct dmctl_section_failure *failure)
{
	int error;

	*failure = (struct dmctl_section_failure) { 0 };
	if ((error = prepare(section)))
		return fail(failure, DMCTL_SECTION_PREPARE, 0, error);
	if ((error = suspend_all(section, failure)))
		dmctl_section_leave(section, failure);
	return error;
}

int dmctl_section_send(struct dmctl_section *section, struct dmctl_section_failure *failure)
{
	for (uint32_t i = 0; i < section->message_count; i++) {
		if (ioctl(section->control_fd, DM_TARGET_MSG, section->messages[i].request) < 0)
			return fail(failure, DMCTL_SECTION_MESSAGE, i, errno);
		boundary(section);
	}
	return 0;
}

int dmctl_section_leave(struct dmctl_section *section, struct dmctl_section_failure *failure)
{
	int first = 0;

	if (!section->entered)
		return 0;
	section->entered = false;
	for (uint32_t i = section->device_count; i--;) {
		struct device *device = section->devices + i;
		int error;

		if (section->states[i] != SUSPENDED)
			continue;
		if ((error = send(section->control_fd, DM_DEV_SUSPEND, &device->resume))) {
			first = first ? first : error;
			/* The worst of all is what is told. */
			*failure = (struct dmctl_section_failure) { DMCTL_SECTION_RESUME, i, error };
			continue;
		}
		section->states[i] = RUNNING;
		device->nanoseconds = now() - device->since;
		boundary(section);
	}
	dismiss(section);
	munlockall();
	pthread_sigmask(SIG_SETMASK, &section->mask, NULL);
	return first;
}

int dmctl_section_run(struct dmctl_section *section, struct dmctl_section_failure *failure)
{
	int error = dmctl_section_enter(section, failure), resumed;

	if (error)
		return error;
	error = dmctl_section_send(section, failure);
	resumed = dmctl_section_leave(section, failure);
	return error ? error : resumed;
}

uint64_t dmctl_section_nanoseconds(const struct dmctl_section *section, uint32_t device)
{
	return section->devices[device].nanoseconds;
}
