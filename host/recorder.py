# SPDX-License-Identifier: Apache-2.0
"""Events into FCS files, so that whatever ends the program loses at most the last second, and every file opens.

Who adds events is never kept waiting by the disk: rows are made where events are added, files are written by a thread.
"""

import contextlib
import queue
import re
import threading
import time
from collections.abc import Sequence
from datetime import datetime
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

from icsort.errors import IcsortError
from icsort.formats.event_record import Group
from icsort.formats.fcs import BLOCK, VALUE_BYTES, VERSION, FcsWriter
from icsort.formats.recording import (
    BASE,
    EVENT,
    GATES,
    INTERVAL,
    NOWHERE,
    OUTCOME,
    UNKNOWN_INTERVAL,
    Layout,
    segment,
)
from icsort.host.link.protocol import Amendment, EventRecord, Message
from icsort.host.sorter import Losses
from icsort.sim.bit_true.scheduler import DIRECTIONS, SORTS, Outcome

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from icsort.formats.package import Manifest
    from icsort.host.sorter import Sorter

COMMIT_SECONDS: Final = 0.5
"""Between commits: what was added is on the disk within a second, if the disk takes no longer than the rest of it."""
BATCH: Final = 2048
"""Events that are made rows and given to the disk together."""
WAITING: Final = 64
"""Batches that may wait for the disk; a disk that is slower for longer keeps who adds waiting, in bounded memory."""
MAX_BYTES: Final = 2**32 - 2**20
MAX_EVENTS: Final = 10_000_000
"""A file that reaches either is followed by another one."""
CHANGING: Final = (
    *("$ETIM", "$LOST", "ICSORT GAPS", "ICSORT FRAMES LOST", "ICSORT BAD FRAMES", "ICSORT RESTARTS"),
    "ICSORT AMENDED",
)
"""Keywords that every commit tells anew: see docs/recording.md."""
_INTERVAL_MAX: Final = 2**31 - 1
_INTERVAL_AT, _GATES_AT = ([parameter.name for parameter in BASE].index(name) for name in (INTERVAL, GATES))


def layout_of(sorter: "Sorter", manifest: "Manifest", gates: Sequence[str] | None = None) -> Layout:
    """What a recording of this board has: the groups that its records have now, a column a gate that is in force.

    gates: their names, in the order of the records' bits; None for their numbers. Raises IcsortError for a board that
    sends no records, or has another number of gates.
    """
    groups = Group(sorter.read("RECORD_FIELDS"))
    if not sorter.has_features(manifest):
        groups &= ~Group.FEATURES
    if Group.BASE not in groups:
        raise IcsortError("the board sends no records (RECORD_FIELDS): let them be sent, `icsort watch --no-features`")
    in_force = sorter.gate().gates if sorter.status().gate_valid else 0
    if gates is not None and len(gates) != in_force:
        raise IcsortError(
            f"--gates: the file has {len(gates)} gates, the set in force {in_force}; give that one's file"
        )
    return Layout(manifest, sorter.read("CLOCK_HZ"), groups, tuple(gates or map(str, range(in_force))))


def identity_keywords(sorter: "Sorter") -> dict[str, str]:
    """Which build and which gate set a recording begins with."""
    board, gate = sorter.identify(), sorter.gate()
    return {
        "ICSORT BUILD ID": board.build_id,
        "ICSORT GATE SET": gate.identity,
        "ICSORT GATE SERIAL": str(gate.serial),
    }


