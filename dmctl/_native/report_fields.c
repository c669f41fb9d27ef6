/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The fields of dmsetup's reports: names, headings and widths are dmsetup's interface, the explanations our own.
 * What the kernel's answer about a device has is shown from here, for a call of Python takes longer than the request.
 * Any other value is asked of Python, by the field's number, when libdevmapper wants it for the device at hand. */
#include "libdm.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define TEXT DM_REPORT_FIELD_TYPE_STRING
#define NUMBER DM_REPORT_FIELD_TYPE_NUMBER
#define SIZE DM_REPORT_FIELD_TYPE_SIZE

static int report_value(struct dm_report *report, struct dm_pool *pool, struct dm_report_field *field,
			const void *data, void *unused);

/* libdevmapper adds a field's offset to the object: with this as every object, the sum tells the field's number. */
static char zero_object[256];

static struct dm_task *row_task;
static struct dm_info row_info;
static uint32_t row_kinds;

/* One for each kind of fields: NULL tells libdevmapper that the row has none of them. */
#define OBJECT(kind) \
	static void *object_##kind(void *object) \
	{ \
		return row_kinds & DMCTL_REPORT_##kind ? zero_object : NULL; \
	}
OBJECT(TASK)
OBJECT(INFO)
OBJECT(DEPS)
OBJECT(TREE)
OBJECT(NAME)
OBJECT(STATS)
OBJECT(REGION)

int dmctl_report_row(uint32_t kinds, struct dm_task *task)
{
	row_kinds = kinds;
	row_task = task;
	return !task || dm_task_get_info(task, &row_info);
}

/* Functions of fields that need nothing but the answer. */
#define SHOW(name, type, set, expression) \
	static int show_##name(struct dm_report *report, struct dm_pool *pool, struct dm_report_field *field, \
			       const void *data, void *unused) \
	{ \
		type value; \
\
		if (!row_task) \
			return report_value(report, pool, field, data, unused); \
		value = expression; \
		return set(report, field, &value); \
	}
#define SHOW_TEXT(name, expression) SHOW(name, const char *, dm_report_field_string, expression)
#define SHOW_COUNT(name) SHOW(name, uint32_t, dm_report_field_uint32, row_info.name)
#define SHOW_MAYBE(name) SHOW(name, int32_t, dm_report_field_int32, row_info.name)

static const char *attributes(void)
{
	static char text[5];

	text[0] = row_info.live_table ? 'L' : '-';
	text[1] = row_info.inactive_table ? 'I' : '-';
	text[2] = row_info.suspended ? 's' : '-';
	text[3] = row_info.read_only ? 'r' : 'w';
	return text;
}

static const char *tables(void)
{
	if (row_info.live_table)
		return row_info.inactive_table ? "Both" : "Live";
	return row_info.inactive_table ? "Inactive" : "None";
}

static const char *devno(void)
{
	static char text[24];

	snprintf(text, sizeof(text), "%" PRIu32 ":%" PRIu32, row_info.major, row_info.minor);
	return text;
}

SHOW_TEXT(name, dm_task_get_name(row_task))
SHOW_TEXT(uuid, dm_task_get_uuid(row_task))
SHOW_TEXT(attr, attributes())
SHOW_TEXT(tables_loaded, tables())
SHOW_TEXT(suspended, row_info.suspended ? "Suspended" : "Active")
SHOW_TEXT(readonly, row_info.read_only ? "Read-only" : "Writeable")
SHOW_TEXT(devno, devno())
SHOW_COUNT(major)
SHOW_COUNT(minor)
SHOW_MAYBE(open_count)
SHOW_MAYBE(target_count)
SHOW_COUNT(event_nr)

