/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What cffi cannot say about libdevmapper: a variadic log callback, a udev wait that a signal ends. */
#ifndef DMCTL_LIBDM_H
#define DMCTL_LIBDM_H

#include <libdevmapper.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

struct dmctl_record {
	int level;		/* as libdm gives it: syslog's numbers, with flag bits above 0x0f */
	int errno_or_class;	/* errno of an error line, class of a debug line, 0 if libdm gave none */
	int line;
	const char *file;
	char *text;		/* malloc'd; dmctl_log_free() */
	struct dmctl_record *next;
};

/* From now on libdm's errors are queued. Everything in order, nothing lost but to a lack of memory. */
void dmctl_log_install(void);
/* From now on the lines up to this level (syslog's) are queued: a debug line comes with every request. */
void dmctl_log_limit(int level);
/* The oldest line, taken off the queue, or NULL. */
struct dmctl_record *dmctl_log_next(void);
void dmctl_log_free(struct dmctl_record *record);

/* A udev cookie is a SysV semaphore that begins at 1, one more for each task that udev has still to finish.
 * All return 0 or an errno. */
int dmctl_cookie_settle(uint32_t cookie);		/* take back the waiter's own 1 */
int dmctl_cookie_wait_zero(uint32_t cookie, int milliseconds);	/* EINTR on a signal, EAGAIN after the time */
int dmctl_cookie_destroy(uint32_t cookie);
int dmctl_cookie_value(uint32_t cookie, int *value);

struct dmctl_cookie {
	uint32_t key;
	int id;			/* -1: there are no more */
	int value;
	int value_errno;
	int64_t operated;	/* times in seconds, 0 for never */
	int64_t changed;
};
/* The next cookie from a place in the kernel's table of semaphores on, which begins at 0. */
int dmctl_cookie_next(int *index, struct dmctl_cookie *cookie);

/* Reports: the kinds of fields as bits, as dmsetup numbers them, and the tables of report_fields.c. */
enum {
	DMCTL_REPORT_TASK = 1,
	DMCTL_REPORT_INFO = 2,
	DMCTL_REPORT_DEPS = 4,
	DMCTL_REPORT_TREE = 8,
	DMCTL_REPORT_NAME = 16,
	DMCTL_REPORT_STATS = 32,
	DMCTL_REPORT_REGION = 64,
};
extern const struct dm_report_field_type dmctl_report_fields[];
extern const struct dm_report_object_type dmctl_report_types[];
/* The same fields, each with its name in the place of the heading. */
const struct dm_report_field_type *dmctl_report_fields_under_their_names(void);
/* The kinds of fields that the next row has, and its device, or NULL for what is none; 0 on failure. */
int dmctl_report_row(uint32_t kinds, struct dm_task *task);
/* Written in Python: sets the value of the field with this number in dmctl_report_fields; 0 on failure. */
extern int dmctl_report_value(struct dm_report *report, struct dm_pool *pool, struct dm_report_field *field, int number);
/* For a number that is printed otherwise than in digits. */
int dmctl_report_set(struct dm_pool *pool, struct dm_report_field *field, const char *text, uint64_t sort_value);

/* The user's locale, for strerror() texts and character tables, as dmsetup sets it. */
void dmctl_set_locale(void);

/* add_key(2) of a "user" key in the calling thread's keyring, and keyctl(2) to be rid of it; -1 with errno. */
int32_t dmctl_add_user_key(const char *description, const void *payload, size_t bytes);
int dmctl_unlink_key(int32_t key);

#endif
