# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a reviewer would otherwise have to look for: linters, layers, start-up imports, generated files, licences."""

import importlib
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

from dmctl.cli import completion, front, manual, manual_native
from dmctl.cli.main import NATIVE_COMMANDS
from dmctl.cli.native import GROUPS, NATIVE
from dmctl.cli.spec import COMMANDS, KEY_OF_SHORT, OPTIONS, SHORT_OPTIONS, Command
from layers import upward_imports

ROOT = Path(__file__).parents[1]
SCRIPT = Path(sys.prefix, "bin", "dmctl")
SITE_PACKAGES = sysconfig.get_path("platlib")
SBIN = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"))

# Each costs more than a dmsetup-compatible command may take in all.
HEAVY = {"argparse", "dataclasses", "enum", "inspect", "json", "logging", "pathlib", "pyudev", "re", "rich"}
HEAVY |= {"subprocess", "typer", "typing"}
MAX_LINES = 500
# The ways a source file may begin before its licence.
MAY_PRECEDE_SPDX = ("#!", "#compdef")
NO_SPDX = ("LICENSE", ".gitignore", "py.typed")


def test_ruff() -> None:
    _passes(sys.executable, "-m", "ruff", "check", "dmctl", "tests")


def test_ruff_format() -> None:
    _passes(sys.executable, "-m", "ruff", "format", "--diff", "dmctl", "tests")


def test_mypy() -> None:
    _passes(sys.executable, "-m", "mypy")


def test_stub_of_the_native_module() -> None:
    """The types that mypy believes in are those that the compiled module has."""
    from dmctl._libdm import lib

    stub = (ROOT / "dmctl/_libdm.pyi").read_text(encoding="utf-8")
    protocol = stub.partition("class _Lib(Protocol):")[2].partition("\nclass ")[0]
    assert set(re.findall(r"^    (?:def )?(\w+)[:(]", protocol, re.MULTILINE)) == set(dir(lib))


def test_shellcheck() -> None:
    files = [path for path in _sources() if path.suffix in (".sh", ".bash") or _is_shell_script(path)]
    assert {"run", "init.sh", "demo.sh", "dmctl.bash"} <= {path.name for path in files}
    _passes("shellcheck", *files)


def test_manual_lint() -> None:
    pages = sorted((ROOT / "man").glob("*.8"))
    lint = subprocess.run(["mandoc", "-T", "lint", *pages], capture_output=True, text=True, check=False)
    # Which other pages there are is a matter of the machine.
    findings = [line for line in lint.stdout.splitlines() if "referenced manual not found" not in line]
    assert not findings, "\n".join(findings)


def test_manual_is_up_to_date() -> None:
    assert manual.render() == {path.name: path.read_text() for path in (ROOT / "man").iterdir()}, "run: make man"


def test_completions_are_up_to_date() -> None:
    folder = ROOT / "completions"
    assert completion.render() == {path.name: path.read_text() for path in folder.iterdir()}, "run: make completions"


def test_imports_go_towards_the_kernel() -> None:
    assert not upward_imports(ROOT / "dmctl")


@pytest.mark.parametrize(
    ("file", "statement", "upward"),
    [
        ("units.py", "from dmctl import libdm", True),
        ("table.py", "import dmctl.cli.main", True),
        ("table.py", "from dmctl.targets.verity import Verity", True),
        ("table.py", "from .targets import verity", True),
        ("libdm/task.py", "def f():\n    from dmctl.device import Device", True),
        ("libdm/__init__.py", "from ..cli import main", True),
        ("libdm/__init__.py", "from . import task", False),
        ("control.py", "TYPE_CHECKING = False\nif TYPE_CHECKING:\n    from dmctl.device import Device", True),
        ("targets/linear.py", "__import__(f'dmctl.cli.{name}')", True),
        ("targets/linear.py", "import importlib\nimportlib.import_module('dmctl.cli')", True),
        ("targets/linear.py", "from dmctl.nowhere import x", True),
        ("nowhere.py", "import os", True),
        ("cli/app.py", "from dmctl import __version__, device, errors", False),
        ("targets/linear.py", "from dmctl.table import Line\nfrom dmctl.units import parse", False),
        ("units.py", "from dmctl.errors import UsageError\nimport os", False),
    ],
)
def test_layer_rule_is_able_to_fail(tmp_path: Path, file: str, statement: str, upward: bool) -> None:
    path = tmp_path / file
    path.parent.mkdir(exist_ok=True)
    path.write_text(statement + "\n")
    assert len(upward_imports(tmp_path)) == upward


