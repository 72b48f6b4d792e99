# SPDX-License-Identifier: Apache-2.0
"""How commands speak: results on standard output; progress, warnings and errors on standard error.

Nothing is read as Rich's markup or as an emoji's name: layers, classes and files have the names that users give them.
Rich itself is imported when it is first needed, so that `icsort --help` answers at once.
"""

import errno
import io
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from icsort.errors import IcsortError

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table

WIDE = 10_000  # columns of what is no terminal: a table is then as wide as it is
QUIET_SECONDS = 10.0  # steps that nobody can count are named this often where there is no terminal
TENTHS = 10

verbose = False  # `icsort -v`: every step is a line


class Progress(Protocol):
    """What long work calls. total 0: nobody knows how much there is to do. note: its speed, for example."""

    def __call__(self, step: str, done: int = 0, total: int = 0, note: str = "") -> None: ...


def stdout() -> "Console":
    """Rich's console on standard output, as wide as it takes where that is no terminal."""
    return _console(sys.stdout)


def _console(stream: TextIO) -> "Console":
    from rich.console import Console

    console = Console(file=stream, markup=False, emoji=False, highlight=False)
    if not console.is_terminal:
        console.width = WIDE
    return console


def table(*columns: str, title: str = "", text: Sequence[str] = (), lines: bool = True) -> "Table":
    """A table with these headings. text: the columns whose words stand left and may be folded; all others hold figures,
    which stand right. Without `text` that is the first column. lines: whether to draw them."""
    from rich import box
    from rich.table import Table

    style: dict[str, Any] = {} if lines else {"box": None, "padding": (0, 1, 0, 0)}
    drawn = Table(title=title or None, show_header=any(columns), **{"box": box.HEAVY_HEAD, **style})
    for column in columns:
        left = column in (text or columns[:1])
        drawn.add_column(column, justify="left" if left else "right", overflow="fold")
    return drawn


def show(*parts: "RenderableType", style: str | None = None) -> None:
    """Print tables and lines on standard output. A terminal that is too narrow breaks lines; no word and no figure of
    a table is cut."""
    from rich.table import Table

    output = stdout()
    for part in parts:
        for column in part.columns if isinstance(part, Table) else ():
            words = (word for cell in (column.header, *column.cells) for word in str(cell).split())
            column.min_width = max(map(len, words), default=0)
        output.print(part, style=style, crop=False, soft_wrap=isinstance(part, str))


def show_json(document: Any, *, lines: bool = True) -> None:
    """Print what `--json` asks for. lines: one an entry; else one for all, for who reads while the command goes on."""
    print(json.dumps(document, indent=1 if lines else None, allow_nan=False), flush=True)


def warn(text: str) -> None:
    """A line on standard error, for what the user should know and no exit code says."""
    print(f"icsort: warning: {text}", file=sys.stderr)


@contextmanager
def live() -> "Iterator[Callable[..., None]]":
    """Yields what replaces the picture on a terminal by these tables and lines."""
    from rich.console import Group
    from rich.live import Live

    with Live(console=stdout(), auto_refresh=False) as picture:
        yield lambda *parts: picture.update(Group(*parts), refresh=True)


@contextmanager
def progress(work: str, shown: bool = True) -> Iterator[Progress]:
    """Yields what shows how far `work` is, on standard error: a bar on a terminal; else, and with -v, lines.

    A line every tenth of what can be counted; steps that cannot be are named every ten seconds, with -v each of them.
    shown: whether it is shown at all; of several processes, the first shows it.
    """
    if not shown:
        yield _silent
        return
    if verbose or not sys.stderr.isatty():
        yield _Lines(work)
        return
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=30),
        TextColumn("{task.fields[count]}", markup=False),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=_console(sys.stderr), transient=True) as bar:
        task = bar.add_task(work, count="", total=None)

        def report(step: str, done: int = 0, total: int = 0, note: str = "") -> None:
            count = " ".join(part for part in (f"{done}/{total}" if total else "", note) if part)
            bar.update(task, description=f"{work}: {step}", completed=done, total=total or None, count=count)

        yield report


def _silent(step: str, done: int = 0, total: int = 0, note: str = "") -> None:
    del step, done, total, note


class _Lines:
    """Progress as lines."""

    def __init__(self, work: str) -> None:
        self._work = work
        self._began = self._shown = time.monotonic()
        self._step, self._tenths, self._done, self._total = "", 0, 0, 0

    def __call__(self, step: str, done: int = 0, total: int = 0, note: str = "") -> None:
        if total != self._total or done < self._done:
            self._tenths, self._total = 0, total
        self._done = done
        tenths = TENTHS * done // total if total else 0
        waited = time.monotonic() - self._shown >= QUIET_SECONDS
        if tenths > self._tenths:
            self._tenths = tenths
            self._line(step, f"{done} of {total}", note)
        elif not total and step != self._step and (verbose or waited):
            self._line(step, note)
        self._step = step

    def _line(self, step: str, *details: str) -> None:
        self._shown = time.monotonic()
        said = ", ".join([*filter(None, details), f"{self._shown - self._began:.0f} s"])
        print(f"{self._work}: {step}, {said}", file=sys.stderr, flush=True)


class _Output(io.TextIOWrapper):
    """Standard output that says in one line why it cannot be written. A closed pipe stays a BrokenPipeError."""

    def write(self, text: str) -> int:
        with self._explained():
            return super().write(text)

    def flush(self) -> None:
        with self._explained():
            super().flush()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except UnicodeEncodeError as error:
            problem = f"its encoding {error.encoding} has no {error.object[error.start : error.end]!r}"
            raise IcsortError(f"standard output cannot be written: {problem}; set PYTHONIOENCODING=utf-8") from None
        except OSError as error:
            if error.errno == errno.EPIPE:
                raise
            raise IcsortError(f"standard output cannot be written: {error.strerror}") from None


@contextmanager
def guarded_output() -> Iterator[None]:
    """Standard output whose faults are an IcsortError, up to the last line that is still in its buffer."""
    plain = sys.stdout
    if not isinstance(plain, io.TextIOWrapper):  # a test's, or none at all
        yield
        return
    guard = sys.stdout = _Output(plain.buffer, plain.encoding, plain.errors, line_buffering=plain.line_buffering)
    try:
        try:
            yield
        finally:
            guard.flush()
    except (IcsortError, BrokenPipeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), plain.fileno())  # or Python would try once more when it ends
        raise
    finally:
        guard.detach()
        sys.stdout = plain
