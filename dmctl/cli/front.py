# SPDX-License-Identifier: LGPL-2.1-or-later
"""dmctl --help: the commands by what people do with them, and what was probably meant by one that there is not."""

from dmctl.cli.native import NATIVE
from dmctl.cli.spec import COMMANDS
from dmctl.cli.usage import row

GROUPS = {
    "Look at devices": "show tree top events holders explain",
    "Make and change devices": "build create remove load resume suspend rename message wipe_table check",
    "Hash trees": "verity veritysetup",
    "Thin pools": "thin",
    "Copies in use at once": "clone",
    "As scripts read it": "ls info status table deps stats wait targets version",
    "More of dmsetup": "reload clear remove_all mknodes mangle setgeometry target-version measure splitname help",
    "For udev rules": "udevcreatecookie udevreleasecookie udevflags udevcomplete udevcomplete_all udevcookies",
    "Set-up": "install-links",
}


def summary(name: str) -> str:
    """What a command does, in one line."""
    return NATIVE[name][1] if name in NATIVE else COMMANDS[name].summary


def render() -> str:
    """The help, 80 columns wide."""
    lines = ["Usage: dmctl COMMAND [OPTION...] [OPERAND...]", ""]
    lines += ["Drives the kernel's device-mapper: dmsetup's commands, and more."]
    column = max(map(len, [*COMMANDS, *NATIVE])) + 4
    for title, names in GROUPS.items():
        lines += ["", f"{title}:"]
        for name in names.split():
            lines += row(name, summary(name), column)
    lines += [
        "",
        "dmctl COMMAND --help explains a command; man dmctl tells more.",
        "dmctl --dmctl-version prints dmctl's own version.",
        "Options of dmsetup's commands may also stand before the command.",
    ]
    return "\n".join(lines) + "\n"


def meant(command: str) -> str:
    """What to tell about a command that there is not."""
    import difflib

    near = difflib.get_close_matches(command, [*COMMANDS, *NATIVE], 3, 0.6)
    hint = f"Did you mean {' or '.join(near)}? " if near else ""
    return f"{hint}dmctl --help lists the commands."
