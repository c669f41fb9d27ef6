/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Preloaded: sends the process a signal at a device-mapper request.
 * HOOK_REQUEST: number of the request (include/uapi/linux/dm-ioctl.h), HOOK_SIGNAL: the signal, HOOK_AFTER: set to send
 * it when the request is done instead of before it. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/ioctl.h>

int ioctl(int fd, unsigned long request, ...)
{
	static int (*real)(int, unsigned long, void *);
	va_list arguments;
	void *data;
	int hit, result;

	va_start(arguments, request);
	data = va_arg(arguments, void *);
	va_end(arguments);
	if (!real)
		real = (int (*)(int, unsigned long, void *)) dlsym(RTLD_NEXT, "ioctl");
	hit = _IOC_TYPE(request) == 0xfd && _IOC_NR(request) == (unsigned) atoi(getenv("HOOK_REQUEST"));
	if (hit && !getenv("HOOK_AFTER"))
		raise(atoi(getenv("HOOK_SIGNAL")));
	result = real(fd, request, data);
	if (hit && getenv("HOOK_AFTER"))
		raise(atoi(getenv("HOOK_SIGNAL")));
	return result;
}
