# SPDX-License-Identifier: Apache-2.0
"""A job under way: gates set, board armed, counts followed and written down, until a rule of the job ends it.

The board's own counters are what counts: how many were sorted is known to the cell, also behind a crash of this
program, where nobody reset or armed the board since.
"""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from icsort.errors import IcsortError
from icsort.host.link.protocol import EventRecord, Message, Statistics

if TYPE_CHECKING:
    from icsort.formats.compile_gate import Compiled
    from icsort.formats.job import LoadedJob
    from icsort.formats.journal import Ended, JobState, JournalWriter, Run, RunState, Serials
    from icsort.formats.package import Manifest
    from icsort.host.sorter import Sorter
    from icsort.sim.bit_true.scheduler import Settings

STATISTICS_SECONDS: Final = 0.5
"""Of the board's clock, between the frames with its counters, which are written down each time."""
SILENT_SECONDS: Final = 1.0
"""Without such a frame, after which the counters are asked for."""
DRAIN_SECONDS: Final = 0.3
"""Without an event behind the end, after which none is waited for."""
LONGEST_DRAIN: Final = 1.0
"""Where cells flow on."""
RECORDING: Final = "events.fcs"
IMAGES: Final = "images"
"""Folder of images; that of a run that records to events-002.fcs is images-002."""


@dataclass(frozen=True)
class Checked:
    """A job that may be begun: all that can be known without the board goes together. settings: its schedule at the
    clock that was looked at. state: of earlier runs; None of a job that is new."""

    loaded: "LoadedJob"
    manifest: "Manifest"
    compiled: "Compiled"
    settings: "Settings"
    state: "JobState | None"

    @property
    def sorted_before(self) -> dict[int, int]:
        return self.state.sorted if self.state else {}


def check(loaded: "LoadedJob", manifest: "Manifest", features: bool, clock_hz: int, resume: bool) -> Checked:
    """All that can be wrong before a board is asked. features: whether the build has them. Raises IcsortError."""
    from icsort.formats.compile_gate import board_values, compile_gate
    from icsort.formats.journal import identity_of, read_journal
    from icsort.formats.schedule import cycles

    folder = loaded.folder
    compiled = compile_gate(loaded.gates, board_values(manifest, clock_hz, features))
    if loaded.job.record.features and not features:
        raise IcsortError(f"{loaded.path}: record.features: the build has none; leave it out")
    try:
        loaded.instrument.front(manifest)
    except IcsortError as error:
        raise IcsortError(f"{loaded.path.parent / loaded.job.instrument}: {error}") from None
    cycles("heartbeat", loaded.job.heartbeat_s * 1e6, clock_hz, 32, least=1)
    if not resume:
        if _is_there(folder):
            raise IcsortError(f"{folder}: exists already; go on with it by --resume, or name another folder in the job")
        _may_be_made(folder)
        return Checked(loaded, manifest, compiled, loaded.schedule({}).cycles(clock_hz), None)
    state = read_journal(folder)
    if state.begun.identity != identity_of(loaded, manifest.model_id):
        raise IcsortError(
            f"{loaded.path}: job, gates or model are not those that {folder} was begun with; take those again, or name "
            "another folder. When it stops and the instrument may change"
        )
    if reached := reached_rule(loaded, state.counts, state.seconds):
        raise IcsortError(f"{folder}: the job has ended, {reached}; change its [stop], or begin another one")
    return Checked(loaded, manifest, compiled, loaded.schedule(state.sorted).cycles(clock_hz), state)


def _is_there(folder: Path) -> bool:
    try:
        return folder.exists()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise IcsortError(
            f"{str(folder)[:100]!r}..: cannot be made ({reason}); name another folder in the job"
        ) from None


def _may_be_made(folder: Path) -> None:
    """Raises IcsortError for a folder that could not be."""
    parent = folder.parent
    while not parent.exists() and parent != parent.parent:
        parent = parent.parent
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise IcsortError(f"{folder}: cannot be made in {parent}; name another folder in the job")


