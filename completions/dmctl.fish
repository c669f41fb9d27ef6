# SPDX-License-Identifier: LGPL-2.1-or-later
# Made by python -m dmctl.cli.completion: change that, not this.

# The names of devices, also of those without a table, where dmsetup can tell them; else from sysfs.
function __dmctl_devices
    set -l names
    if test -w /dev/mapper/control -a -e /sys/class/misc/device-mapper -a -x /sbin/dmsetup
        set names (/sbin/dmsetup ls 2>/dev/null | string replace -rf '\t\(.*' '')
    end
    if set -q names[1]
        printf '%s\n' $names
        return
    end
    for file in /sys/block/dm-*/dm/name
        read -l name <$file
        and set -a names $name
    end 2>/dev/null # a device may go away meanwhile
    # The kernel may have \x20 for a blank. Users see and type the blank, and libdevmapper takes it.
    string match -e -r '\\\\([^x]|x5c|x[01])' -- $names
    set -l plain (string match -v -r '\\\\([^x]|x5c|x[01])' -- $names)
    and printf '%b\n' $plain
end

set -g __dmctl_of_dmsetup help create remove remove_all suspend resume load clear reload wipe_table rename measure message ls info deps stats status table wait mknodes mangle udevcreatecookie udevreleasecookie udevflags udevcomplete udevcomplete_all udevcookies target-version targets version setgeometry splitname
set -g __dmctl_commands $__dmctl_of_dmsetup show tree top events holders explain build verity veritysetup thin clone check install-links

# The names of the volumes of the pool that is named before, if one is; a pool's otherwise.
function __dmctl_volumes -a command
    for word in (commandline -opc)[2..]
        if not string match -q -- '-*' $word
            and not contains -- $word (string split - -- $command)
            test -r /run/dmctl/volumes/$word
            and cat /run/dmctl/volumes/$word
            return
        end
    end
    __dmctl_devices
end

# Words, each with what stands before it in the one that is typed.
function __dmctl_words
    printf '%s\n' $argv[1]$argv[2..]
end

# The last of a list with commas; before a field there may be + or -.
function __dmctl_list
    set -l before (string match -r '^(?:.*,)?[+-]?' -- $argv[2])
    printf '%s\n' $argv[1]"$before"$argv[3..]
end

