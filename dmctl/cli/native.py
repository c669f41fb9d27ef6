# SPDX-License-Identifier: LGPL-2.1-or-later
"""The native commands: where each is, and what is said of it in one line. Nothing of them is imported here."""

# Name: module and function below dmctl.cli, what it does, whether it reads its words itself instead of typer.
NATIVE: dict[str, tuple[str, str, bool]] = {
    "show": ("show:show", "Show devices: size, target, state, what they stand on, how full they are.", False),
    "tree": ("tree:tree", "Show what stands on what, from the top to the disks.", False),
    "top": ("top:top", "Watch I/O rates, latency and requests in flight.", False),
    "holders": ("holders:show_holders", "Tell who keeps a device busy.", False),
    "explain": ("explain:explain", "Tell what each word of a table and of a status means.", False),
    "build": ("build:build", "Print a table line, or make a device, from arguments with names and units.", True),
    "verity": ("verity:COMMANDS", "Make hash trees, and compare them with their data.", False),
    "check": ("check:check", "Look for mistakes in a table before the kernel is asked.", False),
    "install-links": ("links:install_links", "Make links to dmctl by dmsetup's names.", False),
}
