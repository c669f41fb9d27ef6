# SPDX-License-Identifier: LGPL-2.1-or-later
"""dmctl clone watch, status, throttle, pause, resume and trim."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, Any

import typer

from dmctl import names
from dmctl.cli import clone_options as options
from dmctl.cli import grid, native_options, signals, stream
from dmctl.cli.clone_options import OnError
from dmctl.clone import stall as stalls
from dmctl.clone import trimming
from dmctl.clone.hydration import DONE, ENDS, PAUSED, STALLED, STATES, Progress, Watch
from dmctl.clone.live import Live, clones, refuse_broken
from dmctl.clone.recipe import Recipe
from dmctl.clone.stall import Stall
from dmctl.errors import ExitStatus, UsageError
from dmctl.units import format_size


def watch(
    name: options.Name,
    *,
    wait: Annotated[bool, typer.Option("--wait", help="Show nothing; the exit status tells.")] = False,
    on_error: options.OnErrorOption = OnError.FAIL,
    max_stall: options.MaxStall = "30s",
    rate: options.Rate = None,
    as_json: native_options.AsJson = False,
) -> None:
    """Show how far a clone is until it has everything.

    On a terminal it is a bar, else a line at each percent and change of state, with --json an object each second. The
    exit status is 0 when everything is copied, 5 where something cannot be, and 1 where the metadata have failed.

    The kernel tries for ever what cannot be copied. Where nothing has been copied for the time of --max-stall though it
    tries, the copying is stopped, what can be copied by itself is, and the rest is printed as bytes of the source.
    """
    status = follow(name, on_error=on_error, max_stall=max_stall, rate=rate, quiet=wait, as_json=as_json)
    raise typer.Exit(status)


def follow(
    name: str,
    *,
    on_error: OnError,
    max_stall: str,
    rate: str | None,
    quiet: bool = False,
    as_json: bool = False,
    start: bool = False,
) -> int:
    """Watch a clone to its end; the exit status. start: the copying waits for this."""
    limit, bytes_a_second = options.seconds(max_stall, "--max-stall"), options.rate(rate)
    live = Live.find(name)
    known: Stall | None = None
    name, shown = live.name, _shown(live.name, quiet=quiet, as_json=as_json)
    with signals.Raised(), shown, Watch(live, rate=bytes_a_second) as watched:
        if start:
            live.hydrate(True)
        for progress in watched:
            if not shown.tell(progress):
                return ExitStatus.FAILED  # nobody reads it any more
            if progress.state in ENDS:
                break
            if progress.state != STALLED or progress.quiet_s < limit:
                continue
            found = stalls.isolate(live, seconds=limit)
            if found.ranges and found != known:
                shown.tell_stall(live, found)
            known = found
            if found.ranges and on_error == OnError.FAIL:
                _remember(live, paused=True)
                stream.error(
                    f"dmctl: {name}: copying in the background has stopped. When the cause is mended, "
                    f"dmctl clone resume {name} goes on."
                )
                return ExitStatus.BUSY
            if not found.ranges or on_error == OnError.RETRY:
                live.hydrate(True)
            else:
                _remember(live, paused=True)
            watched.forget()
    if progress.state != DONE:
        stream.error(f"dmctl: {name}: {STATES[progress.state]}")
    return ExitStatus.DONE if progress.state == DONE else ExitStatus.FAILED


# ---- how it is shown ----


class Shown:
    """Nothing is shown: --wait."""

    def __enter__(self) -> Shown:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def tell(self, progress: Progress) -> bool:
        """Whether anybody still reads it."""
        return True

    def tell_stall(self, live: Live, found: Stall) -> None:
        source = names.best_name(live.source)
        verb = "cannot be copied" if found.answered else "are not copied, and the last copies have not come back"
        for one in found.ranges:
            stream.write(f"{live.name}: {stalls.describe(one)} of {source} {verb}\n")
        stream.flush()


class _Lines(Shown):
    """A line where the percent or the state has changed."""

    def __init__(self, name: str):
        self._name = name
        self._before: tuple[int, str] | None = None

    def tell(self, progress: Progress) -> bool:
        seen = (_percent(progress), progress.state)
        if seen == self._before:
            return True
        self._before = seen
        stream.write(f"{datetime.now():%Y-%m-%d %H:%M:%S} {self._name}: {sentence(progress)}\n")
        return stream.flush() is None


class _Json(Shown):
    def __init__(self, name: str):
        self._name = name

    def tell(self, progress: Progress) -> bool:
        return self._write({"name": self._name, **progress.to_dict()})

    def tell_stall(self, live: Live, found: Stall) -> None:
        self._write({"name": live.name, "state": STALLED, **stall_facts(found)})

    def _write(self, facts: dict[str, object]) -> bool:
        stream.write(json.dumps({"time": datetime.now().astimezone().isoformat(), **facts}) + "\n")
        return stream.flush() is None


class _Bar(Shown):
    """A bar on a terminal."""

    def __init__(self, name: str):
        self._name = name

    def __enter__(self) -> Shown:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as Bar

        columns = (TextColumn("{task.description}"), BarColumn(bar_width=None), TextColumn("{task.fields[facts]}"))
        self._console = Console(highlight=False, markup=False)
        self._bar = Bar(*columns, console=self._console, expand=True, auto_refresh=False, transient=True)
        self._task = self._bar.add_task("", facts="")
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def tell(self, progress: Progress) -> bool:
        facts = f"{_percent(progress):3}%"
        if progress.state not in ENDS:
            facts += f" {_size(progress.left_bytes)} left"
        if progress.state not in (*ENDS, PAUSED):
            facts += f" {_size(int(progress.rate))}/s {duration(progress.eta_s)}"
            facts += f" {progress.status.hydrating_regions or 0} in flight"
        self._bar.update(
            self._task,
            description=f"{self._name} {progress.state}",
            total=max(1, progress.total_regions),
            completed=progress.hydrated_regions,
            facts=facts,
        )
        self._bar.start()
        self._bar.refresh()
        if progress.state in ENDS:
            self._bar.stop()
            stream.write(f"{self._name}: {sentence(progress)}\n")
            return stream.flush() is None
        return True

    def tell_stall(self, live: Live, found: Stall) -> None:
        self._bar.stop()
        super().tell_stall(live, found)


def _shown(name: str, *, quiet: bool, as_json: bool) -> Shown:
    """As the options and the output ask for."""
    if as_json:
        return _Json(name)
    if quiet:
        return Shown()
    return _Bar(name) if grid.is_terminal() else _Lines(name)


def sentence(progress: Progress) -> str:
    """How far it is, for people."""
    if not progress.total_regions:  # the kernel does not tell
        return progress.state
    text = f"{progress.state}, {_percent(progress)}%, {progress.hydrated_regions} of {progress.total_regions} regions"
    if progress.state not in (*ENDS, PAUSED):
        text += f", {_size(int(progress.rate))}/s"
        if progress.eta_s is not None:
            text += f", {duration(progress.eta_s)} left"
    return text


def duration(seconds: float | None) -> str:
    """As h:mm:ss; "-" where it is not known."""
    if seconds is None:
        return "-"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"


def stall_facts(found: Stall) -> dict[str, Any]:
    """For JSON."""
    ranges = [{"start_bytes": start, "end_bytes": end} for start, end in found.ranges]
    return {"source_ranges": ranges, "copies_came_back": found.answered}


def _percent(progress: Progress) -> int:
    return progress.hydrated_regions * 100 // progress.total_regions if progress.total_regions else 0


def _size(size_bytes: int) -> str:
    return format_size(size_bytes).removeprefix("~")


# ---- at one moment ----


def status(
    names_: Annotated[list[str] | None, typer.Argument(metavar="[CLONE...]", help="Clones; without any, all.")] = None,
    *,
    as_json: native_options.AsJson = False,
) -> None:
    """Show how far clones are."""
    found = [Live.find(name) for name in names_] if names_ else list(clones())
    rows = []
    for live in found:
        with Watch(live) as watched:
            rows.append((live, watched.look()))
    if as_json:
        listed = [_facts(*row) for row in rows]
        stream.write(native_options.as_json("clone status", {"clones": listed}))
        return
    headings = ("NAME", "STATE", "COPIED", "REGIONS", "IN FLIGHT", "SOURCE", "DEST", "METADATA")
    columns = [
        grid.Column(one, right=one in ("COPIED", "REGIONS", "IN FLIGHT"), cut=one == "SOURCE") for one in headings
    ]
    grid.write_rows(
        columns,
        [
            (
                live.name,
                progress.state,
                f"{_percent(progress)}%",
                f"{progress.hydrated_regions}/{progress.total_regions}",
                str(progress.status.hydrating_regions or 0),
                names.node(live.source),
                names.node(live.destination),
                f"{progress.status.metadata_used_blocks}/{progress.status.metadata_total_blocks}",
            )
            for live, progress in rows
        ],
    )


def _facts(live: Live, progress: Progress) -> dict[str, object]:
    of_a_time = ("bytes_per_second", "eta_seconds", "quiet_seconds")
    facts = {key: value for key, value in progress.to_dict().items() if key not in of_a_time}
    devices = {
        "source": names.node(live.source),
        "destination": names.node(live.destination),
        "metadata": names.node(live.metadata),
    }
    return {"name": live.name, "uuid": live.uuid, **devices, **facts}


# ---- what changes it ----


def throttle(
    name: options.Name,
    *,
    threshold: options.Threshold = None,
    batch: options.Batch = None,
    as_json: native_options.AsJson = False,
) -> None:
    """Set how many regions are copied at once, and how many neighbours as one. It is kept over an assemble.

    As many as the threshold are under way at the most; 0 stops the copying in the background. A rate in bytes is kept
    by clone watch --rate.
    """
    if threshold is None and batch is None:
        raise UsageError("throttle needs --threshold or --batch.")
    live = _writable(name)
    live.tune(threshold=threshold, batch=batch)
    changed = {"threshold_regions": threshold, "batch_regions": batch}
    _remember(live, **{key: value for key, value in changed.items() if value is not None})
    _tell(live, "clone throttle", as_json)


def pause(name: options.Name, *, as_json: native_options.AsJson = False) -> None:
    """Copy nothing in the background, also after an assemble, until clone resume.

    What is read comes from the source, and what is written goes to the destination, as before.
    """
    live = _writable(name)
    live.hydrate(False)
    _remember(live, paused=True)
    _tell(live, "clone pause", as_json)


def resume(name: options.Name, *, as_json: native_options.AsJson = False) -> None:
    """Copy in the background again."""
    live = _writable(name)
    if not live.status().hydration_threshold_regions:
        made = Recipe.find(live.name)
        live.tune(threshold=(made.threshold_regions if made else 0) or 1)
    live.hydrate(True)
    _remember(live, paused=False)
    _tell(live, "clone resume", as_json)


def trim(name: options.Name, *, as_json: native_options.AsJson = False) -> None:
    """Let the file system on a clone discard what it does not use, so that it is not copied.

    The clone must be mounted. Nothing is copied in the background meanwhile.
    """
    with signals.Raised():
        done = trimming.trim(Live.find(name))
    if as_json:
        facts = {"name": name, "mount": done.mount, "spared_bytes": done.spared_bytes}
        stream.write(native_options.as_json("clone trim", facts))
    else:
        stream.write(f"{name}: {format_size(done.spared_bytes)} less to copy, by the file system on {done.mount}\n")


def _writable(name: str) -> Live:
    live = Live.find(name)
    refuse_broken(live.name, live.status())
    return live


def _remember(live: Live, **changed: object) -> None:
    """For an assemble. A clone that dmctl has not made has nothing to remember it by."""
    Recipe.change(live.name, live.uuid, **changed)


def _tell(live: Live, command: str, as_json: bool) -> None:
    if as_json:
        with Watch(live) as watched:
            stream.write(native_options.as_json(command, _facts(live, watched.look())))