def reached_rule(loaded: "LoadedJob", counts: dict[str, int], seconds: float) -> str | None:
    """Which rule of the job has come true, in words; None while none has."""
    from icsort.formats.journal import events, sorts

    stop, targets = loaded.job.stop, loaded.job.targets
    done = sorts(counts)
    if stop.targets and targets and all(done[output] >= target for output, target in targets.items()):
        return "its targets are reached"
    if stop.events is not None and events(counts) >= stop.events:
        return f"{stop.events:,} events are reached"
    if stop.minutes is not None and seconds >= 60 * stop.minutes:
        return f"{stop.minutes:g} minutes are over"
    return None


def take(sorter: "Sorter", checked: Checked, build_id: str | None, clear_faults: bool = False) -> None:
    """Make the board this job's, disarmed. Raises IcsortError where another program has armed it, it holds another
    model or build, or its clock is too fast for the job's times."""
    from icsort.formats.schedule import cycles

    clock_hz = sorter.check_model(checked.manifest, build_id).clock_hz
    cycles("heartbeat", checked.loaded.job.heartbeat_s * 1e6, clock_hz, 32, least=1)
    checked.loaded.schedule(checked.sorted_before).cycles(clock_hz)
    sorter.claim(checked.loaded.job.heartbeat_s)
    sorter.disarm()
    if clear_faults:
        sorter.clear_faults()


