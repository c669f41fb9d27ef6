# SPDX-License-Identifier: LGPL-2.1-or-later
"""Entry point: a dmsetup-compatible line or a native command; and every way in which either can end."""

import gc
import os
import sys

from dmctl.cli import signals, stream
from dmctl.errors import DmctlError, ExitStatus

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

# Called by one of these, dmctl is that program and prints nothing else.
DMSETUP_NAMES = ("dmsetup", "dmstats", "devmap_name", "losetup", "dmlosetup")
VERITYSETUP = "veritysetup"  # this one too, as a native command
NATIVE_COMMANDS = (
    "build",
    "check",
    "clone",
    "events",
    "explain",
    "holders",
    "install-links",
    "show",
    "thin",
    "top",
    "tree",
    "verity",
    "veritysetup",
)


def enter() -> "NoReturn":
    """What the dmctl script calls: main(), then the end of the process.

    Without the interpreter's tidying up, which takes a fifth of a compatible command's time. main() has by then
    flushed the output and released libdevmapper. Nor does it look for garbage before a command begins: what is imported
    is none.
    """
    gc.disable()
    _fill_standard_descriptors()
    os._exit(main(sys.argv))


def _fill_standard_descriptors() -> None:
    """Open /dev/null where the caller has closed one: else the next file that is opened would be taken for it."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number is this one


def main(argv: "Sequence[str]") -> int:
    """Run a command line (argv[0] is the name called by) and return its exit status."""
    as_dmsetup = os.path.basename(argv[0]) in DMSETUP_NAMES
    debug = not as_dmsetup and "--debug" in argv
    try:
        status = _dispatch(argv[0], list(argv[1:]), as_dmsetup=as_dmsetup)
    except KeyboardInterrupt:
        ending = signals.SIGINT
    except signals.Terminated as signal:
        ending = signal.args[0]
    except RuntimeError as error:
        # Where ^C comes while a class is being made, Python 3.11 wraps it: see type_new_set_names() in typeobject.c.
        if not isinstance(error.__cause__, KeyboardInterrupt):
            raise
        ending = signals.SIGINT
    except DmctlError as error:
        if debug:
            stream.trace(error)
        stream.error(f"dmctl: {error}")
        for line in getattr(error, "reason", ()):
            stream.error(f"kernel: {line}")
        stream.flush()
        return error.exit_status
    else:
        failure = stream.flush()
        if isinstance(failure, BrokenPipeError):
            return signals.die_of(signals.SIGPIPE)  # which the interpreter ignores, and other programs do not
        if failure and not as_dmsetup and status == ExitStatus.DONE:
            stream.error(f"dmctl: cannot write to standard output: {failure.strerror}")
            return ExitStatus.FAILED
        return status
    stream.flush()
    return signals.die_of(ending)


def _dispatch(program: str, words: list[str], *, as_dmsetup: bool) -> int:
    if os.path.basename(program) == VERITYSETUP:
        words.insert(0, VERITYSETUP)
    native = None if as_dmsetup else _native(words)
    if native is not None:
        from dmctl.cli.app import run as run_native

        return run_native(native)
    from dmctl.cli.compat.run import run

    return run(program, words, as_dmsetup=as_dmsetup)


def _native(words: list[str]) -> list[str] | None:
    """The words of a native command line, command first, without --debug; None for one that dmsetup knows too."""
    end = words.index("--") if "--" in words else len(words)
    words = [word for word in words[:end] if word != "--debug"] + words[end:]
    leading = [words.pop(0)] if words[:1] == ["--json"] else []
    if words[:1] == ["help"] and len(words) == 2 and words[1] in NATIVE_COMMANDS:
        return [words[1], "--help"]
    if not words or words[0] in ("--help", "-h"):
        return ["--help"] if words else []
    native = words[0] in NATIVE_COMMANDS or (words[0] == "targets" and "--available" in words)
    return [words[0], *leading, *words[1:]] if native else None
