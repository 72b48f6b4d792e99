# SPDX-License-Identifier: Apache-2.0
"""What happened in a job, entry by entry, each on the disk before the work goes on: from it a job that was cut short
goes on, and its report is made.

A file of JSON lines that only grows. A line that a crash cut short is passed over where the next entry says that the
job was taken up again, or where it is the last.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Annotated, Final, Literal

from pydantic import Field, TypeAdapter, ValidationError

from icsort.errors import IcsortError
from icsort.formats.document import Strict
from icsort.formats.gate_set import GateSet
from icsort.formats.instrument import Instrument
from icsort.formats.job import Job, LoadedJob, Stop

JOURNAL_FILE: Final = "journal.jsonl"
FORMAT: Final = "icsort-journal"
VERSION: Final = 1
_COUNTER_WRAP: Final = 2**32
_MAY_CHANGE: Final = ("stop", "instrument", "folder", "heartbeat_s")


class Begun(Strict):
    """The first entry. time: of the computer, ISO 8601. identity: of what may not change while the job is under way."""

    entry: Literal["begun"] = "begun"
    format: Literal["icsort-journal"] = FORMAT
    version: Annotated[int, Field(ge=VERSION, le=VERSION)] = VERSION
    time: str
    icsort: str
    job: Job
    gates: GateSet
    model_id: str
    model: str
    classes: tuple[str, ...]
    identity: str


class Serials(Strict):
    """How often the board took a gate set, a trigger's settings, a schedule since its reset."""

    gate: int
    front: int
    schedule: int


class Run(Strict):
    """The board is about to be armed. counters: before that; board_time: of then, cycles since its reset. serials: of
    then, before this run's trigger and schedule. recording: the first file of this run."""

    entry: Literal["run"] = "run"
    time: str
    run: int
    build_id: str
    clock_hz: int
    gate_set: str
    instrument: Instrument
    stop: Stop
    serials: Serials
    board_time: int
    counters: dict[str, int]
    recording: str | None


class Armed(Strict):
    """It was armed. serials: of then; each other arming puts another schedule in force."""

    entry: Literal["armed"] = "armed"
    time: str
    run: int
    serials: Serials


class Progress(Strict):
    """seconds: that this run has been armed."""

    entry: Literal["progress"] = "progress"
    time: str
    run: int
    seconds: float
    board_time: int
    counters: dict[str, int]


class Ended(Strict):
    """The end of a run. done: a rule of the job ended it. exact: the counters are the board's own of behind its end;
    else those that were known last, and what it did later is not in them. unasked: because the board did not answer,
    which may still tell; then a second entry says what it told. lost: records of this run that did not reach the host.
    """

    entry: Literal["ended"] = "ended"
    time: str
    run: int
    seconds: float
    board_time: int
    counters: dict[str, int]
    why: str
    done: bool
    exact: bool
    unasked: bool = False
    lost: int = 0


AnyEntry = Begun | Run | Armed | Progress | Ended
_ENTRIES: Final[TypeAdapter[AnyEntry]] = TypeAdapter(Annotated[AnyEntry, Field(discriminator="entry")])


@dataclass
class RunState:
    """A run by its entries. armed: None where it is not known that it was. last: the newest of what happened; None
    where nothing did yet. course: all of it, as it stands in the journal."""

    begun: Run
    armed: Armed | None = None
    last: Progress | Ended | None = None
    course: list[Progress | Ended] = field(default_factory=list)

    @property
    def ended(self) -> Ended | None:
        return self.last if isinstance(self.last, Ended) else None

    @property
    def open(self) -> bool:
        """Whether the board may still tell how it ended."""
        return self.ended is None or self.ended.unasked

    @property
    def seconds(self) -> float:
        return self.last.seconds if self.last else 0.0

    @property
    def counts(self) -> dict[str, int]:
        """By how much each counter moved."""
        return moved(self.begun.counters, self.last.counters) if self.last else dict.fromkeys(self.begun.counters, 0)


@dataclass
class JobState:
    """A job by its journal."""

    begun: Begun
    runs: list[RunState] = field(default_factory=list)

    @property
    def counts(self) -> dict[str, int]:
        """Of all runs together."""
        total: dict[str, int] = {}
        for run in self.runs:
            for name, count in run.counts.items():
                total[name] = total.get(name, 0) + count
        return total

    @property
    def seconds(self) -> float:
        return sum(run.seconds for run in self.runs)

    @property
    def sorted(self) -> dict[int, int]:
        """By output."""
        return sorts(self.counts)

    @property
    def exact(self) -> bool:
        """Whether nothing may have been sorted beyond the counts."""
        return all(run.ended is not None and run.ended.exact for run in self.runs)


