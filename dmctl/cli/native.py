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
    "verity": ("native:VERITY", "Hash trees: make, verify, repair, sign and open them.", False),
    "veritysetup": ("veritysetup:run", "Do what veritysetup does, for scripts.", True),
    "thin": ("native:THIN", "Thin pools: volumes, snapshots, blobs, and what is in the metadata.", False),
    "check": ("check:check", "Look for mistakes in a table before the kernel is asked.", False),
    "install-links": ("links:install_links", "Make links to dmctl by dmsetup's names.", False),
}

# Likewise, of the commands behind "verity".
VERITY: dict[str, tuple[str, str]] = {
    "format": ("verity:format_", "Make the hash tree of a device or file, and parity."),
    "verify": ("verity_verify:verify", "Compare data and hash tree with the root hash."),
    "repair": ("verity_verify:repair", "Put right with parity what is wrong."),
    "dump": ("verity:dump", "Print what a hash tree's superblock says."),
    "open": ("verity_device:open_", "Make a device that verifies what is read."),
    "status": ("verity_device:status", "Show an open verity device."),
    "close": ("verity_device:close", "Remove a verity device."),
    "sign": ("verity_sign:sign", "Sign a root hash for the kernel."),
    "verify-signature": ("verity_sign:verify_signature", "Check the signature of a root hash."),
    "gpt": ("verity_sign:gpt", "Print the partition UUIDs that belong to a root hash."),
}

# Of two words where the first stands for a group of its own.
THIN: dict[str, tuple[str, str]] = {
    "ls": ("thin_ls:ls", "List the thins of a pool."),
    "dump": ("thin_maps:dump", "Print all mappings, as thin_dump does."),
    "check": ("thin_maps:check", "Check the metadata of a pool that is not active."),
    "delta": ("thin_maps:delta", "Print where two thins differ, as thin_delta does."),
    "rmap": ("thin_maps:rmap", "Print which thins have certain data blocks."),
    "metadata-size": ("thin_maps:metadata_size", "Tell how large a pool's metadata should be."),
}

GROUPS = {"verity": VERITY, "thin": THIN}
