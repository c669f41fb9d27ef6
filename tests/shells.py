# SPDX-License-Identifier: LGPL-2.1-or-later
"""Bash, zsh and fish, each on a terminal, with dmctl's completions: what a TAB offers and inserts."""

import fcntl
import os
import pty
import select
import signal
import struct
import termios
import time
from pathlib import Path

COMPLETIONS = Path(__file__).parents[1] / "completions"
SHELLS = ("bash", "zsh", "fish")
LIMIT_MS = 60_000
CLEAR_LINE = b"\x15"  # Ctrl-U

# Each shell writes what a TAB offers into the FIFO $OFFERED, a candidate a line, a dot behind the last.
START = {
    # Nothing is left for bash to insert, so that the line is ours to clear.
    "bash": """
        PS1='>' ; source "$COMPLETIONS/dmctl.bash"
        _offer() { _dmctl "$@"; printf '%s\\n' "${COMPREPLY[@]}" . >"$OFFERED"; COMPREPLY=(); }
        [[ $INSERT ]] || complete -F _offer dmctl dmsetup dmstats /usr/sbin/dmsetup
        bind 'set enable-bracketed-paste off'; bind 'set bell-style none'
    """,
    # compadd is where all of zsh's candidates come by; with -O, -A and -D it only asks. compinit reads
    # the head of each file: in a guest, all of zsh's would take 20 s.
    "zsh": """
        PS1='>' ; LISTMAX=100000; autoload -Uz compinit
        all=($fpath); fpath=("$COMPLETIONS" ${^fpath}/_arguments(N:h) ${^fpath}/compinit(N:h)); compinit -D -u
        fpath=("$COMPLETIONS" $all); autoload -Uz _files _path_files
        compadd() {
            local -a offered
            [[ ${@[1,(i)-]} == *-[OAD]* ]] || {
                builtin compadd -O offered "$@"
                found+=("${(@)offered}")
            }
            builtin compadd "$@"
        }
        offer() {
            local -a found
            zle list-choices
            print -rl -- "$found[@]" . >"$OFFERED"
        }
        zle -N offer
        [[ $INSERT ]] && unfunction compadd || bindkey '^I' offer
        unsetopt beep
    """,
    "fish": """
        function fish_prompt; echo -n '>'; end
        function fish_greeting; end
        source "$COMPLETIONS/dmctl.fish"; source "$COMPLETIONS/dmsetup.fish"
        complete -c dmstats -f -a '(__dmctl_complete)'
        function offer
            complete -C (commandline) | string replace -r '\\t.*' '' >$OFFERED
            echo . >$OFFERED
        end
        test -n "$INSERT"; or bind \\t offer
    """,
}
# What is called as dmctl and as dmsetup: it tells its arguments.
STUB = """#!/bin/sh
printf '%s\\n' "$@" . >"$OFFERED"
"""
ARGUMENTS = {
    "bash": ["--noprofile", "--norc", "-i"],
    "zsh": ["-f", "-i"],
    "fish": ["--no-config", "-i"],
}


class Shell:
    """One shell. insert: a TAB does what it does for people; without, it tells what it would offer."""

    def __init__(self, name: str, folder: Path, *, insert: bool = False):
        self.name = name
        offered = folder / "offered"
        os.mkfifo(offered)
        # Open for both, so that it has no end when a writer has gone.
        self._offered = os.open(offered, os.O_RDWR | os.O_CLOEXEC)
        for command in ("dmctl", "dmsetup", "dmstats"):
            stub = folder / command
            stub.write_text(STUB)
            stub.chmod(0o755)
        start = folder / "start"
        start.write_text(START[name])
        environment = {
            "PATH": f"{folder}:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": str(folder),
            "TERM": "dumb",
            "LC_ALL": "C.UTF-8",
            "COMPLETIONS": str(COMPLETIONS),
            "OFFERED": str(offered),
            "INSERT": "yes" if insert else "",
        }
        self.pid, self._terminal = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            os.execvpe(name, [name, *ARGUMENTS[name]], environment)
        fcntl.ioctl(self._terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 200, 0, 0))
        self.said = b""
        self.type(f"source {start}\n")
        self.type(f"echo . >{offered}\n")
        self._answer()

    def __enter__(self) -> "Shell":
        return self

    def __exit__(self, *_: object) -> None:
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self._terminal)
        os.close(self._offered)

    def type(self, text: str) -> None:
        os.write(self._terminal, text.encode())

    def offers(self, line: str) -> list[str]:
        """What a TAB at the end of a line offers."""
        self.type(line + "\t")
        answer = self._answer().decode()
        os.write(self._terminal, CLEAR_LINE)
        return sorted(set(answer.split("\n")[:-1]) - {""})

    def runs(self, line: str) -> list[str]:
        """The arguments of dmctl or dmsetup when a line, with TABs in it, is entered."""
        self.type(line + "\r")
        return self._answer().decode().split("\n")[:-1]

    def seconds(self, line: str) -> float:
        """How long the TAB takes, from the key to the last candidate."""
        self.type(line)
        begin = time.perf_counter()
        self.offers("")
        return time.perf_counter() - begin

    def _answer(self) -> bytes:
        poll = select.poll()
        poll.register(self._terminal, select.POLLIN)
        poll.register(self._offered, select.POLLIN)
        answer = b""
        while answer != b".\n" and not answer.endswith(b"\n.\n"):
            ready = poll.poll(LIMIT_MS)
            assert ready, f"{self.name} answered {answer!r} and said {self.said!r}"
            for file, _ in ready:
                if file == self._offered:
                    answer += os.read(file, 65536)
                else:
                    self.said += os.read(file, 65536)
        return answer.removesuffix(b".\n")