function __dmctl_complete
    set -l words (commandline -opc)
    set -l typed (commandline -ct)
    set -l program (string replace -r '.*/' '' -- $words[1])
    set -l previous $words[-1]
    set -l head ''
    set -l command
    set -l known $__dmctl_commands
    switch $program
        case dmsetup
            set known $__dmctl_of_dmsetup
        case dmstats # which has but one command, and has it in its name
            set command stats
            set -q words[2]
            or set previous stats
    end
    if not set -q command[1]
        for word in $words[2..]
            if contains -- $word $known
                set command $word
                break
            end
        end
    end
    if contains -- "$command" verity thin thin-pool thin-blob clone # the word behind it is the command, or a group in its turn
        for word in $words[2..]
            if not string match -q -- '-*' $word
                and not string match -q -- "*-$word" -$command
                set command $command-$word
                contains -- $command verity thin thin-pool thin-blob clone
                or break
            end
        end
    end
    if set -l parts (string match -r '^(--[a-z]+)=(.*)' -- $typed)
        or set -l parts (string match -r '^(-[oOS])(.+)' -- $typed)
        set previous $parts[2]
        set typed $parts[3]
        set head $previous
        string match -q -- '--*' $previous
        and set head $previous=
    end
    switch "$command:$previous"
        case ':*'
            begin
            printf '%s\t%s\n' \
                help 'Print the usage of all commands.' \
                create 'Make a device, load its table (from --table, a file or standard input) and resume it.' \
                remove 'Remove devices.' \
                remove_all 'Remove every device that is not in use.' \
                suspend 'Flush and hold back I/O.' \
                resume 'Make a loaded table live and let I/O go on.' \
                load 'Load a table into the inactive slot (from --table, a file or standard input).' \
                clear 'Drop the inactive table.' \
                reload 'The same as load.' \
                wipe_table 'Put an error target of the same size in place of the table.' \
                rename 'Rename a device, or give it its uuid.' \
                measure 'Print what the kernel measures of the tables for IMA.' \
                message 'Send a message to the target at SECTOR.' \
                ls 'List the devices.' \
                info 'Print state, tables, open count, event number and numbers of devices.' \
                deps 'Print the block devices that the tables refer to.' \
                stats 'Make, print and remove regions of I/O statistics, as dmstats does.' \
                status 'Print the targets\' status.' \
                table 'Print the tables, keys hidden.' \
                wait 'Wait until the event counter is no longer EVENT_NR (0).' \
                mknodes 'Make the nodes in /dev/mapper anew.' \
                mangle 'Rename devices whose names udev cannot have.' \
                udevcreatecookie 'Begin a udev transaction and print its cookie.' \
                udevreleasecookie 'Wait for a udev transaction and end it.' \
                udevflags 'Print the flags in a cookie, for udev rules.' \
                udevcomplete 'Say that udev has finished, for udev rules.' \
                udevcomplete_all 'Remove the cookies that were left behind.' \
                udevcookies 'List the cookies there are.' \
                target-version 'Print the version of targets, loading their modules.' \
                targets 'List the targets that are loaded.' \
                version 'Print the versions of library and driver.' \
                setgeometry 'Set the geometry of a device.' \
                splitname 'Split an LVM device name into its parts.'
            test $program = dmsetup
            or printf '%s\t%s\n' \
                show 'Show devices: size, target, state, what they stand on, how full they are.' \
                tree 'Show what stands on what, from the top to the disks.' \
                top 'Watch I/O rates, latency and requests in flight.' \
                events 'Watch what happens to devices.' \
                holders 'Tell who keeps a device busy.' \
                explain 'Tell what each word of a table and of a status means.' \
                build 'Print a table line, or make a device, from arguments with names and units.' \
                verity 'Hash trees: make, verify, repair, sign and open them.' \
                veritysetup 'Do what veritysetup does, for scripts.' \
                thin 'Thin pools: volumes, snapshots, blobs, and what is in the metadata.' \
                clone 'Copies that can be used at once: make, watch, pause and finish them.' \
                check 'Look for mistakes in a table before the kernel is asked.' \
                install-links 'Make links to dmctl by dmsetup\'s names.'
            end | string match -- "$typed*"
        case create:--gid create:-G create:--major create:-j create:--minor create:-m create:--mode create:-M create:--udevcookie create:--table create:--uid create:-U create:--uuid create:-u remove:--major remove:-j remove:--minor remove:-m remove:--udevcookie remove:--uuid remove:-u suspend:--major suspend:-j suspend:--minor suspend:-m suspend:--uuid suspend:-u resume:--major resume:-j resume:--minor resume:-m resume:--udevcookie resume:--uuid resume:-u load:--major load:-j load:--minor load:-m load:--table load:--uuid load:-u clear:--major clear:-j clear:--minor clear:-m clear:--uuid clear:-u reload:--major reload:-j reload:--minor reload:-m reload:--table reload:--uuid reload:-u wipe_table:--udevcookie rename:--major rename:-j rename:--minor rename:-m rename:--udevcookie rename:--uuid rename:-u measure:--major measure:-j measure:--minor measure:-m measure:--uuid measure:-u message:--major message:-j message:--minor message:-m message:--uuid message:-u ls:--exec info:--count info:--interval info:--major info:-j info:--minor info:-m info:--separator info:--uuid info:-u deps:--major deps:-j deps:--minor deps:-m deps:--uuid deps:-u stats:--alias stats:--areas stats:--areasize stats:--bounds stats:--count stats:--groupid stats:--interval stats:--length stats:--major stats:-j stats:--minor stats:-m stats:--programid stats:--regions stats:--regionid stats:--separator stats:--start stats:--units stats:--uuid stats:-u stats:--userdata status:--exec status:--major status:-j status:--minor status:-m status:--uuid status:-u table:--exec table:--major table:-j table:--minor table:-m table:--uuid table:-u wait:--major wait:-j wait:--minor wait:-m wait:--uuid wait:-u splitname:--separator events:--name events:--uuid events:--count events:--timeout events:--since-counter events:--until events:--poll events:--exec events:--jobs build:--create build:--uuid build:--size verity-format:--hash verity-format:-h verity-format:--format verity-format:--data-block-size verity-format:--hash-block-size verity-format:--data-blocks verity-format:--hash-offset verity-format:--salt verity-format:-s verity-format:--uuid verity-format:--fec-offset verity-format:--fec-roots verity-format:--threads verity-verify:--hash-offset verity-verify:--hash verity-verify:-h verity-verify:--format verity-verify:--data-block-size verity-verify:--hash-block-size verity-verify:--data-blocks verity-verify:--salt verity-verify:-s verity-verify:--fec-offset verity-verify:--fec-roots verity-verify:--threads verity-repair:--hash-offset verity-repair:--hash verity-repair:-h verity-repair:--format verity-repair:--data-block-size verity-repair:--hash-block-size verity-repair:--data-blocks verity-repair:--salt verity-repair:-s verity-repair:--fec-offset verity-repair:--fec-roots verity-repair:--threads verity-dump:--hash-offset verity-open:--hash-offset verity-open:--hash verity-open:-h verity-open:--format verity-open:--data-block-size verity-open:--hash-block-size verity-open:--data-blocks verity-open:--salt verity-open:-s verity-open:--fec-offset verity-open:--fec-roots verity-sign:--key verity-sign:--digest verity-gpt:--arch veritysetup:--data-block-size veritysetup:--data-blocks veritysetup:--fec-device veritysetup:--fec-offset veritysetup:--fec-roots veritysetup:--format veritysetup:--hash veritysetup:-h veritysetup:--hash-block-size veritysetup:--hash-offset veritysetup:--root-hash-file veritysetup:--root-hash-signature veritysetup:--salt veritysetup:-s veritysetup:--uuid thin-pool-create:--block-size thin-pool-create:--max-volumes thin-pool-create:--low-water thin-pool-init:--max-volumes thin-pool-adopt:--max-volumes thin-create:--size thin-create:--blob thin-snapshot:--group thin-snapshot:--blob thin-resize:--size thin-blob-set:--blob thin-find:--blob thin-find:--name thin-find:--uuid thin-ls:--format thin-ls:-o thin-monitor:--data thin-monitor:--metadata thin-monitor:--interval thin-monitor:--exec thin-dump:--format thin-dump:-f thin-dump:--dev-id thin-delta:--snap1 thin-delta:--snap2 thin-delta:--size thin-rmap:--region thin-metadata-size:--block-size thin-metadata-size:-b thin-metadata-size:--pool-size thin-metadata-size:-s thin-metadata-size:--max-thins thin-metadata-size:-m thin-metadata-size:--unit thin-metadata-size:-u clone-create:--region-size clone-create:--threshold clone-create:--batch clone-create:--rate clone-create:--on-error clone-create:--max-stall clone-watch:--on-error clone-watch:--max-stall clone-watch:--rate clone-throttle:--threshold clone-throttle:--batch clone-assemble:--on-error clone-assemble:--max-stall clone-assemble:--rate clone-inspect:--metadata check:--table
        case create:--readahead resume:--readahead
            __dmctl_words "$head" auto none
        case remove:--select remove:-S suspend:--select suspend:-S resume:--select resume:-S clear:--select clear:-S wipe_table:--select wipe_table:-S measure:--select measure:-S info:--select info:-S info:--options info:-o info:--sort info:-O deps:--select deps:-S status:--select status:-S table:--select table:-S
            __dmctl_list "$head" "$typed" name mangled_name unmangled_name uuid mangled_uuid unmangled_uuid read_ahead blkdevname attr tables_loaded suspended readonly devno major minor open segments events device_count devs_used devnos_used blkdevs_used device_ref_count names_using_dev devnos_using_dev subsystem vg_name lv_name lv_layer
        case measure:--target ls:--target status:--target table:--target events:--target
            __dmctl_words "$head" bow cache clone crypt delay dust ebs era error flakey integrity linear log-writes mirror multipath raid snapshot snapshot-merge snapshot-origin striped switch thin thin-pool unstriped vdo verity writecache zero zoned
        case ls:--options ls:-o
            __dmctl_list "$head" "$typed" devno blkdevname devname device nodevice status table active open uuid rw utf vt100 ascii inverted compact notrunc
        case info:--headings stats:--headings splitname:--headings
            __dmctl_words "$head" none abbrev full
        case deps:--options deps:-o
            __dmctl_list "$head" "$typed" devno blkdevname devname
        case stats:--select stats:-S stats:--options stats:-o stats:--sort stats:-O
            __dmctl_list "$head" "$typed" subsystem vg_name lv_name lv_layer read_count reads_merged_count read_sector_count read_time write_count writes_merged_count write_sector_count write_time in_progress_count io_ticks queue_ticks read_ticks write_ticks reads_merged_per_sec writes_merged_per_sec reads_per_sec writes_per_sec read_size_per_sec write_size_per_sec avg_request_size queue_size await read_await write_await throughput service_time util hist_count hist_count_bounds hist_count_ranges hist_percent hist_percent_bounds hist_percent_ranges interval_ns interval region_id region_start region_len area_id area_start area_len area_offset area_count group_id program_id user_data precise hist_bins hist_bounds hist_ranges stats_name obj_type
        case stats:--follow
            __dmctl_words "$head" inode path
        case mangle:--manglename
            __dmctl_words "$head" auto hex none
        case splitname:--options splitname:-o
            __dmctl_list "$head" "$typed" subsystem vg_name lv_name lv_layer
        case show:--options show:-o show:--sort show:-O show:--select show:-S
            __dmctl_list "$head" "$typed" name dm_name size target state on used_by mounts above full warnings uuid devno open events segments suspended readonly bow.device bow.block_size_bytes cache.metadata_block_sectors cache.metadata_used_blocks cache.metadata_total_blocks cache.block_sectors cache.cache_used_blocks cache.cache_total_blocks cache.read_hits cache.read_misses cache.write_hits cache.write_misses cache.demotions cache.promotions cache.dirty_blocks cache.mode cache.metadata2 cache.no_discard_passdown cache.migration_threshold_sectors cache.policy cache.policy_options cache.metadata_mode cache.needs_check cache.metadata cache.cache cache.origin clone.metadata_block_sectors clone.metadata_used_blocks clone.metadata_total_blocks clone.region_sectors clone.hydrated_regions clone.total_regions clone.hydrating_regions clone.no_hydration clone.no_discard_passdown clone.hydration_threshold_regions clone.hydration_batch_size_regions clone.mode clone.metadata clone.destination clone.source crypt.cipher crypt.device crypt.iv_offset_sectors crypt.offset_sectors crypt.allow_discards crypt.same_cpu_crypt crypt.high_priority crypt.submit_from_crypt_cpus crypt.no_read_workqueue crypt.no_write_workqueue crypt.integrity crypt.integrity_key_size_bytes crypt.sector_size_bytes crypt.iv_large_sectors delay.reads delay.writes delay.flushes delay.device delay.delay_ms delay.offset_sectors delay.write delay.flush dust.device dust.reads dust.logging dust.block_bytes dust.offset_sectors ebs.device ebs.emulated_sectors ebs.offset_sectors ebs.underlying_sectors era.metadata_block_sectors era.metadata_used_blocks era.metadata_total_blocks era.era era.held_root_block era.metadata era.origin era.block_sectors error.device flakey.device flakey.offset_sectors flakey.up_s flakey.down_s flakey.error_reads flakey.drop_writes flakey.error_writes flakey.corrupt_byte flakey.random_read_corrupt flakey.random_write_corrupt integrity.mismatches integrity.provided_sectors integrity.recalculated_sectors integrity.device integrity.offset_sectors integrity.mode integrity.tag_size_bytes integrity.meta_device integrity.block_size_bytes integrity.recalculate integrity.reset_recalculate integrity.allow_discards integrity.allow_discards_keyed integrity.journal_sectors integrity.interleave_sectors integrity.buffer_sectors integrity.journal_watermark_percent integrity.commit_time_ms integrity.sectors_per_bit integrity.bitmap_flush_interval_ms integrity.fix_padding integrity.fix_hmac integrity.legacy_recalculate integrity.internal_hash integrity.journal_crypt integrity.journal_mac linear.device linear.offset_sectors log-writes.entries log-writes.last_sector log-writes.logging_disabled log-writes.device log-writes.log mirror.devices mirror.in_sync_regions mirror.regions mirror.health mirror.log mirror.log_device mirror.log_health mirror.log_words mirror.mirrors mirror.region_sectors mirror.sync mirror.log_arguments mirror.handle_errors mirror.keep_log multipath.queueing multipath.pg_init_count multipath.feature_words multipath.hw_handler_words multipath.group_number multipath.groups multipath.initial_group multipath.queue_if_no_path multipath.retain_attached_hw_handler multipath.pg_init_retries multipath.pg_init_delay_ms multipath.queue_mode multipath.hw_handler multipath.hw_handler_arguments raid.raid_type raid.device_count raid.health raid.done_sectors raid.total_sectors raid.sync_action raid.mismatches_sectors raid.data_offset_sectors raid.journal_health raid.raid_devices raid.chunk_sectors raid.sync raid.rebuild raid.daemon_sleep_ms raid.min_recovery_rate_kib_s raid.max_recovery_rate_kib_s raid.write_mostly raid.max_write_behind raid.stripe_cache raid.region_sectors raid.raid10_copies raid.raid10_format raid.raid10_use_near_sets raid.delta_disks raid.journal_device raid.journal_mode snapshot.condition snapshot.used_sectors snapshot.total_sectors snapshot.metadata_sectors snapshot.origin snapshot.cow snapshot.persistent snapshot.chunk_sectors snapshot.discard_zeroes_cow snapshot.discard_passdown_origin snapshot-merge.condition snapshot-merge.used_sectors snapshot-merge.total_sectors snapshot-merge.metadata_sectors snapshot-merge.origin snapshot-merge.cow snapshot-merge.persistent snapshot-merge.chunk_sectors snapshot-merge.discard_zeroes_cow snapshot-merge.discard_passdown_origin snapshot-origin.origin striped.devices striped.health striped.chunk_sectors striped.stripes switch.region_sectors switch.paths thin.mapped_sectors thin.highest_sector thin.pool thin.device_id thin.external_origin thin-pool.transaction_id thin-pool.metadata_used_blocks thin-pool.metadata_total_blocks thin-pool.data_used_blocks thin-pool.data_total_blocks thin-pool.held_root_block thin-pool.mode thin-pool.discard thin-pool.no_space thin-pool.needs_check thin-pool.metadata_low_water_blocks thin-pool.metadata thin-pool.data thin-pool.block_sectors thin-pool.low_water_blocks thin-pool.skip_block_zeroing thin-pool.ignore_discard thin-pool.no_discard_passdown thin-pool.read_only thin-pool.error_if_no_space unstriped.stripes unstriped.chunk_sectors unstriped.stripe unstriped.device unstriped.offset_sectors vdo.device vdo.mode vdo.recovery vdo.index vdo.compression vdo.used_blocks vdo.total_blocks vdo.physical_blocks vdo.min_io_bytes vdo.block_map_cache_blocks vdo.block_map_era vdo.ack vdo.bio vdo.bio_rotation vdo.cpu vdo.hash vdo.logical vdo.physical vdo.max_discard_blocks vdo.deduplication vdo.others verity.validity verity.corrected_blocks verity.version verity.data_device verity.hash_device verity.data_block_bytes verity.hash_block_bytes verity.data_blocks verity.hash_start_blocks verity.algorithm verity.root_digest verity.salt verity.on_corruption verity.on_error verity.ignore_zero_blocks verity.check_at_most_once verity.try_verify_in_tasklet verity.fec_device verity.fec_blocks verity.fec_start_blocks verity.fec_roots verity.root_hash_sig_key_desc writecache.error writecache.total_blocks writecache.free_blocks writecache.writeback_blocks writecache.reads writecache.read_hits writecache.writes writecache.write_hits_uncommitted writecache.write_hits_committed writecache.writes_around writecache.writes_allocate writecache.writes_blocked_on_freelist writecache.flushes writecache.discards writecache.kind writecache.origin writecache.cache writecache.block_bytes writecache.start_sectors writecache.high_watermark_percent writecache.low_watermark_percent writecache.writeback_jobs writecache.autocommit_blocks writecache.autocommit_time_ms writecache.max_age_ms writecache.cleaner writecache.fua writecache.metadata_only writecache.pause_writeback_ms zoned.zones zoned.free_cache_zones zoned.cache_zones zoned.drives
        case top:--sort top:-O
            __dmctl_words "$head" name reads writes latency in-flight utilisation
        case top:--device thin-pool-create:--metadata thin-pool-create:--data thin-pool-open:--metadata thin-pool-open:--data thin-ls:--data clone-create:--source clone-create:--dest clone-create:--metadata
            __dmctl_devices
        case events:--type
            __dmctl_words "$head" added removed renamed loaded cleared suspended resumed table event corrupted path-failed path-reinstated status stalled overflow
        case explain:--table verity-format:--root-hash-file verity-format:--fec-device verity-verify:--root-hash-file verity-verify:--fec-device verity-repair:--root-hash-file verity-repair:--fec-device verity-open:--root-hash-file verity-open:--root-hash-signature verity-open:--fec-device verity-sign:--root-hash-file verity-sign:--cert verity-sign:--output verity-sign:-o verity-sign:--passphrase-file verity-sign:--emit verity-sign:--attach verity-verify-signature:--cert verity-verify-signature:--root-hash-file verity-gpt:--root-hash-file verity-gpt:--sign verity-gpt:--cert verity-gpt:--output verity-gpt:-o thin-create:--blob-file thin-snapshot:--blob-file thin-blob-set:--blob-file thin-dump:--output thin-dump:-o clone-create:--metadata-file
            __fish_complete_path $typed
        case '*'
            __dmctl_operands "$command" $previous $program "$typed"
    end
