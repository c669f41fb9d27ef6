# SPDX-License-Identifier: LGPL-2.1-or-later
# Made by python -m dmctl.cli.completion: change that, not this.
# shellcheck shell=bash

_dmctl() {
    local current=${COMP_WORDS[COMP_CWORD]} command='' options='' word
    local commands='help create remove remove_all suspend resume load clear reload wipe_table rename measure message ls info deps stats status table wait mknodes mangle udevcreatecookie udevreleasecookie udevflags udevcomplete udevcomplete_all udevcookies target-version targets version setgeometry splitname check holders install-links top'
    COMPREPLY=()
    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
        if [[ " $commands " == *" $word "* ]]; then
            command=$word
            break
        fi
    done
    if [[ -z $command ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$commands" -- "$current")
        return
    fi
    case $command in
        help) options='--columns --debug --help' ;;
        create) options='--readonly --checks --concise --gid --inactive --major --minor --mode --noopencount --notable --udevcookie --noudevrules --noudevsync --readahead --table --uid --uuid --verifyudev --addnodeonresume --addnodeoncreate --debug --help' ;;
        remove) options='--checks --deferred --select --force --inactive --major --minor --noopencount --udevcookie --noudevrules --noudevsync --retry --uuid --verifyudev --debug --help' ;;
        remove_all) options='--checks --deferred --force --inactive --noopencount --debug --help' ;;
        suspend) options='--checks --select --inactive --major --minor --noflush --nolockfs --noopencount --uuid --debug --help' ;;
        resume) options='--checks --select --inactive --major --minor --noflush --nolockfs --noopencount --udevcookie --noudevrules --noudevsync --readahead --uuid --verifyudev --addnodeonresume --addnodeoncreate --debug --help' ;;
        load) options='--readonly --checks --inactive --major --minor --noopencount --table --uuid --debug --help' ;;
        clear) options='--checks --select --inactive --major --minor --noopencount --uuid --debug --help' ;;
        reload) options='--readonly --checks --inactive --major --minor --noopencount --table --uuid --debug --help' ;;
        wipe_table) options='--readonly --checks --select --force --inactive --noflush --nolockfs --noopencount --udevcookie --noudevrules --noudevsync --verifyudev --debug --help' ;;
        rename) options='--checks --inactive --major --minor --noopencount --udevcookie --noudevrules --noudevsync --setuuid --uuid --verifyudev --debug --help' ;;
        measure) options='--checks --select --inactive --major --minor --noopencount --target --uuid --debug --help' ;;
        message) options='--checks --inactive --major --minor --noopencount --uuid --debug --help' ;;
        ls) options='--checks --exec --options --target --tree --json --debug --help' ;;
        info) options='--checks --columns --count --select --inactive --interval --major --minor --nameprefixes --noheadings --noopencount --options --rows --separator --sort --uuid --unbuffered --unquoted --json --headings --debug --help' ;;
        deps) options='--checks --select --inactive --major --minor --noopencount --options --uuid --json --debug --help' ;;
        stats) options='--alias --alldevices --allprograms --allregions --area --areas --areasize --bounds --clear --count --select --filemap --follow --force --foreground --group --groupid --histogram --interval --length --major --minor --nameprefixes --nogroup --noheadings --nosuffix --notimesuffix --nomonitor --options --precise --programid --raw --region --regions --regionid --relative --rows --segments --separator --sort --start --units --uuid --unbuffered --unquoted --userdata --headings --debug --help' ;;
        status) options='--checks --select --exec --inactive --major --minor --noflush --noopencount --target --uuid --json --debug --help' ;;
        table) options='--checks --concise --select --exec --inactive --major --minor --noflush --noopencount --showkeys --target --uuid --json --debug --help' ;;
        wait) options='--checks --inactive --major --minor --noflush --noopencount --uuid --debug --help' ;;
        mknodes) options='--debug --help' ;;
        mangle) options='--manglename --debug --help' ;;
        udevcreatecookie) options='--debug --help' ;;
        udevreleasecookie) options='--debug --help' ;;
        udevflags) options='--debug --help' ;;
        udevcomplete) options='--debug --help' ;;
        udevcomplete_all) options='--yes --debug --help' ;;
        udevcookies) options='--debug --help' ;;
        target-version) options='--json --debug --help' ;;
        targets) options='--checks --json --debug --help' ;;
        version) options='--json --debug --help' ;;
        setgeometry) options='--debug --help' ;;
        splitname) options='--nameprefixes --noheadings --options --rows --separator --unbuffered --unquoted --headings --debug --help' ;;
        check) options='--table --json --debug --help' ;;
        holders) options='--json --debug --help' ;;
        install-links) options='--debug --help' ;;
        top) options='--sort --device --reverse --json --debug --help' ;;
    esac
    if [[ $current == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$options" -- "$current")
        return
    fi
    if [[ $command == stats && ${COMP_WORDS[COMP_CWORD-1]} == stats ]]; then
        mapfile -t COMPREPLY < <(compgen -W 'help clear create delete group list print report ungroup update_filemap version' -- "$current")
        return
    fi
    case $command in
        remove|suspend|resume|load|clear|reload|wipe_table|rename|measure|message|info|deps|stats|status|table|wait|mknodes|mangle|setgeometry|holders)
            while IFS= read -r word; do
                [[ $word == "$current"* ]] && COMPREPLY+=("$(printf %q "$word")")
            done < <(dmctl ls 2>/dev/null | sed -n 's/\t(.*$//p')
            ;;
    esac
}

# Files where nothing else fits: tables, and paths of nodes.
complete -o default -F _dmctl dmctl
