# SPDX-License-Identifier: LGPL-2.1-or-later
# Made by python -m dmctl.cli.completion: change that, not this.
# shellcheck shell=bash
# For bash-completion, which looks for a file by the command's name: dmsetup or dmstats.

_dmctl_of_others() {
    local IFS=: folder file
    for folder in ${XDG_DATA_DIRS:-/usr/local/share:/usr/share}; do
        file=$folder/bash-completion/completions/$1
        [[ -r $file && $(<"$file") != *_dmctl* ]] && printf %s "$file" && return
    done
    return 1
}

# Somebody else's is the better one.
# shellcheck source=/dev/null
if other=$(_dmctl_of_others "${BASH_SOURCE[0]##*/}"); then
    source "$other"
else
    source "${BASH_SOURCE[0]%/*}/dmctl"
    complete -o default -F _dmctl "${BASH_SOURCE[0]##*/}"
fi
unset -f _dmctl_of_others
unset -v other
