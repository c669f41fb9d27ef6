/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "libdm.h"

#include <errno.h>
#include <linux/keyctl.h>
#include <locale.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/sem.h>
#include <sys/syscall.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

static struct dmctl_record *first, **last = &first;
static int highest_level = LOG_ERR;

/* libdm marks its own bugs with this text at the start of the format; LVM's test suite asks to stop there. */
static const char internal_error[] = "Internal error: ";

static int abort_on_internal_errors(void)
{
	const char *asked = getenv("DM_ABORT_ON_INTERNAL_ERRORS");

	return asked && strcmp(asked, "0");
}

__attribute__((format(printf, 5, 6)))
static void queue_line(int level, const char *file, int line, int errno_or_class, const char *format, ...)
{
	struct dmctl_record *record;
	va_list arguments;
	int length, saved_errno = errno;
	int internal = !strncmp(format, internal_error, sizeof(internal_error) - 1);

	if ((level & 0x0f) > highest_level && !internal)
		return;
	if (!(record = malloc(sizeof(*record))))
		return;
	va_start(arguments, format);
	length = vasprintf(&record->text, format, arguments);
	va_end(arguments);
	if (length < 0) {
		free(record);
		return;
	}
	record->level = level;
	record->errno_or_class = errno_or_class;
	record->line = line;
	record->file = file;
	record->next = NULL;
	*last = record;
	last = &record->next;

	if (internal && abort_on_internal_errors()) {
		fprintf(stderr, "%s\n", record->text);
		abort();
	}
	errno = saved_errno;
}

void dmctl_log_install(void)
{
	dm_log_with_errno_init(queue_line);
}

void dmctl_log_limit(int level)
{
	highest_level = level;
}

struct dmctl_record *dmctl_log_next(void)
{
	struct dmctl_record *record = first;

	if (record && !(first = record->next))
		last = &first;
	return record;
}

void dmctl_log_free(struct dmctl_record *record)
{
	free(record->text);
	free(record);
}

static int semaphore(uint32_t cookie)
{
	return semget((key_t) cookie, 1, 0);
}

int dmctl_cookie_settle(uint32_t cookie)
{
	struct sembuf own = { .sem_num = 0, .sem_op = -1, .sem_flg = IPC_NOWAIT };
	int id = semaphore(cookie);

	return id < 0 || semop(id, &own, 1) < 0 ? errno : 0;
}

int dmctl_cookie_wait_zero(uint32_t cookie, int milliseconds)
{
	struct sembuf zero = { .sem_num = 0, .sem_op = 0, .sem_flg = 0 };
	struct timespec limit = { .tv_sec = milliseconds / 1000, .tv_nsec = milliseconds % 1000 * 1000000L };
	int id = semaphore(cookie);

	return id < 0 || semtimedop(id, &zero, 1, &limit) < 0 ? errno : 0;
}

int dmctl_cookie_destroy(uint32_t cookie)
{
	int id = semaphore(cookie);

	return id < 0 || semctl(id, 0, IPC_RMID) < 0 ? errno : 0;
}

int dmctl_cookie_value(uint32_t cookie, int *value)
{
	int id = semaphore(cookie);

	return id < 0 || (*value = semctl(id, 0, GETVAL)) < 0 ? errno : 0;
}

int dmctl_cookie_next(int *index, struct dmctl_cookie *cookie)
{
	struct seminfo limits;
	struct semid_ds state;
	int last = semctl(0, 0, SEM_INFO, &limits);

	if (last < 0)
		return errno;
	for (; *index <= last; ++*index) {
		cookie->id = semctl(*index, 0, SEM_STAT, &state);
		if (cookie->id < 0 || (uint32_t) state.sem_perm.__key >> 16 != DM_COOKIE_MAGIC)
			continue;
		++*index;
		cookie->key = (uint32_t) state.sem_perm.__key;
		cookie->operated = state.sem_otime;
		cookie->changed = state.sem_ctime;
		cookie->value = semctl(cookie->id, 0, GETVAL);
		cookie->value_errno = cookie->value < 0 ? errno : 0;
		return 0;
	}
	cookie->id = -1;
	return 0;
}

void dmctl_set_locale(void)
{
	setlocale(LC_ALL, "");
}

int32_t dmctl_add_user_key(const char *description, const void *payload, size_t bytes)
{
	return (int32_t) syscall(SYS_add_key, "user", description, payload, bytes, KEY_SPEC_THREAD_KEYRING);
}

int dmctl_unlink_key(int32_t key)
{
	/* Unlinked alone, it stays in the kernel, and can be asked for by its number, until that collects it. */
	syscall(SYS_keyctl, KEYCTL_REVOKE, key);
	return (int) syscall(SYS_keyctl, KEYCTL_UNLINK, key, KEY_SPEC_THREAD_KEYRING);
}
