/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The fields of dmsetup's reports: names, headings and widths are dmsetup's interface, the explanations our own.
 * A field's value is asked of Python, by the field's number, when libdevmapper wants it for the device at hand. */
#include "shim.h"

#define TEXT DM_REPORT_FIELD_TYPE_STRING
#define NUMBER DM_REPORT_FIELD_TYPE_NUMBER

static int report_value(struct dm_report *report, struct dm_pool *pool, struct dm_report_field *field,
			const void *data, void *unused);

/* libdevmapper adds a field's offset to the object: with this as every object, the sum tells the field's number. */
static char zero_object[256];

static void *same_object(void *object)
{
	return zero_object;
}

enum { ROWS_BEGIN = __COUNTER__ };
#define FIELD(type, kind, heading, width, id, meaning) \
	{ DMCTL_REPORT_##type, kind, __COUNTER__ - ROWS_BEGIN - 1, width, id, heading, report_value, meaning },

const struct dm_report_field_type dmctl_report_fields[] = {
	FIELD(TASK, TEXT, "Name", 16, "name", "Name of the device.")
	FIELD(TASK, TEXT, "MangledName", 16, "mangled_name", "Its name as the kernel and udev have it, odd characters mangled.")
	FIELD(TASK, TEXT, "UnmangledName", 16, "unmangled_name", "Its name with mangled characters as they are meant.")
	FIELD(TASK, TEXT, "UUID", 32, "uuid", "UUID of the device, if it has one.")
	FIELD(TASK, TEXT, "MangledUUID", 32, "mangled_uuid", "Its UUID as the kernel and udev have it.")
	FIELD(TASK, TEXT, "UnmangledUUID", 32, "unmangled_uuid", "Its UUID with mangled characters as they are meant.")
	FIELD(TASK, NUMBER, "RAhead", 6, "read_ahead", "Read-ahead in sectors.")
	FIELD(INFO, TEXT, "BlkDevName", 16, "blkdevname", "The kernel's name of the block device.")
	FIELD(INFO, TEXT, "Stat", 4, "attr", "Live and inactive table, suspended, read-only or writable: LIsr or w.")
	FIELD(INFO, TEXT, "Tables", 6, "tables_loaded", "Which tables there are: Live, Inactive, Both or None.")
	FIELD(INFO, TEXT, "Suspended", 9, "suspended", "Suspended or Active.")
	FIELD(INFO, TEXT, "Read-only", 9, "readonly", "Read-only or Writeable.")
	FIELD(INFO, TEXT, "DevNo", 5, "devno", "Major and minor number, with a colon between.")
	FIELD(INFO, NUMBER, "Maj", 3, "major", "Major number.")
	FIELD(INFO, NUMBER, "Min", 3, "minor", "Minor number.")
	FIELD(INFO, NUMBER, "Open", 4, "open", "How often the device is open, -1 if that was not asked.")
	FIELD(INFO, NUMBER, "Targ", 4, "segments", "How many lines the live table has.")
	FIELD(INFO, NUMBER, "Event", 6, "events", "Number of the last event.")
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
	{ 0, 0, 0, 0, "", "", NULL, NULL },
};

const struct dm_report_object_type dmctl_report_types[] = {
	{ DMCTL_REPORT_TASK, "Mapped Device Name", "name_", same_object },
	{ DMCTL_REPORT_INFO, "Mapped Device Information", "info_", same_object },
	{ DMCTL_REPORT_DEPS, "Mapped Device Relationship Information", "deps_", same_object },
	{ DMCTL_REPORT_TREE, "Mapped Device Relationship Information", "tree_", same_object },
	{ DMCTL_REPORT_NAME, "Mapped Device Name Components", "splitname_", same_object },
	{ 0, "", "", NULL },
};

static int report_value(struct dm_report *report, struct dm_pool *pool, struct dm_report_field *field,
			const void *data, void *unused)
{
	return dmctl_report_value(report, field, (int) ((const char *) data - zero_object));
}