enum { ROWS_BEGIN = __COUNTER__ };
#define FIELD(type, kind, heading, width, id, meaning) FIELD_BY(report_value, type, kind, heading, width, id, meaning)
#define SHOWN(by, type, kind, heading, width, id, meaning) FIELD_BY(show_##by, type, kind, heading, width, id, meaning)
#define FIELD_BY(by, type, kind, heading, width, id, meaning) \
	{ DMCTL_REPORT_##type, kind, __COUNTER__ - ROWS_BEGIN - 1, width, id, heading, by, meaning },

const struct dm_report_field_type dmctl_report_fields[] = {
	SHOWN(name, TASK, TEXT, "Name", 16, "name", "Name of the device.")
	FIELD(TASK, TEXT, "MangledName", 16, "mangled_name", "Its name as the kernel and udev have it, odd characters mangled.")
	FIELD(TASK, TEXT, "UnmangledName", 16, "unmangled_name", "Its name with mangled characters as they are meant.")
	SHOWN(uuid, TASK, TEXT, "UUID", 32, "uuid", "UUID of the device, if it has one.")
	FIELD(TASK, TEXT, "MangledUUID", 32, "mangled_uuid", "Its UUID as the kernel and udev have it.")
	FIELD(TASK, TEXT, "UnmangledUUID", 32, "unmangled_uuid", "Its UUID with mangled characters as they are meant.")
	FIELD(TASK, NUMBER, "RAhead", 6, "read_ahead", "Read-ahead in sectors.")
	FIELD(INFO, TEXT, "BlkDevName", 16, "blkdevname", "The kernel's name of the block device.")
	SHOWN(attr, INFO, TEXT, "Stat", 4, "attr", "Live and inactive table, suspended, read-only or writable: LIsr or w.")
	SHOWN(tables_loaded, INFO, TEXT, "Tables", 6, "tables_loaded", "Which tables there are: Live, Inactive, Both or None.")
	SHOWN(suspended, INFO, TEXT, "Suspended", 9, "suspended", "Suspended or Active.")
	SHOWN(readonly, INFO, TEXT, "Read-only", 9, "readonly", "Read-only or Writeable.")
	SHOWN(devno, INFO, TEXT, "DevNo", 5, "devno", "Major and minor number, with a colon between.")
	SHOWN(major, INFO, NUMBER, "Maj", 3, "major", "Major number.")
	SHOWN(minor, INFO, NUMBER, "Min", 3, "minor", "Minor number.")
	SHOWN(open_count, INFO, NUMBER, "Open", 4, "open", "How often the device is open, -1 if that was not asked.")
	SHOWN(target_count, INFO, NUMBER, "Targ", 4, "segments", "How many lines the live table has.")
	SHOWN(event_nr, INFO, NUMBER, "Event", 6, "events", "Number of the last event.")
	FIELD(DEPS, NUMBER, "#Devs", 5, "device_count", "How many devices the table refers to.")
	FIELD(TREE, TEXT, "DevNamesUsed", 16, "devs_used", "Names of the mapped devices that the table refers to.")
	FIELD(DEPS, TEXT, "DevNosUsed", 16, "devnos_used", "Numbers of the devices that the table refers to.")
	FIELD(DEPS, TEXT, "BlkDevNamesUsed", 16, "blkdevs_used", "The kernel's names of the devices that the table refers to.")
	FIELD(TREE, NUMBER, "#Refs", 5, "device_ref_count", "How many mapped devices use this one.")
	FIELD(TREE, TEXT, "RefNames", 8, "names_using_dev", "Names of the mapped devices that use this one.")
	FIELD(TREE, TEXT, "RefDevNos", 9, "devnos_using_dev", "Numbers of the mapped devices that use this one.")
	FIELD(NAME, TEXT, "Subsys", 6, "subsystem", "Whose device it is, by the beginning of its UUID.")
	FIELD(NAME, TEXT, "VG", 4, "vg_name", "Volume group of an LVM device.")
	FIELD(NAME, TEXT, "LV", 4, "lv_name", "Logical volume of an LVM device.")
	FIELD(NAME, TEXT, "LVLayer", 7, "lv_layer", "Layer of an LVM device.")
	FIELD(STATS, NUMBER, "#Reads", 6, "read_count", "Reads that have ended.")
	FIELD(STATS, NUMBER, "#RdMrgs", 7, "reads_merged_count", "Reads that were merged with another.")
	FIELD(STATS, NUMBER, "#RdSectors", 10, "read_sector_count", "Sectors read.")
	FIELD(STATS, NUMBER, "AccRdTime", 11, "read_time", "Time that all reads took, added up, in nanoseconds.")
	FIELD(STATS, NUMBER, "#Writes", 7, "write_count", "Writes that have ended.")
	FIELD(STATS, NUMBER, "#WrMrgs", 7, "writes_merged_count", "Writes that were merged with another.")
	FIELD(STATS, NUMBER, "#WrSectors", 10, "write_sector_count", "Sectors written.")
	FIELD(STATS, NUMBER, "AccWrTime", 11, "write_time", "Time that all writes took, added up, in nanoseconds.")
	FIELD(STATS, NUMBER, "#InProg", 7, "in_progress_count", "Requests that are under way.")
	FIELD(STATS, NUMBER, "IoTicks", 7, "io_ticks", "Nanoseconds in which any request was under way.")
	FIELD(STATS, NUMBER, "QueueTicks", 10, "queue_ticks", "The same, weighted by the number of requests.")
	FIELD(STATS, NUMBER, "RdTicks", 7, "read_ticks", "Nanoseconds in which a read was under way.")
	FIELD(STATS, NUMBER, "WrTicks", 7, "write_ticks", "Nanoseconds in which a write was under way.")
	FIELD(STATS, NUMBER, "RMrg/s", 6, "reads_merged_per_sec", "Reads merged a second.")
	FIELD(STATS, NUMBER, "WMrg/s", 6, "writes_merged_per_sec", "Writes merged a second.")
	FIELD(STATS, NUMBER, "R/s", 3, "reads_per_sec", "Reads a second.")
	FIELD(STATS, NUMBER, "W/s", 3, "writes_per_sec", "Writes a second.")
	FIELD(STATS, NUMBER, "RSz/s", 5, "read_size_per_sec", "Amount read a second.")
	FIELD(STATS, NUMBER, "WSz/s", 5, "write_size_per_sec", "Amount written a second.")
	FIELD(STATS, NUMBER, "AvgRqSz", 7, "avg_request_size", "Mean size of a request.")
	FIELD(STATS, NUMBER, "QSize", 5, "queue_size", "Mean number of requests under way.")
	FIELD(STATS, NUMBER, "AWait", 5, "await", "Mean time of a request in milliseconds.")
	FIELD(STATS, NUMBER, "RdAWait", 7, "read_await", "Mean time of a read in milliseconds.")
	FIELD(STATS, NUMBER, "WrAWait", 7, "write_await", "Mean time of a write in milliseconds.")
	FIELD(STATS, NUMBER, "Throughput", 10, "throughput", "Requests a second.")
	FIELD(STATS, NUMBER, "SvcTm", 5, "service_time", "Time in which the device was busy, by request, in milliseconds.")
	FIELD(STATS, NUMBER, "Util%", 5, "util", "Part of the time in which the device was busy, in per cent.")
	FIELD(STATS, TEXT, "Histogram Counts", 16, "hist_count", "Requests by their latency.")
	FIELD(STATS, TEXT, "Histogram Counts", 16, "hist_count_bounds", "Requests by their latency, each bin with its lower bound.")
	FIELD(STATS, TEXT, "Histogram Counts", 16, "hist_count_ranges", "Requests by their latency, each bin with both bounds.")
	FIELD(STATS, TEXT, "Histogram%", 10, "hist_percent", "Requests by their latency, in per cent.")
	FIELD(STATS, TEXT, "Histogram%", 10, "hist_percent_bounds", "In per cent, each bin with its lower bound.")
	FIELD(STATS, TEXT, "Histogram%", 10, "hist_percent_ranges", "In per cent, each bin with both bounds.")
	FIELD(STATS, NUMBER, "IntervalNs", 10, "interval_ns", "Time that the rates are about, in nanoseconds.")
	FIELD(STATS, NUMBER, "Interval", 8, "interval", "Time that the rates are about, in seconds.")
	FIELD(REGION, NUMBER, "RgID", 4, "region_id", "Number of the region; all of them for a group.")
	FIELD(REGION, SIZE, "RgStart", 7, "region_start", "Where the region begins on the device.")
	FIELD(REGION, SIZE, "RgSize", 6, "region_len", "Length of the region.")
	FIELD(REGION, NUMBER, "ArID", 4, "area_id", "Number of the area in its region.")
	FIELD(REGION, SIZE, "ArStart", 7, "area_start", "Where the area begins on the device.")
	FIELD(REGION, SIZE, "ArSize", 6, "area_len", "Length of the area.")
	FIELD(REGION, SIZE, "ArOff", 5, "area_offset", "Where the area begins in its region.")
	FIELD(REGION, NUMBER, "#Areas", 6, "area_count", "How many areas the region has.")
	FIELD(REGION, NUMBER, "GrpID", 5, "group_id", "Number of the group that the region is in.")
	FIELD(REGION, TEXT, "ProgID", 6, "program_id", "Program that made the region.")
	FIELD(REGION, TEXT, "UserData", 8, "user_data", "Text that was stored with the region.")
	FIELD(REGION, TEXT, "Precise", 7, "precise", "1 where times are counted in nanoseconds, 0 for milliseconds.")
	FIELD(REGION, TEXT, "#Bins", 9, "hist_bins", "How many bins the latency histogram has.")
	FIELD(REGION, TEXT, "Histogram Bounds", 16, "hist_bounds", "Lower bounds of the histogram's bins.")
	FIELD(REGION, TEXT, "Histogram Ranges", 16, "hist_ranges", "Both bounds of the histogram's bins.")
	FIELD(REGION, TEXT, "Name", 16, "stats_name", "The group's alias, or the device's name.")
	FIELD(REGION, TEXT, "ObjType", 7, "obj_type", "What the row is about: area, region or group.")
	{ 0, 0, 0, 0, "", "", NULL, NULL },
};

const struct dm_report_field_type *dmctl_report_fields_under_their_names(void)
{
	enum { COUNT = sizeof(dmctl_report_fields) / sizeof(*dmctl_report_fields) };
	static union { struct dm_report_field_type field; char bytes[sizeof(struct dm_report_field_type)]; } copies[COUNT];
	size_t number, length;

	memcpy(copies, dmctl_report_fields, sizeof(dmctl_report_fields));
	for (number = 0; number < COUNT; ++number) {
		const char *name = dmctl_report_fields[number].id;

		length = strlen(name);
		memcpy(copies[number].bytes + offsetof(struct dm_report_field_type, heading), name, length + 1);
		if ((size_t) copies[number].field.width < length)
			copies[number].field.width = (int32_t) length;
	}
	return &copies[0].field;
}

const struct dm_report_object_type dmctl_report_types[] = {
	{ DMCTL_REPORT_TASK, "Mapped Device Name", "name_", object_TASK },
	{ DMCTL_REPORT_INFO, "Mapped Device Information", "info_", object_INFO },
	{ DMCTL_REPORT_DEPS, "Mapped Device Relationship Information", "deps_", object_DEPS },
	{ DMCTL_REPORT_TREE, "Mapped Device Relationship Information", "tree_", object_TREE },
	{ DMCTL_REPORT_NAME, "Mapped Device Name Components", "splitname_", object_NAME },
	{ DMCTL_REPORT_STATS, "Mapped Device Statistics", "stats_", object_STATS },
	{ DMCTL_REPORT_REGION, "Mapped Device Statistics Region Information", "region_", object_REGION },
	{ 0, "", "", NULL },
};

static int report_value(struct dm_report *report, struct dm_pool *pool, struct dm_report_field *field,
			const void *data, void *unused)
{
	return dmctl_report_value(report, pool, field, (int) ((const char *) data - zero_object));
}

int dmctl_report_set(struct dm_pool *pool, struct dm_report_field *field, const char *text, uint64_t sort_value)
{
	char *kept_text = dm_pool_strdup(pool, text);
	uint64_t *kept_value = dm_pool_alloc(pool, sizeof(*kept_value));

	if (!kept_text || !kept_value)
		return 0;
	*kept_value = sort_value;
	dm_report_field_set_value(field, kept_text, kept_value);
	return 1;
}