def moved(before: Mapping[str, int], after: Mapping[str, int]) -> dict[str, int]:
    """By how much counters moved, which wrap at 2^32."""
    return {name: (after[name] - before[name]) % _COUNTER_WRAP for name in before if name in after}


def events(counts: Mapping[str, int]) -> int:
    """Events of a job, of counts by the counters' names: without those that came while the sorter was not armed."""
    return counts.get("ACCEPTED", 0) - counts.get("DISARMED", 0)


def sorts(counts: Mapping[str, int]) -> dict[int, int]:
    """Sorts of each output, of counts by the counters' names."""
    return {output: counts.get(f"SORTED_{output}", 0) for output in range(6)}


def identity_of(loaded: LoadedJob, model_id: str) -> str:
    """Of what a job sorts: 16 hex digits over job, gate set and model. When it stops, the instrument and the heartbeat
    may change."""
    job = {key: value for key, value in loaded.job.to_json().items() if key not in _MAY_CHANGE}
    whole = {"job": job, "gates": loaded.gates.to_json(), "model_id": model_id}
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()[:16]


def read_journal(folder: Path) -> JobState:
    """The job whose folder this is. Raises IcsortError where there is none, or its journal is damaged."""
    path = folder / JOURNAL_FILE
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise IcsortError(
            f"{path}: cannot be read ({error.strerror}); give the folder that `icsort sort` made for a job"
        ) from None
    state: JobState | None = None
    torn = 0
    for number, line in enumerate(lines, 1):
        if not line:
            continue
        try:
            entry = _ENTRIES.validate_json(line)
        except ValidationError:
            if state is None:
                raise IcsortError(f"{path}: is no journal of a job of this icsort; begin the job anew") from None
            torn = torn or number
            continue
        if isinstance(entry, Begun):
            state = JobState(entry)
        elif state is None:
            raise IcsortError(f"{path}: does not say how the job began; begin the job anew, in another folder")
        elif isinstance(entry, Run):
            torn = 0
            state.runs.append(RunState(entry))
        else:
            # Behind a line that was cut short nothing is written but what ends its run, and the next one.
            if torn and not isinstance(entry, Ended):
                break
            torn = 0
            run = state.runs[-1] if state.runs else None
            again = isinstance(entry, Ended) and run is not None and run.open
            if run is None or run.begun.run != entry.run or (run.ended and not again):
                raise IcsortError(f"{path}: line {number} is of a run that is not under way; begin the job anew")
            if isinstance(entry, Armed):
                run.armed = entry
                continue
            if run.ended:
                run.course.pop()  # the board has told more since
            run.last = entry
            run.course.append(entry)
    if state is None:
        raise IcsortError(f"{path}: is empty; remove its folder, and begin the job anew")
    if torn and any(lines[torn:]):
        raise IcsortError(f"{path}: line {torn} is damaged; begin the job anew, in another folder")
    return state


class JournalWriter:
    """Appends entries; a context manager. Raises IcsortError where another program does so, or the disk takes no
    more."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / JOURNAL_FILE
        try:
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
            _lock(self._file)
            size = os.lseek(self._file, 0, os.SEEK_END)
            if size:
                os.lseek(self._file, size - 1, os.SEEK_SET)
                if os.read(self._file, 1) != b"\n":  # what a crash cut short
                    os.write(self._file, b"\n")
        except BlockingIOError:
            raise IcsortError(f"{self._path}: another program runs this job; end that one first") from None
        except OSError as error:
            raise IcsortError(f"{self._path}: cannot be written ({error.strerror}); name another folder") from None

    def add(self, entry: AnyEntry) -> None:
        """It is on the disk when this returns."""
        line = entry.model_dump_json().encode() + b"\n"
        try:
            written = os.write(self._file, line)
            if written < len(line):
                raise OSError(28, "No space left on device")
            os.fsync(self._file)
        except OSError as error:
            raise IcsortError(
                f"{self._path}: {error.strerror}; a job does not sort what it cannot write down; free space first"
            ) from None

    def close(self) -> None:
        os.close(self._file)

    def __enter__(self) -> "JournalWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _lock(file: int) -> None:
    """Raises BlockingIOError where another program has it."""
    try:
        import fcntl
    except ImportError:  # Windows
        return
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
