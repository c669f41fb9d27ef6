# SPDX-License-Identifier: LGPL-2.1-or-later
"""The native commands: where each is, and what is said of it in one line. Nothing of them is imported here."""

# Name: module and function below dmctl.cli, what it does, whether it reads its words itself instead of typer.
NATIVE: dict[str, tuple[str, str, bool]] = {
    "show": ("show:show", "Show devices: size, target, state, what they stand on, how full they are.", False),
    "tree": ("tree:tree", "Show what stands on what, from the top to the disks.", False),
    "top": ("top:top", "Watch I/O rates, latency and requests in flight.", False),
    "events": ("events:events", "Watch what happens to devices.", False),
    "holders": ("holders:show_holders", "Tell who keeps a device busy.", False),
    "explain": ("explain:explain", "Tell what each word of a table and of a status means.", False),
    "build": ("build:build", "Print a table line, or make a device, from arguments with names and units.", True),
    "verity": ("native:VERITY", "Hash trees: make, verify, repair, sign and open them.", False),
    "veritysetup": ("veritysetup:run", "Do what veritysetup does, for scripts.", True),
    "thin": ("native:THIN", "Thin pools: volumes, snapshots, blobs, and what is in the metadata.", False),
    "clone": ("native:CLONE", "Copies that can be used at once: make, watch, pause and finish them.", False),
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

# Names of two words are those of groups in the group.
THIN: dict[str, tuple[str, str]] = {
    "pool create": ("thin_pool:create", "Make a pool, and the catalogue of its volumes."),
    "pool open": ("thin_pool:open_", "Make an existing pool active."),
    "pool close": ("thin_pool:close", "Make a pool inactive."),
    "pool status": ("thin_pool:status", "Show how full a pool is, its state and settings."),
    "pool resize": ("thin_pool:resize", "Take all of a device that has grown."),
    "pool init": ("thin_pool:init", "Make the catalogue in an empty pool of another tool."),
    "pool adopt": ("thin_pool:adopt", "Make the catalogue in a pool of another tool, with what is in it."),
    "pool reconcile": ("thin_pool:reconcile", "Fit the catalogue to a pool that another tool has changed."),
    "pool recover": ("thin_pool:recover", "Put right what was interrupted."),
    "recover": ("thin_pool:recover", "Resume devices that were left suspended, and more."),
    "create": ("thin_volumes:create", "Make an empty volume."),
    "snapshot": ("thin_volumes:snapshot", "Make a snapshot of a volume, or of several at one moment."),
    "activate": ("thin_volumes:activate", "Make the device of a volume."),
    "deactivate": ("thin_volumes:deactivate", "Remove the device of a volume."),
    "remove": ("thin_volumes:remove", "Remove a volume and what it holds."),
    "rename": ("thin_volumes:rename", "Give a volume another name."),
    "resize": ("thin_volumes:resize", "Make a volume larger or smaller."),
    "batch": ("thin_volumes:batch", "Make many changes as one."),
    "blob get": ("thin_blobs:get", "Print the blob of a volume."),
    "blob set": ("thin_blobs:set_", "Bind a blob to a volume."),
    "find": ("thin_blobs:find", "Find volumes by blob, name or uuid."),
    "ls": ("thin_ls:ls", "List the thins of a pool."),
    "monitor": ("thin_watch:monitor", "Watch how full a pool becomes."),
    "doctor": ("thin_watch:doctor", "Tell what is wrong with a pool, and what to do."),
    "dump": ("thin_maps:dump", "Print all mappings, as thin_dump does."),
    "check": ("thin_maps:check", "Check the metadata of a pool that is not active."),
    "delta": ("thin_maps:delta", "Print where two thins differ, as thin_delta does."),
    "rmap": ("thin_maps:rmap", "Print which thins have certain data blocks."),
    "metadata-size": ("thin_maps:metadata_size", "Tell how large a pool's metadata should be."),
}

CLONE: dict[str, tuple[str, str]] = {
    "create": ("clone:create", "Make a device that shows the source at once, while it is copied."),
    "watch": ("clone_watch:watch", "Show how far a clone is, and what holds it up."),
    "status": ("clone_watch:status", "Show how far clones are, at this moment."),
    "throttle": ("clone_watch:throttle", "Set how much is copied at once."),
    "pause": ("clone_watch:pause", "Copy nothing in the background."),
    "resume": ("clone_watch:resume", "Copy in the background again."),
    "trim": ("clone_watch:trim", "Leave out what the file system does not use."),
    "finish": ("clone:finish", "Put a linear table in the place of a clone that has everything."),
    "assemble": ("clone:assemble", "Make the device of a clone again, as after a reboot."),
    "abort": ("clone:abort", "Remove a clone, and forget it."),
    "inspect": ("clone:inspect", "Tell what is copied, from the metadata alone."),
}

GROUPS = {"verity": VERITY, "thin": THIN, "clone": CLONE}
