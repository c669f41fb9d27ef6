# SPDX-License-Identifier: LGPL-2.1-or-later
"""The completions in bash, zsh and fish, each on a terminal, at TABs that need no device."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from dmctl.cli.native import NATIVE
from dmctl.cli.spec import COMMANDS, STATS_COMMANDS
from dmctl.targets import TARGETS
from shells import COMPLETIONS, SHELLS, Shell

Shells = Callable[..., Shell]
FISH_LIST = re.compile(r"(?:--\w+=)?(?:.*,)?[+-]?")


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shells]:
    """shell(name, insert=False): a shell, started once."""
    with ExitStack() as stack:
        started: dict[tuple[str, bool], Shell] = {}

        def start(name: str, insert: bool = False) -> Shell:
            if (name, insert) not in started:
                shell = Shell(name, tmp_path_factory.mktemp(name), insert=insert)
                started[name, insert] = stack.enter_context(shell)
            return started[name, insert]

        yield start


def offered(shell: Shell, line: str) -> set[str]:
    """The words that are offered. Bash and fish have those of a list with what stands before them, zsh has not."""
    word = line.rpartition(" ")[2]
    words = shell.offers(line)
    if not word.startswith("-") or "=" in word:
        words = [word[match.end() :] if (match := FISH_LIST.match(word)) else word for word in words]
    return set(words)


@pytest.mark.parametrize("name", SHELLS)
@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("dmctl re", "remove remove_all resume reload rename"),
        ("dmctl -v target", "target-version targets"),
        ("dmctl sh", "show"),
        ("dmsetup sh", ""),
        ("dmsetup -v in", "info"),
        ("dmctl create --no", "--noopencount --notable --noudevrules --noudevsync"),
        ("dmctl --json ls --j", "--json"),
        ("dmctl remove --j", ""),
        ("dmsetup info --js", ""),
        ("dmsetup info --head", ""),
        ("dmctl info --head", "--headings"),
        ("dmctl stats create --area", "--area --areas --areasize"),
        ("dmctl build --the", "--then"),
        ("dmctl ls --target thin", "thin thin-pool"),
        ("dmctl ls --target=thin", "thin thin-pool"),
        ("dmctl build snapshot-", "snapshot-merge snapshot-origin"),
        ("dmctl build linear /dev/nowhere --then z", "zero zoned"),
        ("dmctl target-version zero li", "linear"),
        ("dmsetup table --target li", "linear"),
        ("dmctl info -c -o ma", "mangled_name mangled_uuid major"),
        ("dmctl info -c -o name,ma", "mangled_name mangled_uuid major"),
        ("dmctl info -c -o +ma", "mangled_name mangled_uuid major"),
        ("dmctl info -c --options=name,ma", "mangled_name mangled_uuid major"),
        ("dmctl info -c --sort name,-ma", "mangled_name mangled_uuid major"),
        ("dmctl info -c -S ma", "mangled_name mangled_uuid major"),
        ("dmsetup info -c -O ma", "mangled_name mangled_uuid major"),
        ("dmctl show -o name,used", "used_by"),
        ("dmctl show -O delay.d", "delay.device delay.delay_ms"),
        ("dmctl stats report -o region_", "region_id region_start region_len"),
        ("dmctl splitname -o vg", "vg_name"),
        ("dmctl ver", "verity veritysetup version"),
        ("dmsetup ver", "version"),
        ("dmctl verity ver", "verify verify-signature"),
        ("dmctl verity format --no", "--no-superblock"),
        ("dmctl verity repair --dry", "--dry-run"),
        ("dmctl thin sn", "snapshot"),
        ("dmctl thin p", "pool"),
        ("dmctl thin pool re", "resize reconcile recover"),
        ("dmctl thin pool create --meta", "--metadata"),
        ("dmctl thin blob ", "get set"),
        ("dmctl thin blob set --blob-", "--blob-file"),
        ("dmctl thin create --act", "--activate"),
        ("dmctl stats re", "report"),
        ("dmctl top --sort l", "latency"),
        ("dmctl top -O re", "reads"),
        ("dmctl info -c --headings a", "abbrev"),
        ("dmctl ls -o b", "blkdevname"),
        ("dmctl ls --tree -o device,in", "inverted"),
        ("dmctl deps -o devn", "devno devname"),
        ("dmctl status --select ma", "mangled_name mangled_uuid major"),
        ("dmsetup remove -S ma", "mangled_name mangled_uuid major"),
        ("dmctl create new --readahead ", "auto none"),
        ("dmctl mangle --manglename=h", "hex"),
        ("dmctl stats create --follow ", "inode path"),
        ("dmstats re", "report"),
        ("dmstats report -o region_", "region_id region_start region_len"),
        ("dmstats create --area", "--area --areas --areasize"),
        ("dmstats --j", ""),
        ("dmstats show", ""),
        ("dmctl info --uuid ", ""),
        ("dmctl create new --table ", ""),
    ],
)  # fmt: skip
def test_offers(shell: Shells, name: str, line: str, expected: str) -> None:
    assert offered(shell(name), line) == set(expected.split())


@pytest.mark.parametrize("name", SHELLS)
def test_offers_all(shell: Shells, name: str) -> None:
    """What is offered where nothing is typed: the tables that the files are made from, and not a word more."""
    assert offered(shell(name), "dmctl ") == {*COMMANDS, *NATIVE}
    assert offered(shell(name), "dmsetup ") == {*COMMANDS}
    assert offered(shell(name), "dmctl build ") == {*TARGETS}
    assert offered(shell(name), "dmctl stats ") == {*STATS_COMMANDS}


@pytest.mark.parametrize("name", SHELLS)
@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("dmctl spl\t", ["splitname"]),
        ("dmctl info -c -o name,unmangled_n\t", ["info", "-c", "-o", "name,unmangled_name"]),
        ("dmctl info --options=name,unmangled_n\t", ["info", "--options=name,unmangled_name"]),
        ("dmctl ls --target=lin\t", ["ls", "--target=linear"]),
        ("dmsetup table --showk\t--target lin\t", ["table", "--showkeys", "--target", "linear"]),
    ],
)
def test_tab_inserts(shell: Shells, name: str, line: str, expected: list[str]) -> None:
    assert shell(name, insert=True).runs(line) == expected


@pytest.mark.parametrize("name", SHELLS)
def test_a_completion_of_dmsetup_is_left_alone(tmp_path: Path, name: str) -> None:
    others = {
        "bash": 'complete -F other dmsetup; source "$1/dmctl.bash"; complete -p dmsetup',
        "zsh": "fpath=($1 $PWD $fpath); autoload -Uz compinit; compinit -D -u; service=dmsetup; _dmctl",
        "fish": 'set fish_complete_path $PWD; source "$argv[1]/dmsetup.fish"; complete -C "dmsetup "',
    }
    (tmp_path / "_dmsetup").write_text("#compdef dmsetup\necho complete -F other dmsetup\n")
    (tmp_path / "dmsetup.fish").write_text("complete -c dmsetup -fa 'complete\\ -F\\ other\\ dmsetup'\n")
    program = shutil.which(name)
    assert program
    first = {"bash": ["--norc"], "zsh": ["-f"], "fish": ["--no-config"]}[name]
    rest = [COMPLETIONS] if name == "fish" else [name, COMPLETIONS]
    done = subprocess.run(
        [program, *first, "-c", others[name], *rest],
        cwd=tmp_path,
        env=os.environ | {"HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("complete -F other dmsetup\n", "")


# As bash-completion's loader: the first file of the command's name.
LOAD = """
load() {
    local folder IFS=:
    for folder in $XDG_DATA_DIRS; do
        [[ -r $folder/bash-completion/completions/$1 ]] || continue
        source "$folder/bash-completion/completions/$1"
        return
    done
}
load "$1"
complete -p "$1"
COMP_WORDS=("$1" "$2") COMP_CWORD=1
! declare -F _dmctl >/dev/null || { _dmctl "$1"; printf '%s\\n' "${COMPREPLY[@]}"; }
"""


def installed(stubs: Path, name: str, command: str, typed: str, *folders: Path) -> list[str]:
    """What a fresh shell offers that has the installed files only, and before and after them those of folders."""
    share = Path(sys.prefix) / "share"
    (stubs / command).touch(0o755)  # fish looks for no completion of a command that there is not
    first, last = folders or (share, share)
    environment = {
        "PATH": f"{stubs}:/usr/bin:/bin",
        "HOME": str(stubs),  # fish makes folders there
        "LC_ALL": "C.UTF-8",
        "XDG_DATA_DIRS": f"{first}:{share}:{last}:/usr/share",
    }
    calls = {
        "bash": ["bash", "--norc", "-c", LOAD, "bash", command, typed],
        "zsh": [
            *("zsh", "-f", "-c"),
            "fpath=($1/zsh/site-functions $fpath); autoload -Uz compinit; compinit -D -u; print $_comps[$2]",
            *("zsh", str(share), command),
        ],
        "fish": ["fish", "-c", f'complete -C "{command} {typed}" | string replace -r "\\t.*" ""; true'],
    }
    done = subprocess.run(calls[name], env=environment, capture_output=True, text=True, check=True)
    assert not done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    ("command", "typed", "expected"),
    [("dmctl", "spl", "splitname"), ("dmsetup", "spl", "splitname"), ("dmstats", "rep", "report")],
)
def test_installed(tmp_path: Path, command: str, typed: str, expected: str) -> None:
    assert installed(tmp_path, "bash", command, typed) == [f"complete -o default -F _dmctl {command}", expected]
    assert installed(tmp_path, "zsh", command, typed) == ["_dmctl"]
    assert installed(tmp_path, "fish", command, typed) == [expected]


@pytest.mark.parametrize("command", ["dmsetup", "dmstats"])
@pytest.mark.parametrize("place", [0, 1])
def test_installed_beside_those_of_others(tmp_path: Path, command: str, place: int) -> None:
    """Another one's completion is loaded, whether its folder comes before ours or after it."""
    bash, fish = tmp_path / "bash-completion/completions", tmp_path / "fish/vendor_completions.d"
    bash.mkdir(parents=True)
    fish.mkdir(parents=True)
    (bash / command).write_text(f"complete -F other {command}\n")
    (fish / f"{command}.fish").write_text(f"complete -c {command} -fa others\n")
    folders = [tmp_path / "none", tmp_path / "none"]
    folders[place] = tmp_path
    assert installed(tmp_path, "fish", command, "o", *folders) == ["others"]
    assert installed(tmp_path, "bash", command, "o", *folders) == [f"complete -F other {command}"]
