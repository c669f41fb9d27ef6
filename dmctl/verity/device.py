# SPDX-License-Identifier: LGPL-2.1-or-later
"""Verity devices in the kernel: opened, looked at and closed; veritysetup and dmctl take each other's."""

from __future__ import annotations

import errno
import os
import uuid as uuids
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from dmctl import control, loop
from dmctl.device import Device
from dmctl.disk import refuse_name, refuse_odd_name
from dmctl.errors import DeviceError, DmctlError, ExitStatus, NotFoundError, UsageError
from dmctl.info import Info
from dmctl.libdm.keyring import UserKey
from dmctl.table import Line
from dmctl.targets.verity import VerityArguments, VerityStatus
from dmctl.units import SECTOR_BYTES
from dmctl.verity import fec, support
from dmctl.verity.existing import Existing, open_existing
from dmctl.verity.make import message_areas
from dmctl.verity.places import Extent, Place, opened, refuse_too_small
from dmctl.verity.tree import Parameters, parse_root_hash

# What libcryptsetup gives its devices, and knows them by.
_UUID_PREFIX = "CRYPT-VERITY-"


class RootHashError(DmctlError):
    """The tree is not that of the root hash."""

    @property
    def exit_status(self) -> int:
        return ExitStatus.VERIFICATION


@dataclass(frozen=True, slots=True)
class Features:
    """What a device does beside verifying: the optional arguments of the target, by its names.

    on_corruption: ignore, restart or panic. on_error: restart or panic. fec_path and the like: parity that the kernel
    is to correct errors with.
    """

    on_corruption: str | None = None
    on_error: str | None = None
    ignore_zero_blocks: bool = False
    check_at_most_once: bool = False
    try_verify_in_tasklet: bool = False
    fec_path: str | None = None
    fec_offset_bytes: int = 0
    fec_roots: int = 2