end

function __dmctl_operands -a command previous program typed
    if string match -q -- '-*' $typed
        switch $command
            case help
                printf '%s\t%s\n' \
                    --columns 'print columns instead of text' \
                    --help 'explain the command'
                contains -- $program dmsetup dmstats
                or printf '%s\t%s\n' \
                    --debug 'print the log and the trace of a failure'
            case create
                printf '%s\t%s\n' \
                    --readonly 'make the table read-only' \
                    --checks 'have libdevmapper check the order of requests' \
                    --concise 'use the one-line format of all devices' \
                    --gid 'group of the node that libdevmapper makes' \
                    --inactive 'use the inactive table instead of the live one' \
                    --major 'major number of the device' \
                    --minor 'minor number of the device' \
                    --mode 'permissions of the node that libdevmapper makes' \
                    --noopencount 'do not ask for the open count' \
                    --notable 'make the device without a table' \
                    --udevcookie 'make the request part of a udev transaction' \
                    --noudevrules 'have udev leave the device alone; the node is made only with --verifyudev' \
                    --noudevsync 'do not wait for udev' \
                    --readahead 'read-ahead: [+]SECTORS, auto or none' \
                    --table 'the table itself, lines separated by newlines' \
                    --uid 'owner of the node that libdevmapper makes' \
                    --uuid 'the device\'s uuid' \
                    --verifyudev 'have libdevmapper check and mend what udev makes' \
                    --addnodeonresume 'make the node when the device is resumed' \
                    --addnodeoncreate 'make the node when the device is created' \
                    --help 'explain the command'
                contains -- $program dmsetup dmstats
                or printf '%s\t%s\n' \
                    --debug 'print the log and the trace of a failure'
            case remove
                printf '%s\t%s\n' \
                    --checks 'have libdevmapper check the order of requests' \
                    --deferred 'remove the device when its last user closes it' \
                    --select 'only the devices or rows that match' \
                    --force 'put an error target in place of the table first, or do not flush' \
                    --inactive 'use the inactive table instead of the live one' \
                    --major 'major number of the device' \
                    --minor 'minor number of the device' \
                    --noopencount 'do not ask for the open count' \
                    --udevcookie 'make the request part of a udev transaction' \
                    --noudevrules 'have udev leave the device alone; the node is made only with --verifyudev' \
                    --noudevsync 'do not wait for udev' \
                    --retry 'try again for some seconds while the device is busy' \
                    --uuid 'the device\'s uuid' \
                    --verifyudev 'have libdevmapper check and mend what udev makes' \
                    --help 'explain the command'
                contains -- $program dmsetup dmstats
                or printf '%s\t%s\n' \
                    --debug 'print the log and the trace of a failure'
            case remove_all
                printf '%s\t%s\n' \
                    --checks 'have libdevmapper check the order of requests' \
                    --deferred 'remove the device when its last user closes it' \
                    --force 'put an error target in place of the table first, or do not flush' \
                    --inactive 'use the inactive table instead of the live one' \
                    --noopencount 'do not ask for the open count' \
                    --help 'explain the command'
                contains -- $program dmsetup dmstats
                or printf '%s\t%s\n' \
                    --debug 'print the log and the trace of a failure'
            case suspend
                printf '%s\t%s\n' \
                    --checks 'have libdevmapper check the order of requests' \
                    --select 'only the devices or rows that match' \
                    --inactive 'use the inactive table instead of the live one' \
                    --major 'major number of the device' \
                    --minor 'minor number of the device' \
                    --noflush 'do not flush outstanding I/O, or do not commit metadata for a status' \
                    --nolockfs 'do not freeze the file system on the device' \
                    --noopencount 'do not ask for the open count' \
                    --uuid 'the device\'s uuid' \
                    --help 'explain the command'
                contains -- $program dmsetup dmstats
                or printf '%s\t%s\n' \
                    --debug 'print the log and the trace of a failure'
            case resume
                printf '%s\t%s\n' \
                    --checks 'have libdevmapper check the order of requests' \
                    --select 'only the devices or rows that match' \
                    --inactive 'use the inactive table instead of the live one' \
                    --major 'major number of the device' \
                    --minor 'minor number of the device' \
                    --noflush 'do not flush outstanding I/O, or do not commit metadata for a status' \
                    --nolockfs 'do not freeze the file system on the device' \
                    --noopencount 'do not ask for the open count' \
                    --udevcookie 'make the request part of a udev transaction' \
                    --noudevrules 'have udev leave the device alone; the node is made only with --verifyudev' \
                    --noudevsync 'do not wait for udev' \
                    --readahead 'read-ahead: [+]SECTORS, auto or none' \
                    --uuid 'the device\'s uuid' \
                    --verifyudev 'have libdevmapper check and mend what udev makes' \
                    --addnodeonresume 'make the node when the device is resumed' \
                    --addnodeoncreate 'make the node when the device is created' \
                    --help 'explain the command'
                contains -- $program dmsetup dmstats
                or printf '%s\t%s\n' \
                    --debug 'print the log and the trace of a failure'
            case load
                printf '%s\t%s\n' \
                    --readonly 'make the table read-only' \
                    --checks 'have libdevmapper check the order of requests' \
                    --inactive 'use the inactive table instead of the live one' \
                    --major 'major number of the device' \
                    --minor 'minor number of the device' \
                    --noopencount 'do not ask for the open count' \
                    --table 'the table itself, lines separated by newlines' \
                    --uuid 'the device\'s uuid' \
                    --help 'explain the command'
                contains -- $program dmsetup dmstats
                or printf '%s\t%s\n' \
                    --debug 'print the log and the trace of a failure'
            case clear
                printf '%s\t%s\n' \
                    --checks 'have libdevmapper check the order of requests' \
                    --select 'only the devices or rows that match' \
                    --inactive 'use the inactive table instead of the live one' \
                    --major 'major number of the device' \
                    --minor 'minor number of the device' \
                    --noopencount 'do not ask for the open count' \
                    --uuid 'the device\'s uuid' \
                    --help 'explain the command'
                contains -- $program dmsetup dmstats
                or printf '%s\t%s\n' \
                    --debug 'print the log and the trace of a failure'
            case reload
                printf '%s\t%s\n' \
                    --readonly 'make the table read-only' \
                    --checks 'have libdevmapper check the order of requests' \
                    --inactive 'use the inactive table instead of the live one' \
                    --major 'major number of the device' \
                    --minor 'minor number of the device' \
                    --noopencount 'do not ask for the open count' \
                    --table 'the table itself, lines separated by newlines' \
                    --uuid 'the device\'s uuid' \
                    --help 'explain the command'
                contains -- $program dmsetup dmstats
                or printf '%s\t%s\n' \
                    --debug 'print the log and the trace of a failure'
            case wipe_table
                printf '%s\t%s\n' \
                    --readonly 'make the table read-only' \
                    --checks 'have libdevmapper check the order of requests' \
                    --select 'only the devices or rows that match' \
                    --force 'put an error target in place of the table first, or do not flush' \
                    --inactive 'use the inactive table instead of the live one' \
                    --noflush 'do not flush outstanding I/O, or do not commit metadata for a status' \
                    --nolockfs 'do not freeze the file system on the device' \
                    --noopencount 'do not ask for the open count' \
                    --udevcookie 'make the request part of a udev transaction' \
                    --noudevrules 'have udev leave the device alone; the node is made only with --verifyudev' \
                    --noudevsync 'do not wait for udev' \
                    --verifyudev 'have libdevmapper check and mend what udev makes' \
                    --help 'explain the command'
                contains -- $program dmsetup dmstats
                or printf '%s\t%s\n' \
                    --debug 'print the log and the trace of a failure'
            case rename
                printf '%s\t%s\n' \
                    --checks 'have libdevmapper check the order of requests' \
                    --inactive 'use the inactive table instead of the live one' \
                    --major 'major number of the device' \
                    --minor 'minor number of the device' \
                    --noopencount 'do not ask for the open count' \
                    --udevcookie 'make the request part of a udev transaction' \
                    --noudevrules 'have udev leave the device alone; the node is made only with --verifyudev' \
                    --noudevsync 'do not wait for udev' \
                    --setuuid 'set the uuid instead of the name' \
                    --uuid 'the device\'s uuid' \
                    --verifyudev 'have libdevmapper check and mend what udev makes' \
                    --help 'explain the command'
                contains -- $program dmsetup dmstats
                or printf '%s\t%s\n' \
                    --debug 'print the log and the trace of a failure'
            case measure
                printf '%s\t%s\n' \
                    --checks 'have libdevmapper check the order of requests' \
                    --select 'only the devices or rows that match' \
                    --inactive 'use the inactive table instead of the live one' \
                    --major 'major number of the device' \
                    --minor 'minor number of the device' \
                    --noopencount 'do not ask for the open count' \
                    --target 'only devices or lines of this target' \
                    --uuid 'the device\'s uuid' \
                    --help 'explain the command'
                contains -- $program dmsetup dmstats
                or printf '%s\t%s\n' \
                    --debug 'print the log and the trace of a failure'
            case message
                printf '%s\t%s\n' \
                    --checks 'have libdevmapper check the order of requests' \
                    --inactive 'use the inactive table instead of the live one' \
                    --major 'major number of the device' \
                    --minor 'minor number of the device' \
                    --noopencount 'do not ask for the open count' \
                    --uuid 'the device\'s uuid' \
                    --help 'explain the command'
                contains -- $program dmsetup dmstats
                or printf '%s\t%s\n' \
                    --debug 'print the log and the trace of a failure'
            case ls
                printf '%s\t%s\n' \
                    --checks 'have libdevmapper check the order of requests' \
                    --exec 'run a command for each device, its node\'s path as last argument' \
                    --options 'what to show: fields, or how devices are named' \
                    --target 'only devices or lines of this target' \
                    --tree 'show the devices as a tree' \
                    --help 'explain the command'
                contains -- $program dmsetup dmstats
                or printf '%s\t%s\n' \
                    --json 'print JSON' \
                    --debug 'print the log and the trace of a failure'
            case info
                printf '%s\t%s\n' \
                    --checks 'have libdevmapper check the order of requests' \
                    --columns 'print columns instead of text' \
                    --count 'repeat a report this often; 0 for ever' \
                    --select 'only the devices or rows that match' \
                    --inactive 'use the inactive table instead of the live one' \
                    --interval 'time between two reports' \
                    --major 'major number of the device' \
                    --minor 'minor number of the device' \
                    --nameprefixes 'print DM_FIELD=\'value\' pairs' \
                    --noheadings 'leave out the line of headings' \
                    --noopencount 'do not ask for the open count' \
                    --options 'what to show: fields, or how devices are named' \
                    --rows 'print one line a field' \
                    --separator 'what stands between two columns' \
                    --sort 'sort a report by these fields, - before a field for descending' \
                    --uuid 'the device\'s uuid' \
                    --unbuffered 'print each row of a report when it is known' \
                    --unquoted 'leave out the quotes of --nameprefixes' \
                    --help 'explain the command'
                contains -- $program dmsetup dmstats
                or printf '%s\t%s\n' \
                    --json 'print JSON' \
                    --headings 'none, abbrev or full: what stands above columns' \
                    --debug 'print the log and the trace of a failure'
            case deps
                printf '%s\t%s\n' \
                    --checks 'have libdevmapper check the order of requests' \
                    --select 'only the devices or rows that match' \
                    --inactive 'use the inactive table instead of the live one' \
                    --major 'major number of the device' \
                    --minor 'minor number of the device' \
                    --noopencount 'do not ask for the open count' \
                    --options 'what to show: fields, or how devices are named' \
                    --uuid 'the device\'s uuid' \
                    --help 'explain the command'
                contains -- $program dmsetup dmstats
                or printf '%s\t%s\n' \
                    --json 'print JSON' \
                    --debug 'print the log and the trace of a failure'
            case stats
                printf '%s\t%s\n' \
                    --alias 'name of a group of statistics regions' \
                    --alldevices 'statistics of every device' \
                    --allprograms 'statistics regions of every program id' \
                    --allregions 'every statistics region' \
                    --area 'show areas' \
                    --areas 'divide a region into this many areas' \
                    --areasize 'divide a region into areas of this size' \
                    --bounds 'upper bounds of a latency histogram' \
                    --clear 'clear the counters that are printed' \
                    --count 'repeat a report this often; 0 for ever' \
                    --select 'only the devices or rows that match' \
                    --filemap 'make a statistics region for each extent of a file' \
                    --follow 'how a file map follows its file: inode or path' \
                    --force 'put an error target in place of the table first, or do not flush' \
                    --foreground 'keep the file map monitor in the foreground' \
                    --group 'show groups' \
                    --groupid 'a statistics group' \
                    --histogram 'show latency histograms' \
                    --interval 'time between two reports' \
                    --length 'length of a statistics region' \
                    --major 'major number of the device' \
                    --minor 'minor number of the device' \
                    --nameprefixes 'print DM_FIELD=\'value\' pairs' \
                    --nogroup 'do not group the regions that are made' \
                    --noheadings 'leave out the line of headings' \
                    --nosuffix 'print sizes without their unit' \
                    --notimesuffix 'print times without their unit' \
                    --nomonitor 'do not start the file map monitor' \
                    --options 'what to show: fields, or how devices are named' \
                    --precise 'count nanoseconds instead of milliseconds' \
                    --programid 'owner of a statistics region' \
                    --raw 'print counters instead of rates' \
                    --region 'show regions' \
                    --regions 'a list of statistics regions' \
                    --regionid 'a statistics region' \
                    --relative 'print histograms in per cent' \
                    --rows 'print one line a field' \
                    --segments 'one statistics region for each line of the table' \
                    --separator 'what stands between two columns' \
                    --sort 'sort a report by these fields, - before a field for descending' \
                    --start 'start of a statistics region' \
                    --units 'units of sizes' \
                    --uuid 'the device\'s uuid' \
                    --unbuffered 'print each row of a report when it is known' \
                    --unquoted 'leave out the quotes of --nameprefixes' \
                    --userdata 'text to keep with a statistics region' \
                    --help 'explain the command'
                contains -- $program dmsetup dmstats
                or printf '%s\t%s\n' \
                    --headings 'none, abbrev or full: what stands above columns' \
                    --debug 'print the log and the trace of a failure'
            case status
                printf '%s\t%s\n' \
                    --checks 'have libdevmapper check the order of requests' \
                    --select 'only the devices or rows that match' \
                    --exec 'run a command for each device, its node\'s path as last argument' \
                    --inactive 'use the inactive table instead of the live one' \
                    --major 'major number of the device' \
                    --minor 'minor number of the device' \
                    --noflush 'do not flush outstanding I/O, or do not commit metadata for a status' \
                    --noopencount 'do not ask for the open count' \
                    --target 'only devices or lines of this target' \
                    --uuid 'the device\'s uuid' \
                    --help 'explain the command'
                contains -- $program dmsetup dmstats
                or printf '%s\t%s\n' \
                    --json 'print JSON' \
                    --debug 'print the log and the trace of a failure'
            case table
                printf '%s\t%s\n' \
                    --checks 'have libdevmapper check the order of requests' \
                    --concise 'use the one-line format of all devices' \
                    --select 'only the devices or rows that match' \
                    --exec 'run a command for each device, its node\'s path as last argument' \
                    --inactive 'use the inactive table instead of the live one' \
                    --major 'major number of the device' \
                    --minor 'minor number of the device' \
                    --noflush 'do not flush outstanding I/O, or do not commit metadata for a status' \
                    --noopencount 'do not ask for the open count' \
                    --showkeys 'print the keys of crypt and integrity tables' \
                    --target 'only devices or lines of this target' \
                    --uuid 'the device\'s uuid' \
                    --help 'explain the command'
                contains -- $program dmsetup dmstats
                or printf '%s\t%s\n' \
                    --json 'print JSON' \
                    --debug 'print the log and the trace of a failure'
            case wait
                printf '%s\t%s\n' \
                    --checks 'have libdevmapper check the order of requests' \
                    --inactive 'use the inactive table instead of the live one' \
                    --major 'major number of the device' \
                    --minor 'minor number of the device' \
                    --noflush 'do not flush outstanding I/O, or do not commit metadata for a status' \
                    --noopencount 'do not ask for the open count' \
                    --uuid 'the device\'s uuid' \
                    --help 'explain the command'
                contains -- $program dmsetup dmstats
                or printf '%s\t%s\n' \
                    --debug 'print the log and the trace of a failure'
            case mknodes
                printf '%s\t%s\n' \
                    --help 'explain the command'
                contains -- $program dmsetup dmstats
                or printf '%s\t%s\n' \
                    --debug 'print the log and the trace of a failure'
            case mangle
                printf '%s\t%s\n' \
                    --manglename 'how odd characters in names are written: auto, hex or none' \
                    --help 'explain the command'
                contains -- $program dmsetup dmstats
                or printf '%s\t%s\n' \
                    --debug 'print the log and the trace of a failure'
            case udevcreatecookie
                printf '%s\t%s\n' \
                    --help 'explain the command'
                contains -- $program dmsetup dmstats
                or printf '%s\t%s\n' \
                    --debug 'print the log and the trace of a failure'
            case udevreleasecookie
                printf '%s\t%s\n' \
                    --help 'explain the command'
                contains -- $program dmsetup dmstats
                or printf '%s\t%s\n' \
                    --debug 'print the log and the trace of a failure'
            case udevflags
                printf '%s\t%s\n' \
                    --help 'explain the command'
                contains -- $program dmsetup dmstats
                or printf '%s\t%s\n' \
                    --debug 'print the log and the trace of a failure'
            case udevcomplete
                printf '%s\t%s\n' \
                    --help 'explain the command'
                contains -- $program dmsetup dmstats
                or printf '%s\t%s\n' \
                    --debug 'print the log and the trace of a failure'
            case udevcomplete_all
                printf '%s\t%s\n' \
                    --yes 'answer yes to every question' \
                    --help 'explain the command'
                contains -- $program dmsetup dmstats
                or printf '%s\t%s\n' \
                    --debug 'print the log and the trace of a failure'
            case udevcookies
                printf '%s\t%s\n' \
                    --help 'explain the command'
                contains -- $program dmsetup dmstats
                or printf '%s\t%s\n' \
                    --debug 'print the log and the trace of a failure'
            case target-version
                printf '%s\t%s\n' \
                    --help 'explain the command'
                contains -- $program dmsetup dmstats
                or printf '%s\t%s\n' \
                    --json 'print JSON' \
                    --debug 'print the log and the trace of a failure'
            case targets
                printf '%s\t%s\n' \
                    --checks 'have libdevmapper check the order of requests' \
                    --help 'explain the command'
                contains -- $program dmsetup dmstats
                or printf '%s\t%s\n' \
                    --available 'targets that are not loaded too' \
                    --json 'print JSON' \
                    --debug 'print the log and the trace of a failure'
            case version
                printf '%s\t%s\n' \
                    --help 'explain the command'
                contains -- $program dmsetup dmstats
                or printf '%s\t%s\n' \
                    --json 'print JSON' \
                    --debug 'print the log and the trace of a failure'
            case setgeometry
                printf '%s\t%s\n' \
                    --help 'explain the command'
                contains -- $program dmsetup dmstats
                or printf '%s\t%s\n' \
                    --debug 'print the log and the trace of a failure'
            case splitname
                printf '%s\t%s\n' \
                    --nameprefixes 'print DM_FIELD=\'value\' pairs' \
                    --noheadings 'leave out the line of headings' \
                    --options 'what to show: fields, or how devices are named' \
                    --rows 'print one line a field' \
                    --separator 'what stands between two columns' \
                    --unbuffered 'print each row of a report when it is known' \
                    --unquoted 'leave out the quotes of --nameprefixes' \
                    --help 'explain the command'
                contains -- $program dmsetup dmstats
                or printf '%s\t%s\n' \
                    --headings 'none, abbrev or full: what stands above columns' \
                    --debug 'print the log and the trace of a failure'
            case show
                printf '%s\t%s\n' \
                    --help 'explain the command'
                contains -- $program dmsetup dmstats
                or printf '%s\t%s\n' \
                    --options 'Columns; +FIELDS adds some; help lists them' \
                    --sort 'Sort by a field; -FIELD from the largest down' \
                    --select 'Only devices such as full>80 && target=thin' \
                    --noheadings 'No headings' \
                    --json 'Print JSON' \
                    --debug 'print the log and the trace of a failure'
            case tree
                printf '%s\t%s\n' \
                    --help 'explain the command'
                contains -- $program dmsetup dmstats
                or printf '%s\t%s\n' \
                    --dot 'Print a graph for graphviz' \
                    --json 'Print JSON' \
                    --debug 'print the log and the trace of a failure'
            case top
                printf '%s\t%s\n' \
                    --help 'explain the command'
                contains -- $program dmsetup dmstats
                or printf '%s\t%s\n' \
                    --sort 'name|reads|writes|latency|in-flight|utilisation' \
                    --reverse 'Sort the other way round' \
                    --device 'Only this device; may be repeated' \
                    --json 'Print JSON, an object on a line of its own each time' \
                    --debug 'print the log and the trace of a failure'
            case events
                printf '%s\t%s\n' \
                    --help 'explain the command'
                contains -- $program dmsetup dmstats
                or printf '%s\t%s\n' \
                    --name 'Devices of such names, such as vg0-*' \
                    --uuid 'Devices of such uuids, such as LVM-*' \
                    --target 'Devices with this target in their table' \
                    --type 'Events of this type; --type help lists them' \
                    --count 'End after so many events' \
                    --once 'End after one event, as --count 1 does' \
                    --timeout 'End then, with exit status 124' \
                    --since-counter 'Tell at once where the event counter is not N' \
                    --until 'End when this holds for DEVICE: hydrated==total' \
                    --poll 'Look so often at what raises no event' \
                    --exec 'Run this at each event, without a shell' \
                    --shell 'Run the command of --exec in a shell' \
                    --jobs 'Run at most so many at once' \
                    --json 'Print JSON' \
                    --debug 'print the log and the trace of a failure'
            case holders
                printf '%s\t%s\n' \
                    --help 'explain the command'
                contains -- $program dmsetup dmstats
                or printf '%s\t%s\n' \
                    --json 'Print JSON' \
                    --debug 'print the log and the trace of a failure'
            case explain
                printf '%s\t%s\n' \
                    --help 'explain the command'
                contains -- $program dmsetup dmstats
                or printf '%s\t%s\n' \
                    --table 'A table instead of devices; - for standard input' \
                    --showkeys 'Show keys, not zeros in their place' \
                    --json 'Print JSON' \
                    --debug 'print the log and the trace of a failure'
            case build
                printf '%s\t%s\n' \
                    --help 'explain the command'
                contains -- $program dmsetup dmstats
                or printf '%s\t%s\n' \
                    --create 'Make a device with the table instead of printing it' \
                    --uuid 'The uuid of that device' \
                    --readonly 'Make that device read-only' \
                    --then 'What follows is the next line\'s target and arguments' \
                    --size 'The length of a line' \
                    --json 'Print JSON' \
                    --showkeys 'Print keys, not zeros in their place' \
                    --debug 'print the log and the trace of a failure'
            case verity-format
                printf '%s\t%s\n' \
                    --help 'explain the command'
                contains -- $program dmsetup dmstats
                or printf '%s\t%s\n' \
                    --hash 'Hash algorithm, as the kernel spells it' \
                    --format '1, or 0 for the format of old Chrome OS' \
                    --data-block-size 'Size of a data block' \
                    --hash-block-size 'Size of a hash block' \
                    --data-blocks 'How many data blocks, if not all' \
                    --hash-offset 'Where the superblock, or without one the tree, begins' \
                    --salt 'The salt in hexadecimal digits; - for none' \
                    --uuid 'The tree\'s uuid, if not a new one' \
                    --no-superblock 'There is no superblock before the tree' \
                    --root-hash-file 'Write the root hash into this file, too' \
                    --fec-device 'File or device with parity for error correction' \
                    --fec-offset 'Where the parity begins' \
                    --fec-roots 'Bytes of parity in 255' \
                    --threads 'Threads, if not one a processor' \
                    --progress 'Show how far it is; otherwise where standard error is a terminal' \
                    --yes 'Overwrite what is there without a question' \
                    --json 'Print JSON' \
                    --debug 'print the log and the trace of a failure'
            case verity-verify
                printf '%s\t%s\n' \
                    --help 'explain the command'
                contains -- $program dmsetup dmstats
                or printf '%s\t%s\n' \
                    --root-hash-file 'File with the root hash, in place of ROOT' \
                    --hash-offset 'Where the superblock, or without one the tree, begins' \
                    --no-superblock 'There is no superblock before the tree' \
                    --hash 'Hash algorithm, as the kernel spells it' \
                    --format '1, or 0 for the format of old Chrome OS' \
                    --data-block-size 'Size of a data block' \
                    --hash-block-size 'Size of a hash block' \
                    --data-blocks 'How many data blocks, if not all' \
                    --salt 'The salt in hexadecimal digits; - for none' \
                    --fec-device 'File or device with parity for error correction' \
                    --fec-offset 'Where the parity begins' \
                    --fec-roots 'Bytes of parity in 255' \
                    --threads 'Threads, if not one a processor' \
                    --progress 'Show how far it is; otherwise where standard error is a terminal' \
                    --json 'Print JSON' \
                    --debug 'print the log and the trace of a failure'
            case verity-repair
                printf '%s\t%s\n' \
                    --help 'explain the command'
                contains -- $program dmsetup dmstats
                or printf '%s\t%s\n' \
                    --root-hash-file 'File with the root hash, in place of ROOT' \
                    --hash-offset 'Where the superblock, or without one the tree, begins' \
                    --no-superblock 'There is no superblock before the tree' \
                    --hash 'Hash algorithm, as the kernel spells it' \
                    --format '1, or 0 for the format of old Chrome OS' \
                    --data-block-size 'Size of a data block' \
                    --hash-block-size 'Size of a hash block' \
                    --data-blocks 'How many data blocks, if not all' \
                    --salt 'The salt in hexadecimal digits; - for none' \
                    --fec-device 'File or device with parity for error correction' \
                    --fec-offset 'Where the parity begins' \
                    --fec-roots 'Bytes of parity in 255' \
                    --dry-run 'Only tell what could be repaired' \
                    --threads 'Threads, if not one a processor' \
                    --progress 'Show how far it is; otherwise where standard error is a terminal' \
                    --json 'Print JSON' \
                    --debug 'print the log and the trace of a failure'
            case verity-dump
                printf '%s\t%s\n' \
                    --help 'explain the command'
                contains -- $program dmsetup dmstats
                or printf '%s\t%s\n' \
                    --hash-offset 'Where the superblock, or without one the tree, begins' \
                    --json 'Print JSON' \
                    --debug 'print the log and the trace of a failure'
            case verity-open
                printf '%s\t%s\n' \
                    --help 'explain the command'
                contains -- $program dmsetup dmstats
                or printf '%s\t%s\n' \
                    --root-hash-file 'File with the root hash, in place of ROOT' \
                    --ignore-corruption 'Only log a wrong block; its data are read as they are' \
                    --restart-on-corruption 'Restart the machine at a wrong block' \
                    --panic-on-corruption 'Let the kernel panic at a wrong block' \
                    --restart-on-error 'Restart the machine at a read error' \
                    --panic-on-error 'Let the kernel panic at a read error' \
                    --ignore-zero-blocks 'Do not read blocks whose hash is that of zeros' \
                    --check-at-most-once 'Verify a data block only when it is read for the first time' \
                    --use-tasklets 'Verify at once where the hashes are in memory' \
                    --root-hash-signature 'Signature of the root hash, for the kernel to check' \
                    --shared 'DATA may be in use otherwise' \
                    --hash-offset 'Where the superblock, or without one the tree, begins' \
                    --no-superblock 'There is no superblock before the tree' \
                    --hash 'Hash algorithm, as the kernel spells it' \
                    --format '1, or 0 for the format of old Chrome OS' \
                    --data-block-size 'Size of a data block' \
                    --hash-block-size 'Size of a hash block' \
                    --data-blocks 'How many data blocks, if not all' \
                    --salt 'The salt in hexadecimal digits; - for none' \
                    --fec-device 'File or device with parity for error correction' \
                    --fec-offset 'Where the parity begins' \
                    --fec-roots 'Bytes of parity in 255' \
                    --debug 'print the log and the trace of a failure'
            case verity-status
                printf '%s\t%s\n' \
                    --help 'explain the command'
                contains -- $program dmsetup dmstats
                or printf '%s\t%s\n' \
                    --json 'Print JSON' \
                    --debug 'print the log and the trace of a failure'
            case verity-close
                printf '%s\t%s\n' \
                    --help 'explain the command'
                contains -- $program dmsetup dmstats
                or printf '%s\t%s\n' \
                    --deferred 'Where it is in use, remove it as soon as it is not' \
                    --cancel-deferred 'Take back a deferred removal, and do nothing else' \
                    --debug 'print the log and the trace of a failure'
            case verity-sign
                printf '%s\t%s\n' \
                    --help 'explain the command'
                contains -- $program dmsetup dmstats
                or printf '%s\t%s\n' \
                    --root-hash-file 'File with the root hash, in place of ROOT' \
                    --key 'Private key, RSA or EC: PEM, DER, or PKCS #11 URI' \
                    --cert 'The key\'s certificate, in PEM or DER' \
                    --output 'The signature; - for standard output' \
                    --passphrase-file 'File whose first line is the key\'s passphrase or PIN' \
                    --digest 'Digest: sha256, sha384, sha512; the first if not said' \
                    --with-cert 'Put the certificate into the signature' \
                    --emit 'Write what is to be signed elsewhere; - prints it' \
                    --attach 'Take a signature that was made elsewhere' \
                    --json 'Print JSON' \
                    --debug 'print the log and the trace of a failure'
            case verity-verify-signature
                printf '%s\t%s\n' \
                    --help 'explain the command'
                contains -- $program dmsetup dmstats
                or printf '%s\t%s\n' \
                    --cert 'Certificate of the signer, in PEM or DER' \
                    --root-hash-file 'File with the root hash, in place of ROOT' \
                    --json 'Print JSON' \
                    --debug 'print the log and the trace of a failure'
            case verity-gpt
                printf '%s\t%s\n' \
                    --help 'explain the command'
                contains -- $program dmsetup dmstats
                or printf '%s\t%s\n' \
                    --root-hash-file 'File with the root hash, in place of ROOT' \
                    --arch 'Architecture, as arm64; else this machine\'s' \
                    --sign 'Signature of the root hash, from dmctl verity sign' \
                    --cert 'The signer\'s certificate, in PEM or DER' \
                    --output 'Contents of the signature\'s partition; - for standard output' \
                    --json 'Print JSON' \
                    --debug 'print the log and the trace of a failure'
            case veritysetup
                printf '%s\t%s\n' \
                    --help 'explain the command'
                contains -- $program dmsetup dmstats
                or printf '%s\t%s\n' \
                    --help 'As veritysetup\'s' \
                    --usage 'As veritysetup\'s' \
                    --version 'As veritysetup\'s' \
                    --cancel-deferred 'As veritysetup\'s' \
                    --check-at-most-once 'As veritysetup\'s' \
                    --data-block-size 'As veritysetup\'s' \
                    --data-blocks 'As veritysetup\'s' \
                    --debug 'As veritysetup\'s' \
                    --deferred 'As veritysetup\'s' \
                    --error-as-corruption 'As veritysetup\'s' \
                    --fec-device 'As veritysetup\'s' \
                    --fec-offset 'As veritysetup\'s' \
                    --fec-roots 'As veritysetup\'s' \
                    --format 'As veritysetup\'s' \
                    --hash 'As veritysetup\'s' \
                    --hash-block-size 'As veritysetup\'s' \
                    --hash-offset 'As veritysetup\'s' \
                    --ignore-corruption 'As veritysetup\'s' \
                    --ignore-zero-blocks 'As veritysetup\'s' \
                    --no-superblock 'As veritysetup\'s' \
                    --panic-on-corruption 'As veritysetup\'s' \
                    --restart-on-corruption 'As veritysetup\'s' \
                    --root-hash-file 'As veritysetup\'s' \
                    --root-hash-signature 'As veritysetup\'s' \
                    --salt 'As veritysetup\'s' \
                    --shared 'As veritysetup\'s' \
                    --use-tasklets 'As veritysetup\'s' \
                    --uuid 'As veritysetup\'s' \
                    --verbose 'As veritysetup\'s' \
                    --debug 'print the log and the trace of a failure'
            case thin-pool-create
                printf '%s\t%s\n' \
                    --help 'explain the command'
                contains -- $program dmsetup dmstats
                or printf '%s\t%s\n' \
                    --metadata 'Block device for the metadata' \
                    --data 'Block device for the data' \
                    --block-size 'Of the pool, if not the least that the metadata allow' \
                    --max-volumes 'How many volumes fit, if not 10000 at the most' \
                    --low-water 'With so much data free or less, an event tells' \
                    --error-if-no-space 'Writes fail at once where no space is left' \
                    --no-zeroing 'What was on the device before can be read in new blocks' \
                    --ignore-discard 'Discards free nothing' \
                    --no-discard-passdown 'Discards are not passed to the data device' \
                    --dry-run 'Print messages and tables, and change nothing' \
                    --yes 'Ask no question' \
                    --json 'Print JSON' \
                    --debug 'print the log and the trace of a failure'
            case thin-pool-open
                printf '%s\t%s\n' \
                    --help 'explain the command'
                contains -- $program dmsetup dmstats
                or printf '%s\t%s\n' \
                    --metadata 'Block device for the metadata' \
                    --data 'Block device for the data' \
                    --dry-run 'Print messages and tables, and change nothing' \
                    --json 'Print JSON' \
                    --debug 'print the log and the trace of a failure'
            case thin-pool-close
                printf '%s\t%s\n' \
                    --help 'explain the command'
                contains -- $program dmsetup dmstats
                or printf '%s\t%s\n' \
                    --deactivate 'Deactivate its volumes before' \
                    --json 'Print JSON' \
                    --debug 'print the log and the trace of a failure'
            case thin-pool-status
                printf '%s\t%s\n' \
                    --help 'explain the command'
                contains -- $program dmsetup dmstats
                or printf '%s\t%s\n' \
                    --json 'Print JSON' \
                    --debug 'print the log and the trace of a failure'
            case thin-pool-resize
                printf '%s\t%s\n' \
                    --help 'explain the command'
                contains -- $program dmsetup dmstats
                or printf '%s\t%s\n' \
                    --dry-run 'Print messages and tables, and change nothing' \
                    --json 'Print JSON' \
                    --debug 'print the log and the trace of a failure'
            case thin-pool-init
                printf '%s\t%s\n' \
                    --help 'explain the command'
                contains -- $program dmsetup dmstats
                or printf '%s\t%s\n' \
                    --max-volumes 'How many volumes fit, if not 10000 at the most' \
                    --dry-run 'Print messages and tables, and change nothing' \
                    --json 'Print JSON' \
                    --debug 'print the log and the trace of a failure'
            case thin-pool-adopt
                printf '%s\t%s\n' \
                    --help 'explain the command'
                contains -- $program dmsetup dmstats
                or printf '%s\t%s\n' \
                    --max-volumes 'How many volumes fit, if not 10000 at the most' \
                    --dry-run 'Print messages and tables, and change nothing' \
                    --json 'Print JSON' \
                    --debug 'print the log and the trace of a failure'
            case thin-pool-reconcile
                printf '%s\t%s\n' \
                    --help 'explain the command'
                contains -- $program dmsetup dmstats
                or printf '%s\t%s\n' \
                    --adopt 'Make volumes thin-ID of thins that the catalogue does not know' \
                    --dry-run 'Print messages and tables, and change nothing' \
                    --json 'Print JSON' \
                    --debug 'print the log and the trace of a failure'
            case thin-pool-recover
                printf '%s\t%s\n' \
                    --help 'explain the command'
                contains -- $program dmsetup dmstats
                or printf '%s\t%s\n' \
                    --json 'Print JSON' \
                    --debug 'print the log and the trace of a failure'
            case thin-recover
                printf '%s\t%s\n' \
                    --help 'explain the command'
                contains -- $program dmsetup dmstats
                or printf '%s\t%s\n' \
                    --json 'Print JSON' \
                    --debug 'print the log and the trace of a failure'
            case thin-create
                printf '%s\t%s\n' \
                    --help 'explain the command'
                contains -- $program dmsetup dmstats
                or printf '%s\t%s\n' \
                    --size 'How large it seems; it takes what is written' \
                    --blob 'Bind this to it, 256 bytes at the most' \
                    --blob-file 'Likewise, what is in this file; - is standard input' \
                    --activate 'Activate it, too' \
                    --dry-run 'Print messages and tables, and change nothing' \
                    --json 'Print JSON' \
                    --debug 'print the log and the trace of a failure'
            case thin-snapshot
                printf '%s\t%s\n' \
                    --help 'explain the command'
                contains -- $program dmsetup dmstats
                or printf '%s\t%s\n' \
                    --group 'One of several, all of the same moment; repeat it' \
                    --blob 'Bind this to it, 256 bytes at the most' \
                    --blob-file 'Likewise, what is in this file; - is standard input' \
                    --nolockfs 'Do not freeze file systems: the snapshot is as after a power failure' \
                    --noflush 'Likewise, and do not wait for what is under way; it may wait for space' \
                    --activate 'Activate it, too' \
                    --dry-run 'Print messages and tables, and change nothing' \
                    --json 'Print JSON' \
                    --debug 'print the log and the trace of a failure'
            case thin-activate
                printf '%s\t%s\n' \
                    --help 'explain the command'
                contains -- $program dmsetup dmstats
                or printf '%s\t%s\n' \
                    --read-only 'Nothing can be written to it' \
                    --dry-run 'Print messages and tables, and change nothing' \
                    --json 'Print JSON' \
                    --debug 'print the log and the trace of a failure'
            case thin-deactivate
                printf '%s\t%s\n' \
                    --help 'explain the command'
                contains -- $program dmsetup dmstats
                or printf '%s\t%s\n' \
                    --deferred 'Where it is in use, as soon as it is not' \
                    --json 'Print JSON' \
                    --debug 'print the log and the trace of a failure'
            case thin-remove
                printf '%s\t%s\n' \
                    --help 'explain the command'
                contains -- $program dmsetup dmstats
                or printf '%s\t%s\n' \
                    --no-discard 'Delete it in one go, which the whole pool waits for' \
                    --dry-run 'Print messages and tables, and change nothing' \
                    --yes 'Ask no question' \
                    --json 'Print JSON' \
                    --debug 'print the log and the trace of a failure'
            case thin-rename
                printf '%s\t%s\n' \
                    --help 'explain the command'
                contains -- $program dmsetup dmstats
                or printf '%s\t%s\n' \
                    --dry-run 'Print messages and tables, and change nothing' \
                    --json 'Print JSON' \
                    --debug 'print the log and the trace of a failure'
            case thin-resize
                printf '%s\t%s\n' \
                    --help 'explain the command'
                contains -- $program dmsetup dmstats
                or printf '%s\t%s\n' \
                    --size 'The new size' \
                    --dry-run 'Print messages and tables, and change nothing' \
                    --yes 'Ask no question' \
                    --json 'Print JSON' \
                    --debug 'print the log and the trace of a failure'
            case thin-batch
                printf '%s\t%s\n' \
                    --help 'explain the command'
                contains -- $program dmsetup dmstats
                or printf '%s\t%s\n' \
                    --nolockfs 'Do not freeze file systems: the snapshot is as after a power failure' \
                    --noflush 'Likewise, and do not wait for what is under way; it may wait for space' \
                    --dry-run 'Print messages and tables, and change nothing' \
                    --json 'Print JSON' \
                    --debug 'print the log and the trace of a failure'
            case thin-blob-get
                printf '%s\t%s\n' \
                    --help 'explain the command'
                contains -- $program dmsetup dmstats
                or printf '%s\t%s\n' \
                    --debug 'print the log and the trace of a failure'
            case thin-blob-set
                printf '%s\t%s\n' \
                    --help 'explain the command'
                contains -- $program dmsetup dmstats
                or printf '%s\t%s\n' \
                    --blob 'Bind this to it, 256 bytes at the most' \
                    --blob-file 'Likewise, what is in this file; - is standard input' \
                    --dry-run 'Print messages and tables, and change nothing' \
                    --json 'Print JSON' \
                    --debug 'print the log and the trace of a failure'
            case thin-find
                printf '%s\t%s\n' \
                    --help 'explain the command'
                contains -- $program dmsetup dmstats
                or printf '%s\t%s\n' \
                    --blob 'With this blob, in digits' \
                    --name 'Of this name' \
                    --uuid 'With this uuid' \
                    --json 'Print JSON' \
                    --debug 'print the log and the trace of a failure'
            case thin-ls
                printf '%s\t%s\n' \
                    --help 'explain the command'
                contains -- $program dmsetup dmstats
                or printf '%s\t%s\n' \
                    --data 'The data of a pool that is down: its volumes are in it' \
                    --exclusive 'Tell what each volume has to itself, too' \
                    --format 'As thin_ls; help lists the fields' \
                    --no-headers 'Print no line above the columns' \
                    --metadata-snap 'Read the metadata snapshot that the pool holds already' \
                    --json 'Print JSON' \
                    --debug 'print the log and the trace of a failure'
            case thin-monitor
                printf '%s\t%s\n' \
                    --help 'explain the command'
                contains -- $program dmsetup dmstats
                or printf '%s\t%s\n' \
                    --data 'Threshold of the data' \
                    --metadata 'Threshold of the metadata' \
                    --interval 'Look so often, and at every event' \
                    --exec 'Run this in a shell when a threshold is passed, and go on' \
                    --once 'Look once' \
                    --json 'Print JSON' \
                    --debug 'print the log and the trace of a failure'
            case thin-doctor
                printf '%s\t%s\n' \
                    --help 'explain the command'
                contains -- $program dmsetup dmstats
                or printf '%s\t%s\n' \
                    --json 'Print JSON' \
                    --debug 'print the log and the trace of a failure'
            case thin-dump
                printf '%s\t%s\n' \
                    --help 'explain the command'
                contains -- $program dmsetup dmstats
                or printf '%s\t%s\n' \
                    --format 'xml, human_readable (or human), or json' \
                    --dev-id 'Only this thin; may be repeated' \
                    --skip-mappings 'Tell only which thins there are' \
                    --output 'Write into this file' \
                    --metadata-snap 'Read the metadata snapshot that the pool holds already' \
                    --debug 'print the log and the trace of a failure'
            case thin-check
                printf '%s\t%s\n' \
                    --help 'explain the command'
                contains -- $program dmsetup dmstats
                or printf '%s\t%s\n' \
                    --super-block-only 'Check only the superblock' \
                    --skip-mappings 'Check only the superblock and which thins there are' \
                    --ignore-non-fatal-errors 'Space that is lost is no error' \
                    --quiet 'Print nothing; the exit status tells' \
                    --metadata-snap 'Read the metadata snapshot that the pool holds already' \
                    --json 'Print JSON' \
                    --debug 'print the log and the trace of a failure'
            case thin-delta
                printf '%s\t%s\n' \
                    --help 'explain the command'
                contains -- $program dmsetup dmstats
                or printf '%s\t%s\n' \
                    --snap1 'The one thin\'s id' \
                    --snap2 'The other\'s' \
                    --verbose 'Tell data blocks, too' \
                    --size 'The volume\'s size: what is mapped behind it is left out' \
                    --metadata-snap 'Read the metadata snapshot that the pool holds already' \
                    --json 'Print JSON' \
                    --debug 'print the log and the trace of a failure'
            case thin-rmap
                printf '%s\t%s\n' \
                    --help 'explain the command'
                contains -- $program dmsetup dmstats
                or printf '%s\t%s\n' \
                    --region 'Data blocks, without END itself; may be repeated' \
                    --metadata-snap 'Read the metadata snapshot that the pool holds already' \
                    --json 'Print JSON' \
                    --debug 'print the log and the trace of a failure'
            case thin-metadata-size
                printf '%s\t%s\n' \
                    --help 'explain the command'
                contains -- $program dmsetup dmstats
                or printf '%s\t%s\n' \
                    --block-size 'Of the pool\'s blocks' \
                    --pool-size 'Of the pool\'s data' \
                    --max-thins 'Most thins and snapshots at a time' \
                    --unit 'One of b s k m g t p e; in capitals powers of 1000' \
                    --numeric-only 'Print only the number' \
                    --debug 'print the log and the trace of a failure'
            case clone-create
                printf '%s\t%s\n' \
                    --help 'explain the command'
                contains -- $program dmsetup dmstats
                or printf '%s\t%s\n' \
                    --source 'The device copied from' \
                    --dest 'The device copied to; what it holds is lost' \
                    --metadata 'Keeps what is copied' \
                    --metadata-file 'A file for that; else one below /var/lib/dmctl/clone' \
                    --region-size 'What is copied at a time, from 4K to 1G' \
                    --threshold 'Copy so many regions at once' \
                    --batch 'Copy so many neighbours as one' \
                    --rate 'Copy no more a second, such as 50M, for as long as this runs' \
                    --no-hydration 'Copy nothing in the background until clone resume' \
                    --no-discard-passdown 'Discards are not passed to the destination' \
                    --grow 'Show all of a destination that is larger' \
                    --set-ro 'Make the source read-only meanwhile' \
                    --wait 'Watch it until it has everything' \
                    --on-error 'Where something cannot be copied: end with status 5, wait for resume, try again' \
                    --max-stall 'It is an error when nothing could be copied for so long, such as 30s or 5m' \
                    --dry-run 'Check, print the table, and make nothing' \
                    --yes 'Ask nothing' \
                    --json 'Print JSON' \
                    --debug 'print the log and the trace of a failure'
            case clone-watch
                printf '%s\t%s\n' \
                    --help 'explain the command'
                contains -- $program dmsetup dmstats
                or printf '%s\t%s\n' \
                    --wait 'Show nothing; the exit status tells' \
                    --on-error 'Where something cannot be copied: end with status 5, wait for resume, try again' \
                    --max-stall 'It is an error when nothing could be copied for so long, such as 30s or 5m' \
                    --rate 'Copy no more a second, such as 50M, for as long as this runs' \
                    --json 'Print JSON' \
                    --debug 'print the log and the trace of a failure'
            case clone-status
                printf '%s\t%s\n' \
                    --help 'explain the command'
                contains -- $program dmsetup dmstats
                or printf '%s\t%s\n' \
                    --json 'Print JSON' \
                    --debug 'print the log and the trace of a failure'
            case clone-throttle
                printf '%s\t%s\n' \
                    --help 'explain the command'
                contains -- $program dmsetup dmstats
                or printf '%s\t%s\n' \
                    --threshold 'Copy so many regions at once' \
                    --batch 'Copy so many neighbours as one' \
                    --json 'Print JSON' \
                    --debug 'print the log and the trace of a failure'
            case clone-pause
                printf '%s\t%s\n' \
                    --help 'explain the command'
                contains -- $program dmsetup dmstats
                or printf '%s\t%s\n' \
                    --json 'Print JSON' \
                    --debug 'print the log and the trace of a failure'
            case clone-resume
                printf '%s\t%s\n' \
                    --help 'explain the command'
                contains -- $program dmsetup dmstats
                or printf '%s\t%s\n' \
                    --json 'Print JSON' \
                    --debug 'print the log and the trace of a failure'
            case clone-trim
                printf '%s\t%s\n' \
                    --help 'explain the command'
                contains -- $program dmsetup dmstats
                or printf '%s\t%s\n' \
                    --json 'Print JSON' \
                    --debug 'print the log and the trace of a failure'
            case clone-finish
                printf '%s\t%s\n' \
                    --help 'explain the command'
                contains -- $program dmsetup dmstats
                or printf '%s\t%s\n' \
                    --verify 'Compare destination and source before' \
                    --progress 'Tell how far --verify is' \
                    --json 'Print JSON' \
                    --debug 'print the log and the trace of a failure'
            case clone-assemble
                printf '%s\t%s\n' \
                    --help 'explain the command'
                contains -- $program dmsetup dmstats
                or printf '%s\t%s\n' \
                    --wait 'Watch it until it has everything' \
                    --on-error 'Where something cannot be copied: end with status 5, wait for resume, try again' \
                    --max-stall 'It is an error when nothing could be copied for so long, such as 30s or 5m' \
                    --rate 'Copy no more a second, such as 50M, for as long as this runs' \
                    --json 'Print JSON' \
                    --debug 'print the log and the trace of a failure'
            case clone-abort
                printf '%s\t%s\n' \
                    --help 'explain the command'
                contains -- $program dmsetup dmstats
                or printf '%s\t%s\n' \
                    --yes 'Ask nothing' \
                    --json 'Print JSON' \
                    --debug 'print the log and the trace of a failure'
            case clone-inspect
                printf '%s\t%s\n' \
                    --help 'explain the command'
                contains -- $program dmsetup dmstats
                or printf '%s\t%s\n' \
                    --metadata 'A device or file with a clone\'s metadata' \
                    --missing 'List what is not copied, instead of what is' \
                    --map 'Draw a map instead of the list' \
                    --json 'Print JSON' \
                    --debug 'print the log and the trace of a failure'
            case check
                printf '%s\t%s\n' \
                    --help 'explain the command'
                contains -- $program dmsetup dmstats
                or printf '%s\t%s\n' \
                    --table 'The table itself, lines separated by newlines' \
                    --json 'Print JSON' \
                    --debug 'print the log and the trace of a failure'
            case install-links
                printf '%s\t%s\n' \
                    --help 'explain the command'
                contains -- $program dmsetup dmstats
                or printf '%s\t%s\n' \
                    --debug 'print the log and the trace of a failure'
        end | string match -- "$typed*"
        return
    end
    switch "$command:$previous"
        case 'target-version:*' build:build build:--then
            printf '%s\n' bow cache clone crypt delay dust ebs era error flakey integrity linear log-writes mirror multipath raid snapshot snapshot-merge snapshot-origin striped switch thin thin-pool unstriped vdo verity writecache zero zoned
        case stats:stats
            printf '%s\n' help clear create delete group list print report ungroup update_filemap version
        case 'verity:*'
            printf '%s\t%s\n' \
                format 'Make the hash tree of a device or file, and parity.' \
                verify 'Compare data and hash tree with the root hash.' \
                repair 'Put right with parity what is wrong.' \
                dump 'Print what a hash tree\'s superblock says.' \
                open 'Make a device that verifies what is read.' \
                status 'Show an open verity device.' \
                close 'Remove a verity device.' \
                sign 'Sign a root hash for the kernel.' \
                verify-signature 'Check the signature of a root hash.' \
                gpt 'Print the partition UUIDs that belong to a root hash.'
        case 'thin:*'
            printf '%s\t%s\n' \
                pool 'Behind it: create, open, close, status, resize, init, adopt, reconcile, recover.' \
                recover 'Resume devices that were left suspended, and more.' \
                create 'Make an empty volume.' \
                snapshot 'Make a snapshot of a volume, or of several at one moment.' \
                activate 'Make the device of a volume.' \
                deactivate 'Remove the device of a volume.' \
                remove 'Remove a volume and what it holds.' \
                rename 'Give a volume another name.' \
                resize 'Make a volume larger or smaller.' \
                batch 'Make many changes as one.' \
                blob 'Behind it: get, set.' \
                find 'Find volumes by blob, name or uuid.' \
                ls 'List the thins of a pool.' \
                monitor 'Watch how full a pool becomes.' \
                doctor 'Tell what is wrong with a pool, and what to do.' \
                dump 'Print all mappings, as thin_dump does.' \
                check 'Check the metadata of a pool that is not active.' \
                delta 'Print where two thins differ, as thin_delta does.' \
                rmap 'Print which thins have certain data blocks.' \
                metadata-size 'Tell how large a pool\'s metadata should be.'
        case 'thin-pool:*'
            printf '%s\t%s\n' \
                create 'Make a pool, and the catalogue of its volumes.' \
                open 'Make an existing pool active.' \
                close 'Make a pool inactive.' \
                status 'Show how full a pool is, its state and settings.' \
                resize 'Take all of a device that has grown.' \
                init 'Make the catalogue in an empty pool of another tool.' \
                adopt 'Make the catalogue in a pool of another tool, with what is in it.' \
                reconcile 'Fit the catalogue to a pool that another tool has changed.' \
                recover 'Put right what was interrupted.'
        case 'thin-blob:*'
            printf '%s\t%s\n' \
                get 'Print the blob of a volume.' \
                set 'Bind a blob to a volume.'
        case 'clone:*'
            printf '%s\t%s\n' \
                create 'Make a device that shows the source at once, while it is copied.' \
                watch 'Show how far a clone is, and what holds it up.' \
                status 'Show how far clones are, at this moment.' \
                throttle 'Set how much is copied at once.' \
                pause 'Copy nothing in the background.' \
                resume 'Copy in the background again.' \
                trim 'Leave out what the file system does not use.' \
                finish 'Put a linear table in the place of a clone that has everything.' \
                assemble 'Make the device of a clone again, as after a reboot.' \
                abort 'Remove a clone, and forget it.' \
                inspect 'Tell what is copied, from the metadata alone.'
        case 'build:*'
            __fish_complete_path $typed
        case 'create:*' 'verity-format:*' 'verity-verify:*' 'verity-repair:*' 'verity-dump:*' 'verity-open:*' 'verity-verify-signature:*' 'check:*' 'install-links:*'
            __fish_complete_path $typed
        case 'remove:*' 'suspend:*' 'resume:*' 'clear:*' 'wipe_table:*' 'rename:*' 'measure:*' 'message:*' 'info:*' 'deps:*' 'stats:*' 'status:*' 'table:*' 'wait:*' 'mknodes:*' 'mangle:*' 'setgeometry:*' 'show:*' 'tree:*' 'events:*' 'holders:*' 'explain:*' 'verity-status:*' 'verity-close:*' 'thin-find:*' 'thin-ls:*' 'thin-monitor:*' 'thin-doctor:*' 'thin-dump:*' 'thin-check:*' 'thin-delta:*' 'thin-rmap:*' 'clone-watch:*' 'clone-status:*' 'clone-throttle:*' 'clone-pause:*' 'clone-resume:*' 'clone-trim:*' 'clone-finish:*' 'clone-assemble:*' 'clone-abort:*'
            __dmctl_devices
        case 'load:*' 'reload:*' 'thin-batch:*'
            __dmctl_devices
            __fish_complete_path $typed
        case 'thin-create:*' 'thin-snapshot:*' 'thin-activate:*' 'thin-deactivate:*' 'thin-remove:*' 'thin-rename:*' 'thin-resize:*' 'thin-blob-get:*' 'thin-blob-set:*'
            __dmctl_volumes $command
    end
end

# Once, however often this is read.
complete -c dmctl -e
complete -c dmctl -f -a '(__dmctl_complete)'
