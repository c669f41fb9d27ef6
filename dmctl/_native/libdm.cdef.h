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

char *dm_task_get_name_mangled(const struct dm_task *dmt);
char *dm_task_get_name_unmangled(const struct dm_task *dmt);
char *dm_task_get_uuid_mangled(const struct dm_task *dmt);
char *dm_task_get_uuid_unmangled(const struct dm_task *dmt);
void free(void *pointer);
#define MCL_CURRENT ...
#define MCL_FUTURE ...
int mlockall(int flags);
int munlockall(void);

struct dm_pool;
int dm_split_lvm_name(struct dm_pool *mem, const char *dmname, char **vgname, char **lvname, char **layer);

struct dm_tree;
struct dm_tree_node;
struct dm_tree *dm_tree_create(void);
void dm_tree_free(struct dm_tree *tree);
int dm_tree_add_dev(struct dm_tree *tree, uint32_t major, uint32_t minor);
struct dm_tree_node *dm_tree_find_node(struct dm_tree *tree, uint32_t major, uint32_t minor);
struct dm_tree_node *dm_tree_next_child(void **handle, const struct dm_tree_node *parent, uint32_t inverted);
int dm_tree_node_num_children(const struct dm_tree_node *node, uint32_t inverted);
const char *dm_tree_node_get_name(const struct dm_tree_node *node);
const char *dm_tree_node_get_uuid(const struct dm_tree_node *node);
const struct dm_info *dm_tree_node_get_info(const struct dm_tree_node *node);

struct dm_report;
struct dm_report_field;
struct dm_report_field_type { uint32_t type; const char id[32]; ...; };
struct dm_report_object_type { uint32_t id; ...; };
struct dm_report_reserved_value;
#define DM_REPORT_OUTPUT_ALIGNED ...
#define DM_REPORT_OUTPUT_BUFFERED ...
#define DM_REPORT_OUTPUT_HEADINGS ...
#define DM_REPORT_OUTPUT_FIELD_NAME_PREFIX ...
#define DM_REPORT_OUTPUT_FIELD_UNQUOTED ...
#define DM_REPORT_OUTPUT_COLUMNS_AS_ROWS ...
struct dm_report *dm_report_init_with_selection(uint32_t *report_types, const struct dm_report_object_type *types,
						const struct dm_report_field_type *fields, const char *output_fields,
						const char *output_separator, uint32_t output_flags,
						const char *sort_keys, const char *selection,
						const struct dm_report_reserved_value *reserved_values,
						void *private_data);
int dm_report_object_is_selected(struct dm_report *rh, void *object, int do_output, int *selected);
int dm_report_is_empty(struct dm_report *rh);
int dm_report_output(struct dm_report *rh);
int dm_report_column_headings(struct dm_report *rh);
int dm_report_set_output_field_name_prefix(struct dm_report *rh, const char *report_prefix);
void dm_report_free(struct dm_report *rh);
int dm_report_field_string(struct dm_report *rh, struct dm_report_field *field, const char *const *data);
int dm_report_field_int32(struct dm_report *rh, struct dm_report_field *field, const int32_t *data);
int dm_report_field_uint64(struct dm_report *rh, struct dm_report_field *field, const uint64_t *data);