def open_device(
    name: str,
    data_path: str,
    hash_path: str,
    root_hash: str,
    *,
    hash_offset_bytes: int = 0,
    parameters: Parameters | None = None,
    features: Features | None = None,
    signature: bytes | None = None,
    shared: bool = False,
    any_root_hash: bool = False,
) -> None:
    """Make a verity device. Files get loop devices, which go with it.

    parameters: of a tree without a superblock. shared: the data may be in use otherwise. signature: of the root hash,
    PKCS #7 in DER: the kernel checks it, and refuses the device where it trusts none of its signers. any_root_hash: do
    not look whether it fits the tree; where it does not, the kernel lets nothing be read.

    Raises RootHashError where the top of the tree does not fit the root hash, SuperblockError, UsageError, DeviceError.
    """
    features = features or Features()
    refuse_odd_name(name)
    with ExitStack() as stack:
        there = stack.enter_context(
            open_existing(data_path, hash_path, hash_offset_bytes=hash_offset_bytes, parameters=parameters)
        )
        parameters = there.image.parameters
        digest = parse_root_hash(root_hash, parameters.algorithm)
        if not any_root_hash and not there.image.top_is(digest):
            raise RootHashError(f"The hash tree on {hash_path} does not fit the root hash.")
        try:
            if not shared:
                _refuse_in_use(there.data)
        finally:  # this comes first; but who has the data, at this moment too, has had the name before
            refuse_name(name)
        nodes: dict[tuple[int, int], str] = {}
        key = None if signature is None else f"dmctl-{uuids.uuid4().hex}"
        arguments = VerityArguments(
            version=parameters.hash_type,
            data_device=_node(stack, there.data, nodes),
            hash_device=_node(stack, there.hashes, nodes),
            data_block_bytes=parameters.data_block_bytes,
            hash_block_bytes=parameters.hash_block_bytes,
            data_blocks=parameters.data_blocks,
            hash_start_blocks=there.image.tree_offset_bytes // parameters.hash_block_bytes,
            algorithm=parameters.algorithm,
            root_digest=digest.hex(),
            salt=parameters.salt.hex() or None,
            on_corruption=features.on_corruption,
            on_error=features.on_error,
            ignore_zero_blocks=features.ignore_zero_blocks,
            check_at_most_once=features.check_at_most_once,
            try_verify_in_tasklet=features.try_verify_in_tasklet,
            root_hash_sig_key_desc=key,
            **_correction(stack, there, features, nodes),
        )
        support.refuse_missing(arguments)
        line = Line(0, parameters.data_bytes // SECTOR_BYTES, "verity", arguments.to_params())
        if signature is not None and key is not None:
            stack.enter_context(UserKey(key, signature))
        try:
            Device(name).create([line], uuid=_dm_uuid(name, there), read_only=True)
        except DeviceError as error:
            raise support.explained(error, arguments) from None


def _correction(
    stack: ExitStack, there: Existing, features: Features, nodes: dict[tuple[int, int], str]
) -> dict[str, Any]:
    """The arguments about parity."""
    if features.fec_path is None:
        return {}
    parity, block_bytes = stack.enter_context(opened(features.fec_path)), there.image.parameters.data_block_bytes
    if features.fec_offset_bytes % block_bytes:
        raise UsageError(f"The FEC offset {features.fec_offset_bytes} is not a multiple of {block_bytes} bytes.")
    same = parity.identity == there.hashes.identity
    areas = message_areas(
        there.image,
        there.data,
        there.hashes,
        there.hashes.size_bytes,
        features.fec_offset_bytes if same else None,
    )
    layout = fec.Layout.of(areas, roots=features.fec_roots, block_size_bytes=block_bytes)
    refuse_too_small(Extent(parity, features.fec_offset_bytes, layout.size_bytes, "the parity"))
    return {
        "fec_device": _node(stack, parity, nodes),
        "fec_blocks": layout.fec_blocks,
        "fec_start_blocks": features.fec_offset_bytes // block_bytes,
        "fec_roots": features.fec_roots,
    }


def _refuse_in_use(data: Place) -> None:
    if not data.is_device:
        return
    try:
        os.close(os.open(data.path, os.O_RDONLY | os.O_EXCL | os.O_CLOEXEC))
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise DmctlError(f"{data.path} cannot be opened: {error.strerror}.", errno=error.errno or 0) from None
        message = f"{data.path} is in use: mounted, or held by a device above it. --shared opens it all the same."
        raise DmctlError(message, errno=errno.EBUSY) from None


def _node(stack: ExitStack, place: Place, nodes: dict[tuple[int, int], str]) -> str:
    """What a table names: the device, or a loop device over the file, the same for the same file."""
    if place.identity not in nodes:
        number = place.identity[1]
        nodes[place.identity] = (
            f"{os.major(number)}:{os.minor(number)}"
            if place.is_device
            else stack.enter_context(loop.attached(place.path))
        )
    return nodes[place.identity]


def _dm_uuid(name: str, there: Existing) -> str:
    return f"{_UUID_PREFIX}{there.superblock.uuid.hex}-{name}" if there.superblock else f"{_UUID_PREFIX}{name}"


@dataclass(frozen=True, slots=True)
class Opened:
    """A verity device as the kernel has it."""

    info: Info
    size_sectors: int
    arguments: VerityArguments
    status: VerityStatus


def look_at(name: str) -> Opened:
    """What the kernel says of a device. Raises NotFoundError, UsageError where it is no verity device."""
    device = Device(name)
    info = _info(device, name)
    lines, _ = device.table()
    status, _ = device.status() if lines else ([], info)
    if [line.target for line in lines] != ["verity"] or len(status) != 1:
        raise UsageError(f"{name} is not a verity device.")
    arguments = VerityArguments.parse_params(lines[0].params)
    return Opened(info, lines[0].length_sectors, arguments, VerityStatus.parse_status(status[0].params))


def _info(device: Device, name: str) -> Info:
    try:
        return device.info()
    except NotFoundError as error:
        raise NotFoundError(f"{name} is not active.", errno=error.errno, verb=error.verb, device=name) from None


def close_device(name: str, *, deferred: bool = False, cancel_deferred: bool = False) -> None:
    """Remove a verity device; its loop devices go by themselves.

    deferred: where it is in use, as soon as it is not. cancel_deferred: take that back, and do nothing else.

    Raises NotFoundError, UsageError where it is no verity device, DeviceError (EBUSY where it is in use).
    """
    device = Device(name)
    info = _info(device, name)
    if not (info.uuid or "").startswith(_UUID_PREFIX):
        look_at(name)
    if cancel_deferred:
        device.message(0, "@cancel_deferred_remove")
        return
    try:
        device.remove(deferred=deferred)
    except DeviceError as error:
        if error.errno != errno.EBUSY:
            raise
        # A wrong block is an event, at which udev's rules open the device. They do not have it open all the time.
        device.remove(deferred=deferred, retry=not control.udev_settle())
