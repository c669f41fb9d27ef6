# SPDX-License-Identifier: LGPL-2.1-or-later
# Made by python -m dmctl.cli.completion: change that, not this.
# shellcheck shell=bash

# The words that begin with what is typed.
_dmctl_words() {
    local word
    for word; do
        [[ $word == "$current"* ]] && COMPREPLY+=("$word")
    done
}

# The last of a list with commas; before a field there may be + or -.
_dmctl_list() {
    local last=${current##*,} word
    local head=${current%"$last"}
    [[ $last == [+-]* ]] && head+=${last:0:1} last=${last:1}
    for word; do
        [[ $word == "$last"* ]] && COMPREPLY+=("$head$word")
    done
}

# The names of the volumes of the pool that is named before, if one is; a pool's otherwise.
_dmctl_volumes() {
    local word pool='' names=()
    for word in "${COMP_WORDS[@]:1:place-1}"; do
        [[ $word == -* || -$command- == *-"$word"-* ]] || pool=${pool:-$word}
    done
    if [[ $pool ]]; then
        [[ -r /run/dmctl/volumes/$pool ]] && mapfile -t names <"/run/dmctl/volumes/$pool"
        _dmctl_names "${names[@]}"
    else
        _dmctl_devices
    fi
}

# The names of devices, also of those without a table, where dmsetup can tell them; else from sysfs.
_dmctl_devices() {
    local file name names=()
    if [[ -w /dev/mapper/control && -e /sys/class/misc/device-mapper && -x /sbin/dmsetup ]]; then
        mapfile -t names <<<"$(/sbin/dmsetup ls)"
        [[ ${names[0]} == *$'\t'* ]] || names=()  # "No devices found"
        names=("${names[@]%$'\t('*}")
    fi 2>/dev/null
    if ((!${#names[@]})); then
        for file in /sys/block/dm-*/dm/name; do
            IFS= read -r name <"$file" || continue
            # The kernel may have \x20 for a blank. Users see and type the blank, and libdevmapper takes it.
            [[ $name == *\\@([!x]|x5c|x[01])* ]] || printf -v name %b "$name"
            names+=("$name")
        done 2>/dev/null  # a device may go away meanwhile
    fi
    _dmctl_names "${names[@]}"
}

_dmctl_names() {
    local name quoted
    for name; do
        # In quotes, bash closes them itself.
        if [[ $current == [\"\']* ]]; then
            [[ $name == "${current:1}"* ]] && COMPREPLY+=("$name")
        else
            printf -v quoted %q "$name"
            [[ $quoted == "$current"* ]] && COMPREPLY+=("$quoted")
        fi
    done
}

_dmctl() {
    local IFS=' ' current=${COMP_WORDS[COMP_CWORD]} place=$COMP_CWORD cut='' previous command='' word
    local program=${1##*/}
    local commands=(help create remove remove_all suspend resume load clear reload wipe_table rename measure message ls info deps stats status table wait mknodes mangle udevcreatecookie udevreleasecookie udevflags udevcomplete udevcomplete_all udevcookies target-version targets version setgeometry splitname)
    local targets=(bow cache clone crypt delay dust ebs era error flakey integrity linear log-writes mirror multipath raid snapshot snapshot-merge snapshot-origin striped switch thin thin-pool unstriped vdo verity writecache zero zoned)
    local options=() own=()
    COMPREPLY=()
    # To bash, : and = are words of their own. They are in --option=value and in names of devices.
    while ((place > 1)) && [[ ${COMP_WORDS[place]} == [:=]* || ${COMP_WORDS[place - 1]} == *[:=] ]]; do
        ((place--))
        current=${COMP_WORDS[place]}$current
    done
    previous=${COMP_WORDS[place - 1]}
    ((place == COMP_CWORD)) || cut=${current%"${current##*[:=]}"}
    if [[ $current == --*=* ]]; then
        previous=${current%%=*}
        cut=${cut#"$previous="}
        current=${current#*=}
    fi
    [[ $program == dm@(setup|stats) ]] || commands+=(show tree top events holders explain build verity veritysetup thin clone check install-links)
    # Which has but one command, and has it in its name.
    [[ $program != dmstats ]] || commands=(stats) command=stats
    [[ $command$place != stats1 ]] || previous=stats
    [[ $command ]] || for word in "${COMP_WORDS[@]:1:place-1}"; do
        if [[ " ${commands[*]} " == *" $word "* ]]; then
            command=$word
            break
        fi
    done
    case $command in
        verity|thin|thin-pool|thin-blob|clone)  # the word behind it is the command, or a group in its turn
            for word in "${COMP_WORDS[@]:1:place-1}"; do
                [[ -$command == *-$word || $word == -* ]] && continue
                command+=-$word
                [[ $command == @(verity|thin|thin-pool|thin-blob|clone) ]] || break
            done
            ;;
    esac
    case $command in
        '') _dmctl_words "${commands[@]}" ;;
        help) options=(--columns --help) own=(--debug) ;;
        create) options=(--readonly --checks --concise --gid --inactive --major --minor --mode --noopencount --notable --udevcookie --noudevrules --noudevsync --readahead --table --uid --uuid --verifyudev --addnodeonresume --addnodeoncreate --help) own=(--debug) ;;
        remove) options=(--checks --deferred --select --force --inactive --major --minor --noopencount --udevcookie --noudevrules --noudevsync --retry --uuid --verifyudev --help) own=(--debug) ;;
        remove_all) options=(--checks --deferred --force --inactive --noopencount --help) own=(--debug) ;;
        suspend) options=(--checks --select --inactive --major --minor --noflush --nolockfs --noopencount --uuid --help) own=(--debug) ;;
        resume) options=(--checks --select --inactive --major --minor --noflush --nolockfs --noopencount --udevcookie --noudevrules --noudevsync --readahead --uuid --verifyudev --addnodeonresume --addnodeoncreate --help) own=(--debug) ;;
        load) options=(--readonly --checks --inactive --major --minor --noopencount --table --uuid --help) own=(--debug) ;;
        clear) options=(--checks --select --inactive --major --minor --noopencount --uuid --help) own=(--debug) ;;
        reload) options=(--readonly --checks --inactive --major --minor --noopencount --table --uuid --help) own=(--debug) ;;
        wipe_table) options=(--readonly --checks --select --force --inactive --noflush --nolockfs --noopencount --udevcookie --noudevrules --noudevsync --verifyudev --help) own=(--debug) ;;
        rename) options=(--checks --inactive --major --minor --noopencount --udevcookie --noudevrules --noudevsync --setuuid --uuid --verifyudev --help) own=(--debug) ;;
        measure) options=(--checks --select --inactive --major --minor --noopencount --target --uuid --help) own=(--debug) ;;
        message) options=(--checks --inactive --major --minor --noopencount --uuid --help) own=(--debug) ;;
        ls) options=(--checks --exec --options --target --tree --help) own=(--json --debug) ;;
        info) options=(--checks --columns --count --select --inactive --interval --major --minor --nameprefixes --noheadings --noopencount --options --rows --separator --sort --uuid --unbuffered --unquoted --help) own=(--json --headings --debug) ;;
        deps) options=(--checks --select --inactive --major --minor --noopencount --options --uuid --help) own=(--json --debug) ;;
        stats) options=(--alias --alldevices --allprograms --allregions --area --areas --areasize --bounds --clear --count --select --filemap --follow --force --foreground --group --groupid --histogram --interval --length --major --minor --nameprefixes --nogroup --noheadings --nosuffix --notimesuffix --nomonitor --options --precise --programid --raw --region --regions --regionid --relative --rows --segments --separator --sort --start --units --uuid --unbuffered --unquoted --userdata --help) own=(--headings --debug) ;;
        status) options=(--checks --select --exec --inactive --major --minor --noflush --noopencount --target --uuid --help) own=(--json --debug) ;;
        table) options=(--checks --concise --select --exec --inactive --major --minor --noflush --noopencount --showkeys --target --uuid --help) own=(--json --debug) ;;
        wait) options=(--checks --inactive --major --minor --noflush --noopencount --uuid --help) own=(--debug) ;;
        mknodes) options=(--help) own=(--debug) ;;
        mangle) options=(--manglename --help) own=(--debug) ;;
        udevcreatecookie) options=(--help) own=(--debug) ;;
        udevreleasecookie) options=(--help) own=(--debug) ;;
        udevflags) options=(--help) own=(--debug) ;;
        udevcomplete) options=(--help) own=(--debug) ;;
        udevcomplete_all) options=(--yes --help) own=(--debug) ;;
        udevcookies) options=(--help) own=(--debug) ;;
        target-version) options=(--help) own=(--json --debug) ;;
        targets) options=(--checks --help) own=(--available --json --debug) ;;
        version) options=(--help) own=(--json --debug) ;;
        setgeometry) options=(--help) own=(--debug) ;;
        splitname) options=(--nameprefixes --noheadings --options --rows --separator --unbuffered --unquoted --help) own=(--headings --debug) ;;
        show) options=(--help) own=(--options --sort --select --noheadings --json --debug) ;;
        tree) options=(--help) own=(--dot --json --debug) ;;
        top) options=(--help) own=(--sort --reverse --device --json --debug) ;;
        events) options=(--help) own=(--name --uuid --target --type --count --once --timeout --since-counter --until --poll --exec --shell --jobs --json --debug) ;;
        holders) options=(--help) own=(--json --debug) ;;
        explain) options=(--help) own=(--table --showkeys --json --debug) ;;
        build) options=(--help) own=(--create --uuid --readonly --then --size --json --showkeys --debug) ;;
        verity-format) options=(--help) own=(--hash --format --data-block-size --hash-block-size --data-blocks --hash-offset --salt --uuid --no-superblock --root-hash-file --fec-device --fec-offset --fec-roots --threads --progress --yes --json --debug) ;;
        verity-verify) options=(--help) own=(--root-hash-file --hash-offset --no-superblock --hash --format --data-block-size --hash-block-size --data-blocks --salt --fec-device --fec-offset --fec-roots --threads --progress --json --debug) ;;
        verity-repair) options=(--help) own=(--root-hash-file --hash-offset --no-superblock --hash --format --data-block-size --hash-block-size --data-blocks --salt --fec-device --fec-offset --fec-roots --dry-run --threads --progress --json --debug) ;;
        verity-dump) options=(--help) own=(--hash-offset --json --debug) ;;
        verity-open) options=(--help) own=(--root-hash-file --ignore-corruption --restart-on-corruption --panic-on-corruption --restart-on-error --panic-on-error --ignore-zero-blocks --check-at-most-once --use-tasklets --root-hash-signature --shared --hash-offset --no-superblock --hash --format --data-block-size --hash-block-size --data-blocks --salt --fec-device --fec-offset --fec-roots --debug) ;;
        verity-status) options=(--help) own=(--json --debug) ;;
        verity-close) options=(--help) own=(--deferred --cancel-deferred --debug) ;;
        verity-sign) options=(--help) own=(--root-hash-file --key --cert --output --passphrase-file --digest --with-cert --emit --attach --json --debug) ;;
        verity-verify-signature) options=(--help) own=(--cert --root-hash-file --json --debug) ;;
        verity-gpt) options=(--help) own=(--root-hash-file --arch --sign --cert --output --json --debug) ;;
        veritysetup) options=(--help) own=(--help --usage --version --cancel-deferred --check-at-most-once --data-block-size --data-blocks --debug --deferred --error-as-corruption --fec-device --fec-offset --fec-roots --format --hash --hash-block-size --hash-offset --ignore-corruption --ignore-zero-blocks --no-superblock --panic-on-corruption --restart-on-corruption --root-hash-file --root-hash-signature --salt --shared --use-tasklets --uuid --verbose --debug) ;;
        thin-pool-create) options=(--help) own=(--metadata --data --block-size --max-volumes --low-water --error-if-no-space --no-zeroing --ignore-discard --no-discard-passdown --dry-run --yes --json --debug) ;;
        thin-pool-open) options=(--help) own=(--metadata --data --dry-run --json --debug) ;;
        thin-pool-close) options=(--help) own=(--deactivate --json --debug) ;;
        thin-pool-status) options=(--help) own=(--json --debug) ;;
        thin-pool-resize) options=(--help) own=(--dry-run --json --debug) ;;
        thin-pool-init) options=(--help) own=(--max-volumes --dry-run --json --debug) ;;
        thin-pool-adopt) options=(--help) own=(--max-volumes --dry-run --json --debug) ;;
        thin-pool-reconcile) options=(--help) own=(--adopt --dry-run --json --debug) ;;
        thin-pool-recover) options=(--help) own=(--json --debug) ;;
        thin-recover) options=(--help) own=(--json --debug) ;;
        thin-create) options=(--help) own=(--size --blob --blob-file --activate --dry-run --json --debug) ;;
        thin-snapshot) options=(--help) own=(--group --blob --blob-file --nolockfs --noflush --activate --dry-run --json --debug) ;;
        thin-activate) options=(--help) own=(--read-only --dry-run --json --debug) ;;
        thin-deactivate) options=(--help) own=(--deferred --json --debug) ;;
        thin-remove) options=(--help) own=(--no-discard --dry-run --yes --json --debug) ;;
        thin-rename) options=(--help) own=(--dry-run --json --debug) ;;
        thin-resize) options=(--help) own=(--size --dry-run --yes --json --debug) ;;
        thin-batch) options=(--help) own=(--nolockfs --noflush --dry-run --json --debug) ;;
        thin-blob-get) options=(--help) own=(--debug) ;;
        thin-blob-set) options=(--help) own=(--blob --blob-file --dry-run --json --debug) ;;
        thin-find) options=(--help) own=(--blob --name --uuid --json --debug) ;;
        thin-ls) options=(--help) own=(--data --exclusive --format --no-headers --metadata-snap --json --debug) ;;
        thin-monitor) options=(--help) own=(--data --metadata --interval --exec --once --json --debug) ;;
        thin-doctor) options=(--help) own=(--json --debug) ;;
        thin-dump) options=(--help) own=(--format --dev-id --skip-mappings --output --metadata-snap --debug) ;;
        thin-check) options=(--help) own=(--super-block-only --skip-mappings --ignore-non-fatal-errors --quiet --metadata-snap --json --debug) ;;
        thin-delta) options=(--help) own=(--snap1 --snap2 --verbose --size --metadata-snap --json --debug) ;;
        thin-rmap) options=(--help) own=(--region --metadata-snap --json --debug) ;;
        thin-metadata-size) options=(--help) own=(--block-size --pool-size --max-thins --unit --numeric-only --debug) ;;
        clone-create) options=(--help) own=(--source --dest --metadata --metadata-file --region-size --threshold --batch --rate --no-hydration --no-discard-passdown --grow --set-ro --wait --on-error --max-stall --dry-run --yes --json --debug) ;;
        clone-watch) options=(--help) own=(--wait --on-error --max-stall --rate --json --debug) ;;
        clone-status) options=(--help) own=(--json --debug) ;;
        clone-throttle) options=(--help) own=(--threshold --batch --json --debug) ;;
        clone-pause) options=(--help) own=(--json --debug) ;;
        clone-resume) options=(--help) own=(--json --debug) ;;
        clone-trim) options=(--help) own=(--json --debug) ;;
        clone-finish) options=(--help) own=(--verify --progress --json --debug) ;;
        clone-assemble) options=(--help) own=(--wait --on-error --max-stall --rate --json --debug) ;;
        clone-abort) options=(--help) own=(--yes --json --debug) ;;
        clone-inspect) options=(--help) own=(--metadata --missing --map --json --debug) ;;
        check) options=(--help) own=(--table --json --debug) ;;
        install-links) options=(--help) own=(--debug) ;;
    esac
    [[ $program == dm@(setup|stats) ]] || options+=("${own[@]}")
    case $command:$previous in
        :*) ;;
        create:--readahead|resume:--readahead)
            _dmctl_words auto none ;;
        remove:--select|remove:-S|suspend:--select|suspend:-S|resume:--select|resume:-S|clear:--select|clear:-S|wipe_table:--select|wipe_table:-S|measure:--select|measure:-S|info:--select|info:-S|info:--options|info:-o|info:--sort|info:-O|deps:--select|deps:-S|status:--select|status:-S|table:--select|table:-S)
            _dmctl_list name mangled_name unmangled_name uuid mangled_uuid unmangled_uuid read_ahead blkdevname attr tables_loaded suspended readonly devno major minor open segments events device_count devs_used devnos_used blkdevs_used device_ref_count names_using_dev devnos_using_dev subsystem vg_name lv_name lv_layer ;;
        measure:--target|ls:--target|status:--target|table:--target|events:--target)
            _dmctl_words bow cache clone crypt delay dust ebs era error flakey integrity linear log-writes mirror multipath raid snapshot snapshot-merge snapshot-origin striped switch thin thin-pool unstriped vdo verity writecache zero zoned ;;
        ls:--options|ls:-o)
            _dmctl_list devno blkdevname devname device nodevice status table active open uuid rw utf vt100 ascii inverted compact notrunc ;;
        info:--headings|stats:--headings|splitname:--headings)
            _dmctl_words none abbrev full ;;
        deps:--options|deps:-o)
            _dmctl_list devno blkdevname devname ;;
        stats:--select|stats:-S|stats:--options|stats:-o|stats:--sort|stats:-O)
            _dmctl_list subsystem vg_name lv_name lv_layer read_count reads_merged_count read_sector_count read_time write_count writes_merged_count write_sector_count write_time in_progress_count io_ticks queue_ticks read_ticks write_ticks reads_merged_per_sec writes_merged_per_sec reads_per_sec writes_per_sec read_size_per_sec write_size_per_sec avg_request_size queue_size await read_await write_await throughput service_time util hist_count hist_count_bounds hist_count_ranges hist_percent hist_percent_bounds hist_percent_ranges interval_ns interval region_id region_start region_len area_id area_start area_len area_offset area_count group_id program_id user_data precise hist_bins hist_bounds hist_ranges stats_name obj_type ;;
        stats:--follow)
            _dmctl_words inode path ;;
        mangle:--manglename)
            _dmctl_words auto hex none ;;
        splitname:--options|splitname:-o)
            _dmctl_list subsystem vg_name lv_name lv_layer ;;
        show:--options|show:-o|show:--sort|show:-O|show:--select|show:-S)
            _dmctl_list name dm_name size target state on used_by mounts above full warnings uuid devno open events segments suspended readonly bow.device bow.block_size_bytes cache.metadata_block_sectors cache.metadata_used_blocks cache.metadata_total_blocks cache.block_sectors cache.cache_used_blocks cache.cache_total_blocks cache.read_hits cache.read_misses cache.write_hits cache.write_misses cache.demotions cache.promotions cache.dirty_blocks cache.mode cache.metadata2 cache.no_discard_passdown cache.migration_threshold_sectors cache.policy cache.policy_options cache.metadata_mode cache.needs_check cache.metadata cache.cache cache.origin clone.metadata_block_sectors clone.metadata_used_blocks clone.metadata_total_blocks clone.region_sectors clone.hydrated_regions clone.total_regions clone.hydrating_regions clone.no_hydration clone.no_discard_passdown clone.hydration_threshold_regions clone.hydration_batch_size_regions clone.mode clone.metadata clone.destination clone.source crypt.cipher crypt.device crypt.iv_offset_sectors crypt.offset_sectors crypt.allow_discards crypt.same_cpu_crypt crypt.high_priority crypt.submit_from_crypt_cpus crypt.no_read_workqueue crypt.no_write_workqueue crypt.integrity crypt.integrity_key_size_bytes crypt.sector_size_bytes crypt.iv_large_sectors delay.reads delay.writes delay.flushes delay.device delay.delay_ms delay.offset_sectors delay.write delay.flush dust.device dust.reads dust.logging dust.block_bytes dust.offset_sectors ebs.device ebs.emulated_sectors ebs.offset_sectors ebs.underlying_sectors era.metadata_block_sectors era.metadata_used_blocks era.metadata_total_blocks era.era era.held_root_block era.metadata era.origin era.block_sectors error.device flakey.device flakey.offset_sectors flakey.up_s flakey.down_s flakey.error_reads flakey.drop_writes flakey.error_writes flakey.corrupt_byte flakey.random_read_corrupt flakey.random_write_corrupt integrity.mismatches integrity.provided_sectors integrity.recalculated_sectors integrity.device integrity.offset_sectors integrity.mode integrity.tag_size_bytes integrity.meta_device integrity.block_size_bytes integrity.recalculate integrity.reset_recalculate integrity.allow_discards integrity.allow_discards_keyed integrity.journal_sectors integrity.interleave_sectors integrity.buffer_sectors integrity.journal_watermark_percent integrity.commit_time_ms integrity.sectors_per_bit integrity.bitmap_flush_interval_ms integrity.fix_padding integrity.fix_hmac integrity.legacy_recalculate integrity.internal_hash integrity.journal_crypt integrity.journal_mac linear.device linear.offset_sectors log-writes.entries log-writes.last_sector log-writes.logging_disabled log-writes.device log-writes.log mirror.devices mirror.in_sync_regions mirror.regions mirror.health mirror.log mirror.log_device mirror.log_health mirror.log_words mirror.mirrors mirror.region_sectors mirror.sync mirror.log_arguments mirror.handle_errors mirror.keep_log multipath.queueing multipath.pg_init_count multipath.feature_words multipath.hw_handler_words multipath.group_number multipath.groups multipath.initial_group multipath.queue_if_no_path multipath.retain_attached_hw_handler multipath.pg_init_retries multipath.pg_init_delay_ms multipath.queue_mode multipath.hw_handler multipath.hw_handler_arguments raid.raid_type raid.device_count raid.health raid.done_sectors raid.total_sectors raid.sync_action raid.mismatches_sectors raid.data_offset_sectors raid.journal_health raid.raid_devices raid.chunk_sectors raid.sync raid.rebuild raid.daemon_sleep_ms raid.min_recovery_rate_kib_s raid.max_recovery_rate_kib_s raid.write_mostly raid.max_write_behind raid.stripe_cache raid.region_sectors raid.raid10_copies raid.raid10_format raid.raid10_use_near_sets raid.delta_disks raid.journal_device raid.journal_mode snapshot.condition snapshot.used_sectors snapshot.total_sectors snapshot.metadata_sectors snapshot.origin snapshot.cow snapshot.persistent snapshot.chunk_sectors snapshot.discard_zeroes_cow snapshot.discard_passdown_origin snapshot-merge.condition snapshot-merge.used_sectors snapshot-merge.total_sectors snapshot-merge.metadata_sectors snapshot-merge.origin snapshot-merge.cow snapshot-merge.persistent snapshot-merge.chunk_sectors snapshot-merge.discard_zeroes_cow snapshot-merge.discard_passdown_origin snapshot-origin.origin striped.devices striped.health striped.chunk_sectors striped.stripes switch.region_sectors switch.paths thin.mapped_sectors thin.highest_sector thin.pool thin.device_id thin.external_origin thin-pool.transaction_id thin-pool.metadata_used_blocks thin-pool.metadata_total_blocks thin-pool.data_used_blocks thin-pool.data_total_blocks thin-pool.held_root_block thin-pool.mode thin-pool.discard thin-pool.no_space thin-pool.needs_check thin-pool.metadata_low_water_blocks thin-pool.metadata thin-pool.data thin-pool.block_sectors thin-pool.low_water_blocks thin-pool.skip_block_zeroing thin-pool.ignore_discard thin-pool.no_discard_passdown thin-pool.read_only thin-pool.error_if_no_space unstriped.stripes unstriped.chunk_sectors unstriped.stripe unstriped.device unstriped.offset_sectors vdo.device vdo.mode vdo.recovery vdo.index vdo.compression vdo.used_blocks vdo.total_blocks vdo.physical_blocks vdo.min_io_bytes vdo.block_map_cache_blocks vdo.block_map_era vdo.ack vdo.bio vdo.bio_rotation vdo.cpu vdo.hash vdo.logical vdo.physical vdo.max_discard_blocks vdo.deduplication vdo.others verity.validity verity.corrected_blocks verity.version verity.data_device verity.hash_device verity.data_block_bytes verity.hash_block_bytes verity.data_blocks verity.hash_start_blocks verity.algorithm verity.root_digest verity.salt verity.on_corruption verity.on_error verity.ignore_zero_blocks verity.check_at_most_once verity.try_verify_in_tasklet verity.fec_device verity.fec_blocks verity.fec_start_blocks verity.fec_roots verity.root_hash_sig_key_desc writecache.error writecache.total_blocks writecache.free_blocks writecache.writeback_blocks writecache.reads writecache.read_hits writecache.writes writecache.write_hits_uncommitted writecache.write_hits_committed writecache.writes_around writecache.writes_allocate writecache.writes_blocked_on_freelist writecache.flushes writecache.discards writecache.kind writecache.origin writecache.cache writecache.block_bytes writecache.start_sectors writecache.high_watermark_percent writecache.low_watermark_percent writecache.writeback_jobs writecache.autocommit_blocks writecache.autocommit_time_ms writecache.max_age_ms writecache.cleaner writecache.fua writecache.metadata_only writecache.pause_writeback_ms zoned.zones zoned.free_cache_zones zoned.cache_zones zoned.drives ;;
        top:--sort|top:-O)
            _dmctl_words name reads writes latency in-flight utilisation ;;
        events:--type)
            _dmctl_words added removed renamed loaded cleared suspended resumed table event corrupted path-failed path-reinstated status stalled overflow ;;
        top:--device) _dmctl_devices ;;
        thin-pool-create:--metadata) _dmctl_devices ;;
        thin-pool-create:--data) _dmctl_devices ;;
        thin-pool-open:--metadata) _dmctl_devices ;;
        thin-pool-open:--data) _dmctl_devices ;;
        thin-ls:--data) _dmctl_devices ;;
        clone-create:--source) _dmctl_devices ;;
        clone-create:--dest) _dmctl_devices ;;
        clone-create:--metadata) _dmctl_devices ;;
        *:--gid|*:-G|*:--major|*:-j|*:--minor|*:-m|*:--mode|*:-M|*:--udevcookie|*:--table|*:--uid|*:-U|*:--uuid|*:-u|*:--exec|*:--count|*:--interval|*:--separator|*:--alias|*:--areas|*:--areasize|*:--bounds|*:--groupid|*:--length|*:--programid|*:--regions|*:--regionid|*:--start|*:--units|*:--userdata|*:--name|*:--timeout|*:--since-counter|*:--until|*:--poll|*:--jobs|*:--create|*:--size|*:--hash|*:-h|*:--format|*:--data-block-size|*:--hash-block-size|*:--data-blocks|*:--hash-offset|*:--salt|*:-s|*:--root-hash-file|*:--fec-device|*:--fec-offset|*:--fec-roots|*:--threads|*:--root-hash-signature|*:--key|*:--cert|*:--output|*:-o|*:--passphrase-file|*:--digest|*:--emit|*:--attach|*:--arch|*:--sign|*:--block-size|*:--max-volumes|*:--low-water|*:--blob|*:--blob-file|*:--group|*:--data|*:--metadata|*:-f|*:--dev-id|*:--snap1|*:--snap2|*:--region|*:-b|*:--pool-size|*:--max-thins|*:--unit|*:--metadata-file|*:--region-size|*:--threshold|*:--batch|*:--rate|*:--on-error|*:--max-stall) ;;
        *)
            [[ $current == -* ]] && previous=-
            case $command:$previous in
                *:-) _dmctl_words "${options[@]}" ;;
                build:build|build:--then|target-version:*) _dmctl_words "${targets[@]}" ;;
                stats:stats) _dmctl_words help clear create delete group list print report ungroup update_filemap version ;;
                verity:*) _dmctl_words format verify repair dump open status close sign verify-signature gpt ;;
                thin:*) _dmctl_words pool recover create snapshot activate deactivate remove rename resize batch blob find ls monitor doctor dump check delta rmap metadata-size ;;
                thin-pool:*) _dmctl_words create open close status resize init adopt reconcile recover ;;
                thin-blob:*) _dmctl_words get set ;;
                clone:*) _dmctl_words create watch status throttle pause resume trim finish assemble abort inspect ;;
                thin-create:*|thin-snapshot:*|thin-activate:*|thin-deactivate:*|thin-remove:*|thin-rename:*|thin-resize:*|thin-blob-get:*|thin-blob-set:*) _dmctl_volumes ;;
                remove:*|suspend:*|resume:*|load:*|clear:*|reload:*|wipe_table:*|rename:*|measure:*|message:*|info:*|deps:*|stats:*|status:*|table:*|wait:*|mknodes:*|mangle:*|setgeometry:*|show:*|tree:*|events:*|holders:*|explain:*|verity-status:*|verity-close:*|thin-batch:*|thin-find:*|thin-ls:*|thin-monitor:*|thin-doctor:*|thin-dump:*|thin-check:*|thin-delta:*|thin-rmap:*|clone-watch:*|clone-status:*|clone-throttle:*|clone-pause:*|clone-resume:*|clone-trim:*|clone-finish:*|clone-assemble:*|clone-abort:*) _dmctl_devices ;;
            esac
            ;;
    esac
    [[ -z $cut ]] || COMPREPLY=("${COMPREPLY[@]#"$cut"}")
}

# Files where nothing else fits: tables, and paths of nodes.
complete -o default -F _dmctl dmctl
# dmsetup too, if nobody else completes it: bash-completion does that in the files of these names.
for _dmctl in dmsetup dmstats; do
    complete -p "$_dmctl" &>/dev/null ||
        [[ -e /usr/share/bash-completion/completions/$_dmctl ]] ||
        complete -o default -F _dmctl "$_dmctl"
done
unset -v _dmctl