struct dm_stats;
struct dm_histogram;
#define DM_STATS_REGIONS_ALL ...
#define DM_STATS_REGION_CURRENT ...
#define DM_STATS_AREA_CURRENT ...
#define DM_STATS_WALK_AREA ...
#define DM_STATS_WALK_REGION ...
#define DM_STATS_WALK_GROUP ...
#define DM_STATS_WALK_ALL ...
#define DM_STATS_WALK_SKIP_SINGLE_AREA ...
#define DM_HISTOGRAM_SUFFIX ...
#define DM_HISTOGRAM_VALUES ...
#define DM_HISTOGRAM_PERCENT ...
#define DM_HISTOGRAM_BOUNDS_LOWER ...
#define DM_HISTOGRAM_BOUNDS_RANGE ...
typedef enum { DM_SIZE_UNIT, ... } dm_size_suffix_t;
typedef enum { DM_FILEMAPD_FOLLOW_INODE, DM_FILEMAPD_FOLLOW_PATH, DM_FILEMAPD_FOLLOW_NONE } dm_filemapd_mode_t;
typedef enum {
	DM_STATS_OBJECT_TYPE_NONE, DM_STATS_OBJECT_TYPE_AREA, DM_STATS_OBJECT_TYPE_REGION, DM_STATS_OBJECT_TYPE_GROUP
} dm_stats_obj_type_t;
typedef enum { DM_STATS_NR_COUNTERS, ... } dm_stats_counter_t;
struct dm_stats *dm_stats_create(const char *program_id);
void dm_stats_destroy(struct dm_stats *dms);
int dm_stats_bind_devno(struct dm_stats *dms, int major, int minor);
int dm_stats_bind_name(struct dm_stats *dms, const char *name);
int dm_stats_bind_uuid(struct dm_stats *dms, const char *uuid);
int dm_stats_bind_from_fd(struct dm_stats *dms, int fd);
int dm_stats_set_program_id(struct dm_stats *dms, int allow_empty, const char *program_id);
int dm_stats_driver_supports_precise(void);
int dm_stats_list(struct dm_stats *dms, const char *program_id);
int dm_stats_populate(struct dm_stats *dms, const char *program_id, uint64_t region_id);
int dm_stats_create_region(struct dm_stats *dms, uint64_t *region_id, uint64_t start, uint64_t len, int64_t step,
			   int precise, struct dm_histogram *bounds, const char *program_id, const char *user_data);
int dm_stats_delete_region(struct dm_stats *dms, uint64_t region_id);
int dm_stats_clear_region(struct dm_stats *dms, uint64_t region_id);
char *dm_stats_print_region(struct dm_stats *dms, uint64_t region_id, unsigned start_line, unsigned num_lines,
			    unsigned clear);
void dm_stats_buffer_destroy(struct dm_stats *dms, char *buffer);
uint64_t dm_stats_get_nr_regions(const struct dm_stats *dms);
uint64_t dm_stats_get_nr_groups(const struct dm_stats *dms);
int dm_stats_region_present(const struct dm_stats *dms, uint64_t region_id);
int dm_stats_group_present(const struct dm_stats *dms, uint64_t group_id);
int dm_stats_get_region_nr_histogram_bins(const struct dm_stats *dms, uint64_t region_id);
uint64_t dm_stats_get_region_nr_areas(const struct dm_stats *dms, uint64_t region_id);
int dm_stats_walk_init(struct dm_stats *dms, uint64_t flags);
void dm_stats_walk_start(struct dm_stats *dms);
void dm_stats_walk_next(struct dm_stats *dms);
void dm_stats_walk_next_region(struct dm_stats *dms);
int dm_stats_walk_end(struct dm_stats *dms);
dm_stats_obj_type_t dm_stats_current_object_type(const struct dm_stats *dms);
uint64_t dm_stats_get_current_region(const struct dm_stats *dms);
uint64_t dm_stats_get_current_area(const struct dm_stats *dms);
int dm_stats_get_current_region_start(const struct dm_stats *dms, uint64_t *start);
int dm_stats_get_current_region_len(const struct dm_stats *dms, uint64_t *len);
int dm_stats_get_current_area_start(const struct dm_stats *dms, uint64_t *start);
int dm_stats_get_current_area_offset(const struct dm_stats *dms, uint64_t *offset);
int dm_stats_get_current_area_len(const struct dm_stats *dms, uint64_t *len);
const char *dm_stats_get_current_region_program_id(const struct dm_stats *dms);
const char *dm_stats_get_current_region_aux_data(const struct dm_stats *dms);
int dm_stats_get_current_region_precise_timestamps(const struct dm_stats *dms);
const char *dm_stats_get_alias(const struct dm_stats *dms, uint64_t id);
uint64_t dm_stats_get_group_id(const struct dm_stats *dms, uint64_t region_id);
int dm_stats_get_group_descriptor(const struct dm_stats *dms, uint64_t group_id, char **buf);
int dm_stats_create_group(struct dm_stats *dms, const char *group, const char *alias, uint64_t *group_id);
int dm_stats_delete_group(struct dm_stats *dms, uint64_t group_id, int remove_regions);
uint64_t *dm_stats_create_regions_from_fd(struct dm_stats *dms, int fd, int group, int precise,
					  struct dm_histogram *bounds, const char *alias);