class JobRun:
    """One run of a job at a board that `take` took. told: is called with the totals of all runs whenever they are
    read: counts, seconds."""

    def __init__(
        self,
        sorter: "Sorter",
        checked: Checked,
        journal: "JournalWriter",
        build_id: str | None,
        told: Callable[[dict[str, int], float], None] = lambda _counts, _seconds: None,
    ) -> None:
        self._sorter = sorter
        self._checked = checked
        self._journal = journal
        self._build_id = build_id
        self._told = told
        self._number = 1 + len(checked.state.runs) if checked.state else 1

    def begin(self) -> None:
        """Write down what is sorted; or close the run before, by what the board counted since, where it was not asked
        then."""
        state = self._checked.state
        if state is None:
            self._begin()
        elif state.runs and state.runs[-1].open:
            self._close_cut_run(state.runs[-1])

    def over(self) -> str | None:
        """Which rule has come true with what the board counted behind a run that was cut short; None while none has."""
        state = self._checked.state
        return reached_rule(self._checked.loaded, state.counts, state.seconds) if state else None

    def sort(
        self, keep: Callable[[Message | None], None], recording: str | None, stopped: Callable[[], bool]
    ) -> "Ended":
        """Arm, follow, disarm. keep: takes what `Sorter.events` gives. Returns the entry of the run's end. Raises
        IcsortError where it is disarmed by somebody or something else; that is written down too."""
        from icsort.formats.journal import JobState, RunState
        from icsort.host.sorter import StoppedError

        sorter, before = self._sorter, self._checked.state
        earlier = JobState(before.begun, list(before.runs)) if before else None
        run = RunState(self._run_entry(recording))
        self._journal.add(run.begun)
        why, done, exact, unasked = "stopped by hand", False, False, False
        begun = time.monotonic()
        problem: IcsortError | None = None
        try:
            sorter.set_statistics(STATISTICS_SECONDS)
            if not stopped():
                self._arm(run, earlier.sorted if earlier else {}, stopped)
                begun = time.monotonic()
                why, done = self._follow(run, earlier, begun, keep, stopped)
        except StoppedError:
            pass
        except IcsortError as error:
            problem, why = error, str(error)
        seconds = time.monotonic() - begun
        known = run.last or run.begun
        board_time, counters = known.board_time, known.counters
        try:
            sorter.disarm()
            # What was not begun is amended at once; the cells that flow on are not this run's.
            board_time, counters, exact = self._last_counters(run)
            self._drain(keep)
        except IcsortError as error:
            exact, unasked, problem = False, True, problem or error
        ended = self._ended(seconds, board_time, counters, why, done, exact, unasked)
        run.last = ended
        try:
            self._journal.add(ended)
        except IcsortError as error:
            problem = problem or error
        self._tell(run, earlier)
        if problem is not None:
            raise problem from None
        return ended

    def _arm(self, run: "RunState", sorted_before: dict[int, int], stopped: Callable[[], bool]) -> None:
        """With what is left of the targets. Which schedule is then in force is written down."""
        from icsort.formats.journal import Armed

        loaded, sorter = self._checked.loaded, self._sorter
        with sorter.turn():  # whoever disarms and arms does so behind the serials
            sorter.arm(
                loaded.instrument.front(self._checked.manifest),  # a package with another trigger
                loaded.schedule(sorted_before),
                self._build_id,
                loaded.job.heartbeat_s,
                stopped=stopped,
            )
            serials = self._serials()
        run.armed = Armed(time=_now(), run=self._number, serials=serials)
        self._journal.add(run.armed)

    def _follow(
        self,
        run: "RunState",
        earlier: "JobState | None",
        begun: float,
        keep: Callable[[Message | None], None],
        stopped: Callable[[], bool],
    ) -> tuple[str, bool]:
        """Until a rule is reached or it is stopped: why, and whether that is a rule. Raises IcsortError where the board
        is not armed any more, or not as this run armed it."""
        from icsort.formats.journal import Progress

        sorter = self._sorter
        told = begun
        for message in sorter.events():
            keep(message)
            if stopped():
                break
            now = time.monotonic()
            # One that waited since before says nothing new.
            if isinstance(message, Statistics) and message.time >= (run.last or run.begun).board_time:
                board_time, counters = message.time, message.counters
            elif now - told >= SILENT_SECONDS:
                sorter.check_armed()
                board_time, counters = self._counters()
            else:
                continue
            told = now
            if not self._is_of(run, board_time, counters):
                raise IcsortError(
                    f"{sorter.port}: the board was reset, or another program armed it, while the job ran; look after it"
                )
            run.last = Progress(
                time=_now(), run=self._number, seconds=now - begun, board_time=board_time, counters=counters
            )
            self._journal.add(run.last)
            total, seconds = self._tell(run, earlier)
            if rule := reached_rule(self._checked.loaded, total, seconds):
                return rule, True
        return "stopped by hand", False

    def _tell(self, run: "RunState", earlier: "JobState | None") -> tuple[dict[str, int], float]:
        """Counts and seconds of all runs, of which this is the last."""
        before = earlier.counts if earlier else {}
        total = {name: before.get(name, 0) + count for name, count in run.counts.items()}
        seconds = (earlier.seconds if earlier else 0.0) + run.seconds
        self._told(total, seconds)
        return total, seconds

    def _begin(self) -> None:
        from icsort import __version__
        from icsort.formats.journal import Begun, identity_of

        loaded, manifest = self._checked.loaded, self._checked.manifest
        self._journal.add(
            Begun(
                time=_now(),
                icsort=__version__,
                job=loaded.job,
                gates=loaded.gates,
                model_id=manifest.model_id,
                model=manifest.name,
                classes=tuple(manifest.classes),
                identity=identity_of(loaded, manifest.model_id),
            )
        )

    def _run_entry(self, recording: str | None) -> "Run":
        from icsort.formats.journal import Run

        sorter, loaded = self._sorter, self._checked.loaded
        board, gate = sorter.identify(), sorter.gate()
        board_time, counters = self._counters()
        return Run(
            time=_now(),
            run=self._number,
            build_id=board.build_id,
            clock_hz=board.clock_hz,
            gate_set=gate.identity,
            instrument=loaded.instrument,
            stop=loaded.job.stop,
            serials=self._serials(),
            board_time=board_time,
            counters=counters,
            recording=recording,
        )

    def _close_cut_run(self, run: "RunState") -> None:
        """Of a run that no entry ends, or whose end the board did not tell: what it counted until it disarmed, where it
        can say so."""
        before = run.ended
        board_time, counters, exact = self._last_counters(run)
        why = before.why if before else "it was cut short"
        if not exact:
            why += ", and the board may have been reset or armed since"
        run.last = self._ended(
            run.seconds, board_time, counters, why, before is not None and before.done, exact, number=run.begun.run,
            lost=before.lost if before else 0,
        )  # fmt: skip
        self._journal.add(run.last)

    def _last_counters(self, run: "RunState") -> tuple[int, dict[str, int], bool]:
        """Of a run that is over, disarmed: the board's time and counters, and whether they are this run's for certain;
        else those that are known."""
        known = run.last or run.begun
        board_time, counters = self._counters()
        exact = self._is_of(run, board_time, counters)
        if not exact or run.armed is None:  # what was not armed has sorted nothing
            board_time, counters = known.board_time, known.counters
        return board_time, counters, exact

    def _is_of(self, run: "RunState", board_time: int, counters: dict[str, int]) -> bool:
        """Whether what the board has just told is of this run: of the same build, neither reset nor armed since. Of a
        run that is not known to have been armed: whether nothing was."""
        from icsort.formats.journal import moved

        known, since, serials = run.last or run.begun, (run.armed or run.begun).serials, self._serials()
        return (
            board_time >= known.board_time
            # Each arming puts a schedule in force.
            and serials.schedule == since.schedule
            and serials.gate >= since.gate
            and serials.front >= since.front
            and f"{self._sorter.read64('BUILD_ID'):016x}" == run.begun.build_id
            and all(count < 2**31 for name, count in moved(known.counters, counters).items() if "SORTED" in name)
        )

    def _serials(self) -> "Serials":
        from icsort.formats.journal import Serials

        read = self._sorter.read
        return Serials(gate=read("GATE_SERIAL"), front=read("FRONT_SERIAL"), schedule=read("SCHEDULE_SERIAL"))

    def _ended(
        self,
        seconds: float,
        board_time: int,
        counters: dict[str, int],
        why: str,
        done: bool,
        exact: bool,
        unasked: bool = False,
        number: int | None = None,
        lost: int | None = None,
    ) -> "Ended":
        from icsort.formats.journal import Ended

        return Ended(
            time=_now(), run=number or self._number, seconds=seconds, board_time=board_time, counters=counters, why=why,
            done=done, exact=exact, unasked=unasked, lost=self._sorter.losses.events if lost is None else lost,
        )  # fmt: skip

    def _counters(self) -> tuple[int, dict[str, int]]:
        counters = self._sorter.counters()
        return counters.pop("TIMESTAMP"), counters

    def _drain(self, keep: Callable[[Message | None], None]) -> None:
        """What the board still sends of what it has decided."""
        limit = time.monotonic() + LONGEST_DRAIN
        for message in self._sorter.events(idle=DRAIN_SECONDS):
            keep(message)
            if time.monotonic() > limit and isinstance(message, EventRecord):
                break


