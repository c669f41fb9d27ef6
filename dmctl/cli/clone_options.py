# SPDX-License-Identifier: LGPL-2.1-or-later
"""Options and arguments of more than one command of dmctl clone."""

from enum import StrEnum
from typing import Annotated

import typer

from dmctl.cli import native_options
from dmctl.errors import UsageError

Name = Annotated[str, typer.Argument(metavar="CLONE", help="The clone's name.")]
Yes = Annotated[bool, typer.Option("-y", "--yes", help="Ask nothing.")]
Threshold = Annotated[
    int | None,
    typer.Option("--threshold", metavar="REGIONS", min=0, max=2**32 - 1, help="Copy so many regions at once."),
]
Batch = Annotated[
    int | None,
    typer.Option("--batch", metavar="REGIONS", min=1, max=2**32 - 1, help="Copy so many neighbours as one."),
]
Rate = Annotated[
    str | None,
    typer.Option("--rate", metavar="SIZE", help="Copy no more a second, such as 50M, for as long as this runs."),
]
MaxStall = Annotated[
    str,
    typer.Option(
        "--max-stall",
        metavar="TIME",
        help="It is an error when nothing could be copied for so long, such as 30s or 5m.",
    ),
]


class OnError(StrEnum):
    """What to do where something cannot be copied."""

    FAIL = "fail"
    PAUSE = "pause"
    RETRY = "retry"


OnErrorOption = Annotated[
    OnError,
    typer.Option(
        "--on-error",
        metavar="fail|pause|retry",
        help="Where something cannot be copied: end with status 5, wait for resume, try again.",
    ),
]


def rate(text: str | None) -> int | None:
    """Bytes a second. Raises UsageError."""
    if text is None:
        return None
    found = native_options.size(text.removesuffix("/s"), "--rate")
    if not found:
        raise UsageError("--rate: 0 would copy nothing; dmctl clone pause does that.")
    return found


def seconds(text: str, option: str) -> float:
    """A time such as 30, 30s, 5m or 1h. Raises UsageError."""
    factors = {"s": 1, "m": 60, "h": 3600}
    number, unit = (text[:-1], text[-1]) if text[-1:] in factors else (text, "s")
    try:
        found = float(number) * factors[unit]
    except ValueError:
        raise UsageError(f"{option}: {text!r} is no time such as 30s or 5m.") from None
    if not 1 <= found <= 86400 * 365:
        raise UsageError(f"{option}: {text} is not between a second and a year.")
    return found