# Nothing here changes a device, for the machine may have some. Each loads its command's modules before it can fail.
@pytest.mark.parametrize(
    "words",
    [
        *("version", "ls", "info", "deps", "status", "table", "targets", "help", "create", "remove", "load", "wait"),
        # Not an unknown command, which loads what it takes to tell what was probably meant.
        *("--version", "--nosuchoption", "info nosuchdevice", "table --target linear --showkeys"),
    ],
)
def test_compatible_command_loads_little(tmp_path: Path, words: str) -> None:
    assert not _heavy_modules(SCRIPT, words.split(), tmp_path)


@pytest.mark.kernel
def test_compatible_command_loads_little_where_it_succeeds(tmp_path: Path, prefix: str) -> None:
    name = prefix + "thin-imports"
    (tmp_path / "table").write_text("0 16 zero\n")
    lines = (
        f"create {name} --table 0\t8\tzero",
        *("ls", "ls -o blkdevname", "info", f"deps {name}", "status", "table -v", "targets", "target-version zero"),
        f"load {name} {tmp_path}/table",
        f"suspend {name}",
        f"table --inactive {name}",
        f"resume {name}",
        f"wipe_table {name}",
        f"rename {name} {name}2",
        f"mknodes {name}2",
        f"remove --retry {name}2",
    )
    for line in lines:
        assert not _heavy_modules(SCRIPT, line.split(" "), tmp_path, status=0), line


def test_import_guard_is_able_to_fail(tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("import os, json\nos._exit(0)\n")
    assert _heavy_modules(script, [], tmp_path, status=0) >= {"json"}


def test_source_files_name_their_licence() -> None:
    assert not [str(path) for path in _sources() if not _names_licence(path)]


def test_source_files_are_short() -> None:
    lengths = {
        path: path.read_bytes().count(b"\n") for path in _sources() if path.parent.name not in ("completions", "man")
    }
    assert not {str(path): lines for path, lines in lengths.items() if lines > MAX_LINES}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=lambda command: command.name)
def test_command_table_is_sound(command: Command) -> None:
    if command.handler:
        module, _, function = command.handler.partition(":")
        assert callable(getattr(importlib.import_module(f"dmctl.cli.compat.{module}"), function))
    known = [option.long for option in OPTIONS]
    options = command.options.split()
    assert set(options) <= set(known)
    assert len(set(options)) == len(options)
    assert command.minimum <= command.maximum or command.maximum == -1
    assert bool(command.usage) == (command.maximum != 0)
    assert command.summary.endswith(".")


def test_option_table_is_sound() -> None:
    assert len({option.long for option in OPTIONS}) == len(OPTIONS)
    # In dmsetup's string of short options a colon follows those with an argument.
    for option in OPTIONS:
        for letter in option.short:
            assert (f"{letter}:" in SHORT_OPTIONS) == bool(option.argument), letter
    assert set(KEY_OF_SHORT) == set(SHORT_OPTIONS.replace(":", ""))
    assert not set(NATIVE_COMMANDS) & set(COMMANDS)