class Recorder:
    """A recording that is under way; a context manager, which ends it whole.

    path: of the first file, NAME.fcs; those that follow are NAME-002.fcs and so on. keywords: besides those of the
    layout. losses: of the sorter that the events come from. force: replace an earlier recording there. first:
    number of the first file, where the recording goes on behind others, which stay as they are. Raises IcsortError
    where there is one and it is not forced, or something else is there; `add` and `close` where the disk takes no more.
    """

    def __init__(
        self,
        path: str | PathLike[str],
        layout: Layout,
        keywords: dict[str, str],
        losses: Losses,
        *,
        force: bool = False,
        first: int = 1,
        max_bytes: int = MAX_BYTES,
        max_events: int = MAX_EVENTS,
    ) -> None:
        self.path = Path(path)
        self.added = 0
        self.gaps = 0
        self._layout = layout
        self._losses = losses
        self._rows = EventRows(layout)
        self._pending: list[EventRecord] = []
        self._handed = time.monotonic()
        self._next: int | None = None
        if first == 1:
            _clear(self.path, force)
        elif segment(self.path, first).exists():
            raise IcsortError(f"{segment(self.path, first)}: exists already; give another name")
        most = max(1, max_bytes // (VALUE_BYTES * len(layout.parameters)))
        self._disk = _Disk(self.path, layout, keywords, min(max_events, most), first)
        self._disk.start_with(self._counts())

    @property
    def files(self) -> list[Path]:
        """So far."""
        return [writer.path for writer in self._disk.files]

    @property
    def amended(self) -> int:
        """Sorts that were decided and did not come: their rows have the outcome that they had instead."""
        return self._disk.amended

    def add(self, message: Message | None) -> None:
        """What `Sorter.events` gives: an event, or amendment of one; all else, and None, says that time passes."""
        if isinstance(message, EventRecord):
            if self._next is not None and message.event_id != self._next:
                self.gaps += 1
            self._next = (message.event_id + 1) % 2**32
            self._pending.append(message)
        now = time.monotonic()
        if len(self._pending) >= BATCH or isinstance(message, Amendment) or now - self._handed >= COMMIT_SECONDS / 2:
            self._hand(message if isinstance(message, Amendment) else None)
            self._handed = now

    def close(self) -> None:
        """All that was added is on the disk."""
        try:
            self._hand(None)
        finally:
            self._disk.end()
        self._disk.check()

    def __enter__(self) -> "Recorder":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
        else:
            with contextlib.suppress(IcsortError):  # what ended the block is what is told
                self.close()

    def _hand(self, amendment: Amendment | None) -> None:
        self._disk.check()
        rows = self._rows.of(self._pending) if self._pending else None
        self.added += len(self._pending)
        self._pending = []
        self._disk.put((rows, amendment, self._counts()))

    def _counts(self) -> dict[str, str]:
        losses = self._losses
        numbers = (losses.events, self.gaps, losses.frames, losses.bad_frames, losses.restarts, 0)
        counts = dict(zip(CHANGING[1:], map(str, numbers), strict=True))
        return counts | {"$ETIM": _clock(datetime.now())}


class EventRows:
    """Events as rows of a recording."""

    def __init__(self, layout: Layout) -> None:
        from icsort.sim.bit_true import features

        self._layout = layout
        self._scales = features.scales(len(layout.manifest.channels))
        self._us = 1e6 / layout.clock_hz
        self._before: tuple[int, int] | None = None  # id and time of the event before

    def of(self, events: Sequence[EventRecord]) -> "NDArray[Any]":
        """(E, P). Raises IcsortError for events of another model."""
        import numpy as np

        from icsort.sim.bit_true.gate import POSTERIOR_ONE, posteriors

        layout, manifest = self._layout, self._layout.manifest
        base = np.array(
            [
                (
                    *(e.time, e.event_id, e.tag, e.outcome, NOWHERE if e.direction is None else e.direction),
                    *(e.flags, e.length, 0, e.class_index, e.posterior / POSTERIOR_ONE, e.gates),
                )
                for e in events
            ],
            np.float64,
        )
        base[:, _INTERVAL_AT] = self._intervals(events)
        masks = base[:, _GATES_AT].astype(np.int64)[:, None]
        parts = [base, masks >> np.arange(len(layout.gates)) & 1]
        if Group.TIMING in layout.groups:
            parts.append(_table([e.timing and vars(e.timing).values() for e in events], 3)[:, [2, 0, 1]])
        if Group.LOGITS in layout.groups:
            logits = _table([e.logits for e in events], len(manifest.classes))
            if not manifest.values:
                constants = manifest.posterior
                alone = [1 << index for index in range(len(manifest.classes))]
                parts.append(posteriors(logits, alone, constants.multiplier, constants.shift) / POSTERIOR_ONE)
            parts.append(logits * np.asarray(manifest.unit_values))
        if Group.FEATURES in layout.groups:
            nothing = (0,) * len(self._scales)  # of an event without features: its flags say so
            parts.append(_table([e.features or nothing for e in events], len(self._scales)) * self._scales)
        return np.concatenate(parts, axis=1)

    def _intervals(self, events: Sequence[EventRecord]) -> list[float]:
        """us since the event before, as gates know it: not known where that one's record was lost."""
        found = []
        for event in events:
            if self._before is not None and (self._before[0] + 1) % 2**32 == event.event_id:
                found.append(min((event.time - self._before[1]) % 2**48, _INTERVAL_MAX) * self._us)
            elif event.event_id == 0:  # the first since the board's reset
                found.append(_INTERVAL_MAX * self._us)
            else:
                found.append(UNKNOWN_INTERVAL)
            self._before = event.event_id, event.time
        return found


class _Disk(threading.Thread):
    """Writes what is put, segment after segment, and commits each COMMIT_SECONDS."""

    def __init__(self, path: Path, layout: Layout, keywords: dict[str, str], most: int, first: int) -> None:
        super().__init__(daemon=True)
        self.files: list[FcsWriter] = []
        self.amended = 0
        self._path = path
        self._layout = layout
        self._keywords = keywords
        self._most = most
        self._first = first
        names = [parameter.name for parameter in layout.parameters]
        self._event, self._outcome = names.index(EVENT), names.index(OUTCOME)
        self._queue: queue.Queue[tuple[NDArray[Any] | None, Amendment | None, dict[str, str]] | None]
        self._queue = queue.Queue(WAITING)
        self._error: Exception | None = None
        self._counts: dict[str, str] = {}
        self._scheduled: dict[int, tuple[FcsWriter, int]] = {}  # the last sorts, which may still be amended

    def start_with(self, counts: dict[str, str]) -> None:
        """Make the first file. Raises IcsortError where it cannot be."""
        self._counts = counts
        try:
            self._follow()
        except OSError as error:
            raise IcsortError(f"{self._path}: cannot be written ({error.strerror}); give another file") from None
        self.start()

    def put(self, item: tuple["NDArray[Any] | None", Amendment | None, dict[str, str]]) -> None:
        self._queue.put(item)

    def end(self) -> None:
        """All that was put is written, or could not be."""
        self._queue.put(None)
        self.join()

    def check(self) -> None:
        """Raises IcsortError where the disk took no more."""
        if isinstance(self._error, OSError):
            kept = sum(writer.committed for writer in self.files)
            file = self.files[-1].path if self.files else self._path
            raise IcsortError(
                f"{file}: {self._error.strerror} after {kept} events, which are kept and can be read; free space or "
                "give a file on another disk, and record again. The sorter goes on as it was"
            )
        if self._error is not None:
            raise self._error

    def run(self) -> None:
        committed, left = time.monotonic(), False
        while True:
            item = self._queue.get()
            if self._error is not None:  # nothing more is written, but who puts is not kept waiting
                if item is None:
                    return
                continue
            try:
                if item is None:
                    self.files[-1].close(self._told())
                    return
                rows, amendment, self._counts = item
                if rows is not None:
                    self._write(rows)
                if amendment is not None:
                    self._amend(amendment)
                left = left or rows is not None or amendment is not None
                if left and time.monotonic() - committed >= COMMIT_SECONDS:
                    self.files[-1].commit(self._told())
                    committed, left = time.monotonic(), False
            except Exception as error:  # told by `check`: a thread that ended would keep who puts waiting
                self._error = error
                if item is None:
                    return

    def _told(self) -> dict[str, str]:
        return self._counts | {"ICSORT AMENDED": str(self.amended)}

    def _write(self, rows: "NDArray[Any]") -> None:
        while len(rows):
            file = self.files[-1]
            if file.events == self._most:
                file.close(self._told())
                file = self._follow()
            part, rows = rows[: self._most - file.events], rows[self._most - file.events :]
            for index in (part[:, self._outcome] == Outcome.SORTED).nonzero()[0]:
                self._scheduled[int(part[index, self._event]) % 2**24] = file, file.events + int(index)
            while len(self._scheduled) > SORTS * DIRECTIONS + DIRECTIONS:
                del self._scheduled[next(iter(self._scheduled))]
            file.write(part)

    def _amend(self, amendment: Amendment) -> None:
        place = self._scheduled.pop(amendment.event, None)
        if place is not None:  # else its record was lost, and counted so
            place[0].change(place[1], self._outcome, amendment.outcome)
            self.amended += 1

    def _follow(self) -> FcsWriter:
        number, begun = self._first + len(self.files), datetime.now()
        path = segment(self._path, number)
        keywords = self._layout.keywords() | self._keywords
        keywords |= {
            "$FIL": path.name,
            "$DATE": begun.strftime("%d-%b-%Y").upper(),
            "$BTIM": _clock(begun),
            "ICSORT SEGMENT": str(number),
        }
        self.files.append(FcsWriter(path, self._layout.parameters, keywords, CHANGING))
        self.files[-1].commit(self._told())
        return self.files[-1]


def _clear(path: Path, force: bool) -> None:
    """Make room for a recording. Raises IcsortError for what is there and may not be replaced."""
    numbered = re.compile(re.escape(path.stem) + r"-\d{3}" + re.escape(path.suffix))
    there = [path] if path.exists() or path.is_symlink() else []
    there += [file for file in path.parent.glob("*") if numbered.fullmatch(file.name)]
    for file in there:
        try:
            with file.open("rb") as stream:
                head = stream.read(BLOCK)
        except OSError:
            head = b""
        if not head.startswith(VERSION) or CHANGING[-1].encode() not in head:
            raise IcsortError(f"{file}: exists and is no recording of icsort; give another name")
        if not force:
            raise IcsortError(f"{file}: exists already; give another name, or replace the recording with --force")
    for file in there:
        file.unlink()


def _table(rows: Sequence[Any], width: int) -> "NDArray[Any]":
    """(E, width) integers. Raises IcsortError where an event has another number of them."""
    import numpy as np

    if any(row is None or len(row) != width for row in rows):
        raise IcsortError("a record has other values than the first ones: its fields were changed; record again")
    return np.array([tuple(row) for row in rows], np.int64).reshape(len(rows), width)


def _clock(moment: datetime) -> str:
    return f"{moment:%H:%M:%S}.{moment.microsecond // 10000:02d}"