uint64_t *dm_stats_update_regions_from_fd(struct dm_stats *dms, int fd, uint64_t group_id);
dm_filemapd_mode_t dm_filemapd_mode_from_string(const char *mode_str);
void dm_stats_set_sampling_interval_ns(struct dm_stats *dms, uint64_t interval_ns);
uint64_t dm_stats_get_counter(const struct dm_stats *dms, dm_stats_counter_t counter, uint64_t region_id,
			      uint64_t area_id);
int dm_stats_get_metric(const struct dm_stats *dms, int metric, uint64_t region_id, uint64_t area_id, double *value);
int dm_stats_get_utilization(const struct dm_stats *dms, int32_t *util, uint64_t region_id, uint64_t area_id);
float dm_percent_to_round_float(int32_t percent, unsigned digits);
struct dm_histogram *dm_stats_get_histogram(const struct dm_stats *dms, uint64_t region_id, uint64_t area_id);
struct dm_histogram *dm_histogram_bounds_from_string(const char *bounds_str);
void dm_histogram_bounds_destroy(struct dm_histogram *bounds);
uint64_t dm_histogram_get_bin_lower(const struct dm_histogram *dmh, int bin);
uint64_t dm_histogram_get_bin_upper(const struct dm_histogram *dmh, int bin);
const char *dm_histogram_to_string(const struct dm_histogram *dmh, int bin, int width, int flags);
struct dm_pool *dm_pool_create(const char *name, size_t chunk_hint);
void dm_pool_destroy(struct dm_pool *p);
uint64_t dm_units_to_factor(const char *units, char *unit_type, int strict, const char **endptr);
const char *dm_size_to_string(struct dm_pool *mem, uint64_t size, char unit_type, int use_si_units,
			      uint64_t unit_factor, int include_suffix, dm_size_suffix_t suffix_type);

/* libdm.h */
enum {
	DMCTL_REPORT_TASK, DMCTL_REPORT_INFO, DMCTL_REPORT_DEPS, DMCTL_REPORT_TREE, DMCTL_REPORT_NAME,
	DMCTL_REPORT_STATS, DMCTL_REPORT_REGION, ...
};
extern const struct dm_report_field_type dmctl_report_fields[];
extern const struct dm_report_object_type dmctl_report_types[];
const struct dm_report_field_type *dmctl_report_fields_under_their_names(void);
int dmctl_report_row(uint32_t kinds, struct dm_task *task);
extern "Python+C" int dmctl_report_value(struct dm_report *report, struct dm_pool *pool, struct dm_report_field *field,
					 int number);
int dmctl_report_set(struct dm_pool *pool, struct dm_report_field *field, const char *text, uint64_t sort_value);
/* libdm.h */
struct dmctl_record { int level; int errno_or_class; int line; const char *file; char *text; ...; };
void dmctl_log_install(void);
void dmctl_log_limit(int level);
struct dmctl_record *dmctl_log_next(void);
void dmctl_log_free(struct dmctl_record *record);
int dmctl_cookie_settle(uint32_t cookie);
int dmctl_cookie_wait_zero(uint32_t cookie, int milliseconds);
int dmctl_cookie_destroy(uint32_t cookie);
int dmctl_cookie_value(uint32_t cookie, int *value);
struct dmctl_cookie { uint32_t key; int id; int value; int value_errno; int64_t operated; int64_t changed; ...; };
int dmctl_cookie_next(int *index, struct dmctl_cookie *cookie);
void dmctl_set_locale(void);
int32_t dmctl_add_user_key(const char *description, const void *payload, size_t bytes);
int dmctl_unlink_key(int32_t key);
