# SPDX-License-Identifier: LGPL-2.1-or-later
"""Run one command in a guest: `PYTHONPATH=tests python -m guests -- dmsetup targets`."""

import argparse
import os
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from guests.base import GuestUnavailable
from guests.qemu import QemuGuest
from guests.uml import UmlGuest

PASSED_ON = ("PATH", "LANG", "TERM", "PYTHONPATH")
EXIT_TIMED_OUT = 124  # as timeout(1)
EXIT_NO_GUEST = 125
EXIT_INTERRUPTED = 130
EXIT_BROKEN_PIPE = 141


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m guests", description="Run a command on a kernel of its own.")
    parser.add_argument("--timeout", type=float, default=900.0, metavar="S", help="kill the guest after S seconds")
    parser.add_argument("--qemu", action="store_true", help="in QEMU (Linux 6.12) instead of user-mode Linux")
    parser.add_argument("--no-udev", action="store_true", help="do not run udevd in the guest; QEMU's has none")
    parser.add_argument("--results", type=Path, metavar="DIR", help="the only folder the guest can write to; kept")
    parser.add_argument("command", nargs="+", metavar="COMMAND")
    options = parser.parse_args()
    env = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    # The environment this runs in is the one to try, dmctl script and all.
    env["PATH"] = f"{sys.prefix}/bin:{env.get('PATH', os.defpath)}"
    env |= {"HOME": "/tmp", "PYTHONDONTWRITEBYTECODE": "1"}
    with ExitStack() as stack:
        if options.results is None:
            results = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dmctl-results-")))
        else:
            results = options.results
            results.mkdir(parents=True, exist_ok=True)
        try:
            guest = QemuGuest() if options.qemu else UmlGuest(udev=not options.no_udev)
            result = guest.run(
                options.command,
                results,
                timeout_s=options.timeout,
                env=env,
                cwd=Path.cwd(),
                stdout=sys.stdout.buffer,
                stderr=sys.stderr.buffer,
            )
        except GuestUnavailable as error:
            print(error, file=sys.stderr)
            return EXIT_NO_GUEST
        except KeyboardInterrupt:
            return EXIT_INTERRUPTED
        except BrokenPipeError:
            # The reader of our output has gone. Python would complain about it once more when it flushes at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return EXIT_BROKEN_PIPE
    if result.timed_out:
        print(f"guest killed after {options.timeout:g} s", file=sys.stderr)
        return EXIT_TIMED_OUT
    if result.exit_status is None:
        print(f"the guest died; its console ends with:\n{result.console_tail}", file=sys.stderr)
        return EXIT_NO_GUEST
    return result.exit_status


if __name__ == "__main__":
    sys.exit(main())
