# SPDX-License-Identifier: LGPL-2.1-or-later
"""dmctl's native commands, and for help and completion all of dmsetup's beside them."""

import functools
import gc
import importlib
import itertools
from collections.abc import Callable
from typing import Any

import typer
from typer.core import TyperCommand

from dmctl import __version__
from dmctl.cli import signals, stream
from dmctl.cli.coercion import undo_locale_coercion
from dmctl.cli.native import NATIVE
from dmctl.cli.spec import COMMANDS, Command
from dmctl.errors import DmctlError, ExitStatus, UsageError

app = typer.Typer(
    name="dmctl",
    help="Device-mapper: dmsetup's commands, and what dmsetup does not have.",
    epilog="dmctl COMMAND --help explains a command. Options of dmsetup's commands may also stand before the command.",
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"dmctl {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    dmctl_version: bool = typer.Option(
        False, "--dmctl-version", help="Print dmctl's own version.", callback=_print_version, is_eager=True
    ),
) -> None:
    pass


class _AsItStands(TyperCommand):
    """A command whose words go on as they stand, "--" and all."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        ctx.args = list(args)
        return []


def _register(command: Command) -> None:
    """Let typer know a dmsetup command; it is carried out by the compatible path, words untouched."""

    def carry_out(context: typer.Context) -> None:
        from dmctl.cli.main import main

        raise typer.Exit(main(["dmctl", command.name, *context.args]))

    app.command(
        command.name,
        cls=_AsItStands,
        help=command.summary,
        add_help_option=False,
        context_settings={"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []},
    )(carry_out)


def register_compatible() -> None:
    """Let typer know all of dmsetup's commands. No command line needs that: main() does not bring them here."""
    for command in COMMANDS.values():
        _register(command)


def _register_native(name: str, summary: str, command: Callable[[list[str]], int]) -> None:
    """A native command that reads its words itself."""

    def carry_out(context: typer.Context) -> None:
        status = ExitStatus.DONE
        try:
            status = command(context.args)
        except (DmctlError, KeyboardInterrupt, signals.Terminated) as ending:
            raise _Ended(ending) from None
        raise typer.Exit(status)

    app.command(name, cls=_AsItStands, help=summary, add_help_option=False)(carry_out)


def _native(command: Callable[..., None]) -> Callable[..., None]:
    """A native command whose errors and interrupts reach main() instead of typer's own texts and exit statuses."""

    @functools.wraps(command)
    def carry_out(*arguments: object, **options: object) -> None:
        try:
            command(*arguments, **options)
        except (DmctlError, KeyboardInterrupt, signals.Terminated) as ending:
            raise _Ended(ending) from None

    return carry_out


class _Ended(BaseException):
    """Carries an ending past typer, which would turn it into a text and an exit status of its own."""


def _load(place: str) -> Any:
    module, _, name = place.partition(":")
    return getattr(importlib.import_module(f"dmctl.cli.{module}"), name)


def _joined(name: str, words: list[str]) -> list[str]:
    """A command line of a group with the command as one word, also where its name is of two."""
    commands = _load(NATIVE[name][0]) if NATIVE[name][0].startswith("native:") else None
    if commands is None:
        return words
    pair = " ".join(itertools.takewhile(lambda word: not word.startswith("-"), words[1:3]))
    if pair in commands and " " in pair:
        return [name, pair, *words[3:]]
    wanted = next((word for word in words[1:] if not word.startswith("-")), "")
    if wanted and wanted not in commands:
        raise UsageError(_unknown(name, wanted, pair, list(commands)))
    return words


def _unknown(name: str, wanted: str, pair: str, commands: list[str]) -> str:
    """What to say of a command that the group has not, with what was probably meant."""
    import difflib

    behind = [command.partition(" ")[2] for command in commands if command.startswith(f"{wanted} ")]
    if behind and pair == wanted:
        return f"{name} {wanted} needs one of {', '.join(behind)} behind it."
    near = difflib.get_close_matches(pair if behind else wanted, commands, 3, 0.6)
    hint = f"Did you mean {' or '.join(near)}? " if near else ""
    return f"There is no command {name} {pair if behind else wanted}. {hint}dmctl {name} --help lists its commands."


def _group(commands: dict[str, tuple[str, str]], wanted: str | None) -> typer.Typer:
    """Commands behind one word. Only the wanted one is imported, or all; of the others the help tells."""
    group = typer.Typer(no_args_is_help=True, rich_markup_mode=None, add_completion=False)
    for name, (place, summary) in commands.items():
        command = _load(place) if wanted in (name, None) else lambda: None
        group.command(name, short_help=summary)(_native(command))
    return group


def register(name: str, wanted: str | None = None) -> None:
    """Let typer know a native command, which is imported for that; of a group, the wanted command or all."""
    place, summary, raw = NATIVE[name]
    command = _load(place)
    if raw:
        _register_native(name, summary, command)
    elif isinstance(command, dict):
        app.add_typer(_group(command, wanted), name=name, help=summary)
    else:
        app.command(name, short_help=summary)(_native(command))


def run(words: list[str]) -> int:
    """Run a native command line and return its exit status. What a command raises comes out as it is."""
    undo_locale_coercion()
    if not words or words[0] == "--help":
        from dmctl.cli.front import render

        stream.write(render())
        return ExitStatus.DONE if words else ExitStatus.USAGE
    if words[0] == "targets":  # in the place of dmsetup's
        from dmctl.cli.available import available

        app.command("targets")(_native(available))
    elif words[0] in NATIVE:
        words = _joined(words[0], words)
        register(words[0], next((word for word in words[1:] if not word.startswith("-")), ""))
    gc.freeze()  # what is imported is no garbage
    gc.enable()  # see enter()
    try:
        app(args=words, prog_name="dmctl")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else ExitStatus.FAILED if end.code else ExitStatus.DONE
    except _Ended as ended:
        raise ended.args[0] from None
    return ExitStatus.DONE