def test_every_command_is_in_the_help_once() -> None:
    assert set(NATIVE) == set(NATIVE_COMMANDS)
    listed = [name for names in front.GROUPS.values() for name in names.split()]
    assert sorted(listed) == sorted([*COMMANDS, *NATIVE])
    assert max(map(len, front.render().splitlines())) < 80
    natives = [name for names in manual_native.PAGES.values() for name in names]
    assert {name.partition(" ")[0] for name in natives} | set(manual_native.IN_MAIN) == set(NATIVE)
    grouped = {f"{group} {name}" for group, commands in GROUPS.items() for name in commands}
    assert len(natives) == len(set(natives)) and grouped <= set(natives)


def test_sentences_are_our_own() -> None:
    """dmsetup is under the GPL, dmctl under the LGPL: none of its help or manual sentences is in ours."""
    dmsetup = shutil.which("dmsetup", path=SBIN)
    assert dmsetup
    theirs = _words(b"\n".join(re.findall(rb"[\t\n -~]{8,}", Path(dmsetup).read_bytes())).decode())
    if (page := Path("/usr/share/man/man8/dmsetup.8.gz")).exists():
        theirs += " " + _words(_text_of(page))
    ours = [option.help for option in OPTIONS] + [command.summary for command in COMMANDS.values()]
    for page in (ROOT / "man").glob("*.8"):
        ours += re.split(r"[.:;]\s", _text_of(page))
    # "uuid of the device" cannot be said in another way.
    copied = [text for text in map(_words, ours) if len(text.split()) > 5 and text in theirs]
    assert not copied


def _passes(*command: str | Path) -> None:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def _sources() -> Iterator[Path]:
    """All files that somebody writes or generates and commits, but prose and binaries."""
    yield from (ROOT / name for name in ("Makefile", "pyproject.toml"))
    for folder in (".ci", "completions", "dmctl", "man", "tests"):
        for path in sorted((ROOT / folder).rglob("*")):
            if not path.is_file() or path.suffix in (".md", ".pyc") or path.name in NO_SPDX:
                continue
            if path.relative_to(ROOT).parts[:2] != ("tests", "data"):
                yield path


def _is_shell_script(path: Path) -> bool:
    with path.open("rb") as file:
        return re.match(rb"#!.*\b(ba)?sh\b", file.readline()) is not None


def _names_licence(path: Path) -> bool:
    first, second = (*path.read_text().split("\n", 2), "", "")[:2]
    return "SPDX-License-Identifier: LGPL-2.1-or-later" in (second if first.startswith(MAY_PRECEDE_SPDX) else first)


# Runs a script to its os._exit() and writes down the modules that were loaded by then.
DRIVER = """
import os, sys
site, script, output, *sys.argv[1:] = sys.argv[1:]
sys.argv[0] = script
sys.path.append(site)
end = os._exit
def note(status):
    with open(output, "w") as file:
        file.write("\\n".join(sys.modules))
    end(status)
os._exit = note
with open(script) as file:
    exec(compile(file.read(), script, "exec"))
"""


def _heavy_modules(script: Path, words: list[str], folder: Path, status: int | None = None) -> set[str]:
    """The modules of HEAVY that a script loads. -S: what else is installed may load modules at each start (.pth)."""
    output = folder / "modules"
    words = [word.replace("\t", " ") for word in words]
    command = [sys.executable, "-I", "-S", "-c", DRIVER, SITE_PACKAGES, str(script), str(output), *words]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert status is None or done.returncode == status, done.stderr
    modules = output.read_text().split("\n")
    output.unlink()
    assert script != SCRIPT or "dmctl.cli.compat.run" in modules
    return {module.partition(".")[0] for module in modules} & HEAVY


def _text_of(page: Path) -> str:
    shown = subprocess.run(["mandoc", "-T", "ascii", page], capture_output=True, text=True, check=False)
    assert shown.stdout, shown.stderr
    return re.sub(".\b", "", shown.stdout)  # bold and underlined characters are overstruck


def _words(text: str) -> str:
    return " ".join(re.findall(r"[a-z0-9]+", text.lower()))