def next_segment(folder: Path) -> int:
    """Number of the first file that a run may record to."""
    from icsort.formats.recording import segment

    number = 1
    while segment(folder / RECORDING, number).exists() or segment(folder / IMAGES, number).exists():
        number += 1
    return number


def recordings(folder: Path) -> Sequence[Path]:
    """Files of a job's recording, in order."""
    from icsort.formats.recording import segments

    return segments(folder / RECORDING) if (folder / RECORDING).exists() else []


def image_folders(folder: Path) -> list[Path]:
    """Folders of a job's images, in order."""
    from icsort.formats.image_list import is_listed

    return sorted(path for path in folder.glob(f"{IMAGES}*") if is_listed(path))


def make_folder(checked: Checked) -> None:
    """That of a new job. Raises IcsortError where it cannot be made."""
    folder = checked.loaded.folder
    try:
        folder.mkdir(parents=True)
        for name in ("instrument", "gates"):
            source = checked.loaded.path.parent / getattr(checked.loaded.job, name)
            (folder / f"{name}.toml").write_bytes(source.read_bytes())
        (folder / "job.toml").write_bytes(checked.loaded.path.read_bytes())
    except OSError as error:
        raise IcsortError(f"{folder}: cannot be made ({error.strerror}); name another folder in the job") from None


def _now() -> str:
    return datetime.now().astimezone().isoformat(timespec="milliseconds")
