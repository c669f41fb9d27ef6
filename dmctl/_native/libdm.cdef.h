/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Read by cffi: the part of libdevmapper.h (1.02.185) that dmctl uses, checked by the compiler against the header. */

struct dm_task;
struct dm_info {
	int exists;
	int suspended;
	int live_table;
	int inactive_table;
	int32_t open_count;
	uint32_t event_nr;
	uint32_t major;
	uint32_t minor;
	int read_only;
	int32_t target_count;
	int deferred_remove;
	int internal_suspend;
	...;
};
struct dm_deps { uint32_t count; uint64_t device[]; ...; };
struct dm_names { uint64_t dev; uint32_t next; char name[]; ...; };
struct dm_versions { uint32_t next; uint32_t version[3]; char name[]; ...; };

enum {
	DM_DEVICE_CREATE, DM_DEVICE_RELOAD, DM_DEVICE_REMOVE, DM_DEVICE_REMOVE_ALL, DM_DEVICE_SUSPEND,
	DM_DEVICE_RESUME, DM_DEVICE_INFO, DM_DEVICE_DEPS, DM_DEVICE_RENAME, DM_DEVICE_VERSION, DM_DEVICE_STATUS,
	DM_DEVICE_TABLE, DM_DEVICE_WAITEVENT, DM_DEVICE_LIST, DM_DEVICE_CLEAR, DM_DEVICE_MKNODES,
	DM_DEVICE_LIST_VERSIONS, DM_DEVICE_TARGET_MSG, DM_DEVICE_SET_GEOMETRY, DM_DEVICE_ARM_POLL,
	DM_DEVICE_GET_TARGET_VERSION, ...
};
#define DM_READ_AHEAD_AUTO ...
#define DM_READ_AHEAD_NONE ...
#define DM_READ_AHEAD_MINIMUM_FLAG ...
#define DM_UDEV_DISABLE_DM_RULES_FLAG ...
#define DM_UDEV_DISABLE_SUBSYSTEM_RULES_FLAG ...
#define DM_UDEV_DISABLE_LIBRARY_FALLBACK ...
#define DM_COOKIE_MAGIC ...

struct dm_task *dm_task_create(int type);
void dm_task_destroy(struct dm_task *dmt);
int dm_task_run(struct dm_task *dmt);
int dm_task_get_errno(struct dm_task *dmt);

int dm_task_set_name(struct dm_task *dmt, const char *name);
int dm_task_set_uuid(struct dm_task *dmt, const char *uuid);
int dm_task_set_newname(struct dm_task *dmt, const char *newname);
int dm_task_set_newuuid(struct dm_task *dmt, const char *newuuid);
int dm_task_set_major(struct dm_task *dmt, int major);
int dm_task_set_minor(struct dm_task *dmt, int minor);
int dm_task_set_uid(struct dm_task *dmt, unsigned int uid);
int dm_task_set_gid(struct dm_task *dmt, unsigned int gid);
int dm_task_set_mode(struct dm_task *dmt, unsigned int mode);
int dm_task_set_ro(struct dm_task *dmt);
int dm_task_set_sector(struct dm_task *dmt, uint64_t sector);
int dm_task_set_message(struct dm_task *dmt, const char *message);
int dm_task_set_geometry(struct dm_task *dmt, const char *cylinders, const char *heads, const char *sectors,
			 const char *start);
int dm_task_set_event_nr(struct dm_task *dmt, uint32_t event_nr);
int dm_task_set_cookie(struct dm_task *dmt, uint32_t *cookie, uint16_t flags);
int dm_task_set_read_ahead(struct dm_task *dmt, uint32_t read_ahead, uint32_t read_ahead_flags);
int dm_task_set_add_node(struct dm_task *dmt, int add_node);
int dm_task_no_flush(struct dm_task *dmt);
int dm_task_no_open_count(struct dm_task *dmt);
int dm_task_query_inactive_table(struct dm_task *dmt);
int dm_task_skip_lockfs(struct dm_task *dmt);
int dm_task_enable_checks(struct dm_task *dmt);
int dm_task_retry_remove(struct dm_task *dmt);
int dm_task_deferred_remove(struct dm_task *dmt);
int dm_task_ima_measurement(struct dm_task *dmt);
int dm_task_suppress_identical_reload(struct dm_task *dmt);
int dm_task_secure_data(struct dm_task *dmt);
int dm_task_set_record_timestamp(struct dm_task *dmt);
int dm_task_add_target(struct dm_task *dmt, uint64_t start, uint64_t size, const char *ttype, const char *params);

int dm_task_get_info(struct dm_task *dmt, struct dm_info *dmi);
const char *dm_task_get_name(const struct dm_task *dmt);
const char *dm_task_get_uuid(const struct dm_task *dmt);
struct dm_deps *dm_task_get_deps(struct dm_task *dmt);
struct dm_names *dm_task_get_names(struct dm_task *dmt);
struct dm_versions *dm_task_get_versions(struct dm_task *dmt);
const char *dm_task_get_message_response(struct dm_task *dmt);
uint32_t dm_task_get_read_ahead(const struct dm_task *dmt, uint32_t *read_ahead);
void *dm_get_next_target(struct dm_task *dmt, void *next, uint64_t *start, uint64_t *length, char **target_type,
			 char **params);
struct dm_timestamp;
struct dm_timestamp *dm_task_get_ioctl_timestamp(struct dm_task *dmt);
struct dm_timestamp *dm_timestamp_alloc(void);
int dm_timestamp_get(struct dm_timestamp *ts);
uint64_t dm_timestamp_delta(struct dm_timestamp *ts1, struct dm_timestamp *ts2);
void dm_timestamp_destroy(struct dm_timestamp *ts);

int dm_get_library_version(char *version, size_t size);
int dm_driver_version(char *version, size_t size);
int dm_set_dev_dir(const char *dir);
const char *dm_dir(void);
int dm_mknodes(const char *name);
int dm_device_get_name(uint32_t major, uint32_t minor, int prefer_kernel_name, char *buf, size_t buf_size);
int dm_set_name_mangling_mode(int mode);
void dm_task_update_nodes(void);
void dm_lib_release(void);

void dm_udev_set_sync_support(int sync_with_udev);
int dm_udev_get_sync_support(void);
void dm_udev_set_checking(int checking);
int dm_udev_create_cookie(uint32_t *cookie);
int dm_udev_complete(uint32_t cookie);
int dm_udev_wait(uint32_t cookie);

/* shim.h */
struct dmctl_record { int level; int errno_or_class; int line; const char *file; char *text; ...; };
void dmctl_log_install(void);
struct dmctl_record *dmctl_log_next(void);
void dmctl_log_free(struct dmctl_record *record);
int dmctl_names_event_nr(const struct dm_names *entry, uint32_t *event_nr, const char **uuid);
int dmctl_cookie_settle(uint32_t cookie);
int dmctl_cookie_wait_zero(uint32_t cookie, int milliseconds);
int dmctl_cookie_destroy(uint32_t cookie);
int dmctl_cookie_value(uint32_t cookie, int *value);
void dmctl_set_locale(void);
