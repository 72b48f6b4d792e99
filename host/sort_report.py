# SPDX-License-Identifier: Apache-2.0
"""What a sort was, for the drawer and for who asks later: a page of figures, from a job's journal and its recording, or
from a recording alone.

Needs jinja2 and matplotlib (icsort[report]), which are imported when a report is written.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from icsort.errors import IcsortError
from icsort.host.gallery import Gallery, gather_gallery

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from icsort.formats.fcs import FcsFile
    from icsort.formats.gate_set import AnyTest, Axis, GateSet
    from icsort.formats.journal import JobState
    from icsort.report.page import Page, Section

ReportProgress = Callable[[str, int, int], None]
JSON_FILE: Final = "report.json"
CHUNK: Final = 200_000
SHOWN: Final = 50_000
"""Events that plots show at most, evenly spread."""
BINS: Final = 128
CELLS: Final = ("ACCEPTED", "MISSED", "DEBRIS", "DEAD_TIME")
"""Every cell that the light has seen is in one of them."""
DECISION: Final = "last pixel to decision"
SORTED: Final = "SORTED"
COINCIDENCE: Final = "COINCIDENCE"


@dataclass
class Recorded:
    """What the files of a recording hold together. wished: events by direction and outcome. latency: cycles from the
    last pixel to the decision, and how many. seconds: between first and last event, but for resets of the board."""

    keywords: Mapping[str, str]
    names: tuple[str, ...]
    clock_hz: int
    outcomes: Counter[str] = field(default_factory=Counter)
    wished: dict[int, Counter[str]] = field(default_factory=dict)
    gates: Counter[str] = field(default_factory=Counter)
    latency: Counter[int] = field(default_factory=Counter)
    events: int = 0
    lost: int = 0
    seconds: float = 0.0
    accepted: int = 0
    sample: "NDArray[np.float64] | None" = None

    @property
    def rate(self) -> float:
        """Events a second, lost ones counted."""
        return self.accepted / self.seconds if self.seconds else 0.0

    def column(self, name: str) -> "NDArray[np.float64] | None":
        """Values of the sample, (E,); None where the recording lacks them."""
        from icsort.formats.fcs import parameter_name

        name = parameter_name(name)
        if self.sample is None or name not in self.names:
            return None
        return self.sample[:, self.names.index(name)]


@dataclass(frozen=True)
class Sort:
    """What a report is about. state: of a job; None of a recording alone."""

    source: Path
    files: tuple[Path, ...]
    state: "JobState | None"
    recorded: Recorded | None
    gates: "GateSet | None"
    gallery: Gallery | None = None


def gather(
    source: Path,
    gates: Path | None = None,
    progress: ReportProgress = lambda *_: None,
    images: Path | None = None,
) -> Sort:
    """Of a job's folder or a recording. gates, images: the gate set of a recording, and the folder of its images.
    progress: told a step, the events that were read and all. Raises IcsortError for anything else."""
    from icsort.formats.fcs import FcsFile
    from icsort.formats.gate_set import load
    from icsort.formats.image_list import read_list
    from icsort.formats.journal import read_journal
    from icsort.formats.recorded_images import recording_of
    from icsort.formats.recording import segments
    from icsort.host.job import image_folders, recordings

    if source.is_dir():
        if gates is not None or images is not None:
            raise IcsortError("--gates and --images are of a recording; a job has its own: leave them out")
        state = read_journal(source)
        files = tuple(recordings(source))
        sort = Sort(source, files, state, _recorded(files, progress) if files else None, state.begun.gates)
        folders = image_folders(source)
        named = _outcomes(FcsFile(files[0])) if files else {}
        return replace(sort, gallery=gather_gallery(folders, named) if folders else None)
    if not source.exists():
        raise IcsortError(f"{source}: there is no such file; give a job's folder, or a recording (FCS)")
    files = tuple(segments(source))
    given = None if gates is None else load(gates)
    sort = Sort(source, files, None, _recorded(files, progress), given)
    if images is None:
        return sort
    own = recording_of(read_list(images), source)[0]
    return replace(sort, gallery=gather_gallery([images], _outcomes(own), source))


def _recorded(files: Sequence[Path], progress: ReportProgress) -> Recorded:
    """Raises IcsortError for files that are no recording, or not of one model and board."""
    import numpy as np

    from icsort.formats.fcs import FcsFile
    from icsort.formats.recording import DIRECTION, EVENT, OUTCOME, TIME
    from icsort.host.preview import pace

    opened = [FcsFile(path) for path in files]
    first = opened[0]
    for file in opened:
        for key in ("ICSORT MODEL ID", "ICSORT CLOCK HZ"):
            if file.keyword(key) != first.keyword(key) or file.names != first.names:
                raise IcsortError(f"{file.path}: is of another model, board or gate set than {first.path}")
    recorded = Recorded(first.keywords, tuple(first.names), first.integer("ICSORT CLOCK HZ", 1))
    outcomes = _outcomes(first)
    total = sum(file.events for file in opened)
    stride = max(1, -(-total // SHOWN))
    at = {name: first.column(name) for name in (TIME, EVENT, OUTCOME, DIRECTION)}
    gate_names = [name for name in first.names if name.startswith("gate ") and name != "gate serial"]
    shown: list[NDArray[np.float64]] = []
    for file in opened:
        recorded.lost += file.integer("$LOST")
        before: tuple[float, float] | None = None
        for rows in _chunks(file):
            progress("read", recorded.events, total)
            numbers, directions = rows[:, at[OUTCOME]].astype(int), rows[:, at[DIRECTION]].astype(int)
            pairs, counts = np.unique(np.stack([directions, numbers], axis=1), axis=0, return_counts=True)
            for (direction, number), count in zip(pairs.tolist(), counts.tolist(), strict=True):
                name = outcomes.get(number, f"outcome {number}")
                recorded.outcomes[name] += count
                if direction >= 0:
                    recorded.wished.setdefault(direction, Counter())[name] += count
            for name in gate_names:
                recorded.gates[name.removeprefix("gate ")] += int(rows[:, first.names.index(name)].sum())
            if DECISION in first.names:
                cycles, counts = np.unique(rows[:, first.names.index(DECISION)].astype(int), return_counts=True)
                recorded.latency.update(dict(zip(cycles.tolist(), counts.tolist(), strict=True)))
            ids, times = rows[:, at[EVENT]], rows[:, at[TIME]]
            if before is not None:
                ids, times = np.append(before[0], ids), np.append(before[1], times)
            came, seconds = pace(ids, times, recorded.clock_hz)
            recorded.accepted += came
            recorded.seconds += seconds
            before = float(ids[-1]), float(times[-1])
            shown.append(rows[-recorded.events % stride :: stride])
            recorded.events += len(rows)
    recorded.sample = np.concatenate(shown) if shown else None
    return recorded


def _chunks(file: "FcsFile") -> "Iterator[NDArray[np.float64]]":
    for first in range(0, file.events, CHUNK):
        yield file.rows(first, CHUNK)


def _outcomes(file: "FcsFile") -> dict[int, str]:
    """Names by number, of "0 SORTED, 1 REJECTED"."""
    parts = (word.strip().partition(" ") for word in file.keyword("ICSORT OUTCOMES").split(","))
    return {int(number): name for number, _, name in parts if number.isdecimal()}


def figures(sort: Sort) -> dict[str, Any]:
    """All that the page says, for machines."""
    from icsort.formats.journal import events
    from icsort.host.statistics import causes

    document: dict[str, Any] = {"source": sort.source.name}
    counts: Mapping[str, int] = {}
    if sort.state is not None:
        state, begun = sort.state, sort.state.begun
        counts = state.counts
        document |= {
            "job": begun.job.name,
            "mode": begun.job.mode,
            "begun": begun.time,
            "icsort": begun.icsort,
            "model": begun.model,
            "model_id": begun.model_id,
            "identity": begun.identity,
            "seconds": round(state.seconds, 3),
            "exact": state.exact,
            "runs": [
                {
                    "run": run.begun.run,
                    "begun": run.begun.time,
                    "seconds": round(run.seconds, 3),
                    "ended": run.ended.why if run.ended else "not ended",
                    "exact": run.ended is not None and run.ended.exact,
                    "build_id": run.begun.build_id,
                    "gate_set": run.begun.gate_set,
                    "instrument": run.begun.instrument.model_dump(mode="json"),
                }
                for run in state.runs
            ],
            "events": events(counts),
            **causes(counts),
        }
    recorded = sort.recorded
    if recorded is not None:
        document["recorded"] = {
            "events": recorded.events,
            "lost": recorded.lost,
            "rate": recorded.rate,
            "outcomes": dict(recorded.outcomes),
            "gates": dict(recorded.gates),
            "model": recorded.keywords.get("ICSORT MODEL"),
            "model_id": recorded.keywords["ICSORT MODEL ID"],
            "build_id": recorded.keywords.get("ICSORT BUILD ID"),
            "gate_set": recorded.keywords.get("ICSORT GATE SET"),
        }
    if sort.gallery is not None:
        document["images"] = sort.gallery.figures()
    document["directions"] = _directions(sort, counts)
    document["files"] = {path.name: _sha256(path) for path in _sources(sort)}
    canonical = json.dumps(document, sort_keys=True, allow_nan=False)
    return document | {"signature": hashlib.sha256(canonical.encode()).hexdigest()}


def _sources(sort: Sort) -> list[Path]:
    from icsort.formats.journal import JOURNAL_FILE

    return ([sort.source / JOURNAL_FILE] if sort.state is not None else []) + list(sort.files)


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _directions(sort: Sort, counts: Mapping[str, int]) -> list[dict[str, Any]]:
    """Of each: sorts, target, and of the recording how many of the wished ones were sorted and why not, beside what
    coincidence alone would leave."""
    from icsort.formats.journal import sorts

    recorded, state = sort.recorded, sort.state
    wished = recorded.wished if recorded else {}
    expected = _expected(sort, counts)
    rows = []
    names = {d.output: d for d in state.begun.job.directions} if state else {}
    for output in sorted(names or wished):
        outcomes = wished.get(output, Counter())
        tried = outcomes[SORTED] + outcomes[COINCIDENCE]
        row: dict[str, Any] = {"output": output}
        if state is not None:
            row |= {"name": names[output].name, "target": names[output].target, "sorted": sorts(counts)[output]}
            row["per_second"] = row["sorted"] / state.seconds if state.seconds else 0.0
        else:
            row["sorted"] = outcomes[SORTED]
            row["per_second"] = outcomes[SORTED] / recorded.seconds if recorded and recorded.seconds else 0.0
        if recorded is not None:
            row["wished"] = outcomes.total()
            row["coincidence"] = outcomes[COINCIDENCE] / tried if tried else None
            row["coincidence_expected"] = expected.get(output)
        rows.append(row)
    return rows


def _expected(sort: Sort, counts: Mapping[str, int]) -> dict[int, float]:
    """Share of each direction's events that a neighbour aborts where cells come at random: 1 - exp(-rate x window)."""
    from icsort.formats.job import LoadedJob
    from icsort.host.preview import aborted

    state, recorded = sort.state, sort.recorded
    if state is None or recorded is None or not state.runs or not recorded.events:
        return {}
    run = state.runs[-1].begun
    settings = (
        LoadedJob(sort.source, state.begun.job, run.instrument, state.begun.gates).schedule({}).cycles(run.clock_hz)
    )
    shares = {output: outcomes.total() / recorded.events for output, outcomes in recorded.wished.items()}
    # Neighbours are all cells that the light has seen, at the rate of those that became events.
    cells = sum(counts.get(name, 0) for name in CELLS) / max(1, counts.get("ACCEPTED", 0))
    return aborted(settings, run.clock_hz, recorded.rate * max(1.0, cells), shares)


def page(sort: Sort, document: dict[str, Any], progress: ReportProgress = lambda *_: None) -> "Page":
    """For people."""
    from icsort.report.page import Page, Tile, percent

    recorded = document.get("recorded", {})
    events = document.get("events", recorded.get("events", 0))
    seconds = document.get("seconds") or (sort.recorded.seconds if sort.recorded else 0.0)
    done = sum(row["sorted"] for row in document["directions"])
    aborted = sum(document.get("aborts", {}).values())
    tiles = [
        Tile(f"{events:,}", "events"),
        Tile(f"{done:,}", "sorted"),
        Tile(f"{seconds:,.1f} s", "of sorting" if sort.state else "recorded"),
    ]
    if recorded:
        tiles.append(Tile(f"{recorded['rate']:,.0f}", "events a second"))
        tiles.append(Tile(f"{recorded['lost']:,}", "records lost", "bad" if recorded["lost"] else "good"))
    if sort.state is not None:
        tiles.append(Tile(percent(aborted / events if events else None), "of the events aborted"))
    notices = []
    if sort.state is not None and not document["exact"]:
        notices.append(
            "A run was cut short and its last counts are not known: more may have been sorted than stands here."
        )
    sections = [
        *_settings(sort, document),
        *_results(sort, document),
        *_plots(sort, progress),
        *_cells(sort),
        _versions(document),
    ]
    begun = (
        document.get("begun") or f"{sort.recorded.keywords.get('$DATE', '')}" if sort.recorded else document["begun"]
    )
    model = document.get("model") or recorded["model"]
    return Page(document.get("job", document["source"]), f"{begun}, model {model}", sections, tiles, notices)


def _settings(sort: Sort, document: dict[str, Any]) -> "list[Section]":
    from icsort.report.page import Section

    if sort.state is None:
        return []
    job, sections = sort.state.begun.job, []
    rows = [[str(run["run"]), run["begun"], f"{run['seconds']:,.1f} s", run["ended"]] for run in document["runs"]]
    sections.append(
        Section(
            "Runs", "Each time that the board was armed.", head=("run", "begun", "armed for", "ended by"), rows=rows
        )
    )
    if sort.state.runs:
        instrument = sort.state.runs[-1].begun.instrument
        clock, trigger = instrument.drop_clock, instrument.trigger
        rows = [
            ["mode", job.mode],
            ["instrument", instrument.name],
            [
                "drop clock",
                "none" if clock == "none" else f"{clock.frequency_hz:g} Hz, {clock.source}, {clock.envelope:g} drops",
            ],
            ["trigger", "that of the package" if trigger == "package" else f"on {trigger.on}, off {trigger.off}"],
            ["heartbeat", f"{job.heartbeat_s:g} s"],
        ]
        for timing in instrument.outputs:
            delay = (
                f"{timing.delay_us:g} us, pulse {timing.pulse_us:g} us"
                if clock == "none"
                else f"{timing.delay_drops:g} drops"
            )
            rows.append([f"output {timing.output}", f"delay {delay}"])
        sections.append(Section("Settings", "Of the last run.", head=("", ""), rows=rows))
    return sections


def _results(sort: Sort, document: dict[str, Any]) -> "list[Section]":
    from icsort.report.page import Section, percent

    rows = []
    for row in document["directions"]:
        cells = [
            str(row["output"]),
            row.get("name", ""),
            f"{row['sorted']:,}",
            f"{row['target']:,}" if row.get("target") else "",
            f"{row['per_second']:,.1f}",
        ]
        if sort.recorded is not None:
            cells += [f"{row['wished']:,}", percent(row["coincidence"]), percent(row["coincidence_expected"])]
        rows.append(cells)
    head = ["output", "name", "sorted", "target", "a second"]
    text = "By the board's counters." if sort.state else "Of the recorded events."
    if sort.recorded is not None:
        head += ["wished, recorded", "lost to neighbours", "expected: 1 - exp(-rate x window)"]
        text += (
            " Lost to neighbours: of those that one aborted and the sorted ones, the former; beside it what cells that"
            " come at random lose."
        )
    sections = [Section("Directions", text, head=head, rows=rows)]
    if sort.state is not None:
        events = max(1, document["events"])
        for title, key, text in (
            ("Aborts", "aborts", "Events that might have been sorted and were not, by cause."),
            ("Losses", "losses", "What did not become an event, or did not reach the computer."),
        ):
            rows = [
                [name.lower().replace("_", " "), f"{count:,}", percent(count / events)]
                for name, count in document[key].items()
            ]
            sections.append(
                Section(title, text if rows else f"{text} None.", head=("cause", "count", "of events"), rows=rows)
            )
    elif sort.recorded is not None:
        events = max(1, sort.recorded.events)
        rows = [
            [name.lower(), f"{count:,}", percent(count / events)]
            for name, count in sort.recorded.outcomes.most_common()
        ]
        sections.append(
            Section(
                "Outcomes", "What became of the recorded events.", head=("outcome", "count", "of events"), rows=rows
            )
        )
    if sort.recorded is not None and sort.recorded.gates:
        events = max(1, sort.recorded.events)
        rows = [[name, f"{count:,}", percent(count / events)] for name, count in sort.recorded.gates.items()]
        sections.append(
            Section("Gates", "Recorded events for which each holds.", head=("gate", "events", "of all"), rows=rows)
        )
    return sections


def _plots(sort: Sort, progress: ReportProgress) -> "list[Section]":
    from icsort.report.figures import png
    from icsort.report.page import Section

    progress("draw", 0, 0)
    sections = []
    if sort.state is not None and (drawn := _course(sort.state)) is not None:
        sections.append(Section("Course", "Rates between the board's statistics.", [png(drawn)]))
    recorded = sort.recorded
    if recorded is None or not recorded.events:
        return sections
    if sort.gates is not None:
        for number, test in enumerate(sort.gates.tests):
            progress("draw", number, len(sort.gates.tests))
            if (drawn := _test_plot(test, sort.gates, recorded)) is not None:
                text = f"{test.kind} test, on {'all' if recorded.events <= SHOWN else 'some'} of the recorded events."
                sections.append(Section(f"Test {test.name}", text, [png(drawn)]))
    if recorded.latency:
        sections.append(
            Section("Latency", "From the last pixel of an event's window to its decision.", [png(_latency(recorded))])
        )
    return sections


def _cells(sort: Sort) -> "list[Section]":
    """Some of the cells of which there are images, those that were sorted and those that were not."""
    from icsort.report.figures import mosaic
    from icsort.report.page import Captioned, Section

    gallery = sort.gallery
    if gallery is None:
        return []
    names = {d.output: d.name for d in sort.state.begun.job.directions} if sort.state else {}
    about = f"Channels from left to right, and row by row: {', '.join(gallery.channels)}. " if gallery.channels else ""
    sections = []
    for kind, title in ((True, "Sorted cells"), (False, "Cells that were not sorted")):
        cells = gallery.cells[kind]
        of = f"{len(cells)} of {gallery.counts[kind]:,} of which there is an image, evenly over the time of the sort. "
        captions = []
        for cell in cells:
            decision = "sorted" if kind else cell.outcome.lower()
            if cell.direction is not None:
                decision += f" {'to' if kind else 'for'} {names.get(cell.direction, f'output {cell.direction}')}"
            captions.append(f"event {cell.event}, {cell.answer}, {decision}")
        shown = [Captioned(mosaic(cell.pixels), caption) for cell, caption in zip(cells, captions, strict=True)]
        text = (of if cells else "None has an image. ") + (about if cells else "")
        sections.append(Section(title, text.strip(), gallery=shown))
    if gallery.notes:
        rows = [[note] for note in gallery.notes]
        sections.append(Section("Images that are not shown", "And why.", head=("",), rows=rows))
    return sections


def _course(state: "JobState") -> "Figure | None":
    """Events and sorts a second, over the time of sorting, of the runs one after the other."""
    from matplotlib.figure import Figure

    from icsort.formats.journal import moved
    from icsort.report.figures import BAR, GOOD

    times: list[float] = []
    rates: list[list[float]] = []
    for run in state.runs:
        for before, after in zip([run.begun, *run.course], run.course, strict=False):
            cycles = after.board_time - before.board_time
            if cycles > 0:
                seconds = cycles / run.begun.clock_hz
                times.append((times[-1] if times else 0.0) + seconds)
                counts = moved(before.counters, after.counters)
                rates.append([counts[name] / seconds for name in ("ACCEPTED", SORTED)])
    if len(times) < 2:
        return None
    figure = Figure(figsize=(8, 3), layout="constrained")
    axes = figure.subplots()
    for index, (name, colour) in enumerate((("events", BAR), ("sorted", GOOD))):
        axes.step(times, [rate[index] for rate in rates], where="pre", label=name, color=colour)
    axes.set(xlabel="s of sorting, by the board's clock", ylabel="a second", ylim=(0, None))
    axes.legend()
    return figure


def _latency(recorded: Recorded) -> "Figure":
    import numpy as np
    from matplotlib.figure import Figure

    from icsort.report.figures import BAR, logarithmic

    us = np.array(sorted(recorded.latency)) * 1e6 / recorded.clock_hz
    weights = np.array([recorded.latency[cycles] for cycles in sorted(recorded.latency)])
    figure = Figure(figsize=(8, 3), layout="constrained")
    axes = figure.subplots()
    axes.hist(us, bins=60, weights=weights, color=BAR)
    logarithmic(axes, "y")
    axes.set(xlabel="us", ylabel="events")
    return figure


def _test_plot(test: "AnyTest", gates: "GateSet", recorded: Recorded) -> "Figure | None":
    """The values that a test looks at, on its axes, and where it begins and ends; None where they were not recorded."""
    import numpy as np
    from matplotlib.figure import Figure

    from icsort.formats.gate_set import Axis, ClassTest
    from icsort.report.figures import BAR, MARK, logarithmic

    if isinstance(test, ClassTest):
        axes_of: list[Axis] = [Axis(classes=test.classes)]
    else:
        axes_of = [axis for axis in (test.x, test.y) if axis is not None]
    values = [_places(axis, gates, recorded) for axis in axes_of]
    places = [value for value in values if value is not None]
    if len(places) < len(values):
        return None
    held = np.all([np.isfinite(place) for place in places], axis=0)
    points = [place[held] for place in places]
    figure = Figure(figsize=(4.6, 3.6), layout="constrained")
    axes = figure.subplots()
    labels = [str(axis) + (f" ({axis.scale})" if axis.scale else "") for axis in axes_of]
    if len(points) == 1:
        axes.hist(points[0], bins=BINS, color=BAR)
        bounds = (
            [test.posterior]
            if isinstance(test, ClassTest)
            else [getattr(test.x, "min", None), getattr(test.x, "max", None)]
        )
        for bound in bounds:
            if bound is not None:
                axes.axvline(bound, color=MARK)
        axes.set(xlabel=labels[0], ylabel="events")
        logarithmic(axes, "y")
        return figure
    counts, x, y = np.histogram2d(points[0], points[1], bins=BINS)
    axes.pcolormesh(x, y, np.log10(counts.T + 1), cmap="Blues")
    outline = _outline(test, (x[0], x[-1]), (y[0], y[-1]))
    axes.plot(*outline, color=MARK)
    axes.set(xlabel=labels[0], ylabel=labels[1])
    return figure


def _places(axis: "Axis", gates: "GateSet", recorded: Recorded) -> "NDArray[np.float64] | None":
    """Where the sample lies on an axis; None where it is not recorded."""
    import numpy as np

    from icsort.formats.recording import posterior

    if axis.classes is not None:
        columns = [recorded.column(posterior(name)) for name in axis.classes]
        if any(column is None for column in columns):
            return None
        value = np.sum([column for column in columns if column is not None], axis=0)
    else:
        column = recorded.column(axis.value or "")
        if column is None:
            return None
        value = column
    if axis.scale is None:
        return np.asarray(value)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(gates.scales[axis.scale].to_axis(value), float)


def _outline(test: "AnyTest", x: tuple[float, float], y: tuple[float, float]) -> "tuple[Any, Any]":
    """The edge of a test over two axes. x, y: what the plot shows, where a bound is left out."""
    import numpy as np

    from icsort.formats.gate_set import EllipseTest, PolygonTest, RangeTest

    if isinstance(test, PolygonTest):
        corners = np.array([*test.corners, test.corners[0]])
        return corners[:, 0], corners[:, 1]
    if isinstance(test, EllipseTest):
        turn, around = np.radians(test.angle), np.linspace(0, 2 * np.pi, 200)
        u, v = test.radii[0] * np.cos(around), test.radii[1] * np.sin(around)
        return (
            test.center[0] + u * np.cos(turn) - v * np.sin(turn),
            test.center[1] + u * np.sin(turn) + v * np.cos(turn),
        )
    assert isinstance(test, RangeTest)
    assert test.y is not None
    left, right = (x[0] if test.x.min is None else test.x.min), (x[1] if test.x.max is None else test.x.max)
    low, high = (y[0] if test.y.min is None else test.y.min), (y[1] if test.y.max is None else test.y.max)
    return [left, right, right, left, left], [low, low, high, high, low]


def _versions(document: dict[str, Any]) -> "Section":
    from icsort import __version__
    from icsort.report.page import Section

    recorded, runs = document.get("recorded", {}), document.get("runs", [])
    rows = [
        ["icsort, of this report", __version__],
        ["icsort, of the sort", document.get("icsort", "")],
        ["model id", document.get("model_id") or recorded.get("model_id", "")],
        ["build id", ", ".join(dict.fromkeys(run["build_id"] for run in runs)) or recorded.get("build_id") or ""],
        ["gate set", ", ".join(dict.fromkeys(run["gate_set"] for run in runs)) or recorded.get("gate_set") or ""],
        ["job", document.get("identity", "")],
        *([name, digest] for name, digest in document["files"].items()),
        ["signature of this report", document["signature"]],
    ]
    return Section(
        "Versions", f"Hashes are sha256; the signature is that of {JSON_FILE} without itself.",
        head=("", ""), rows=[[name, value] for name, value in rows if value],
    )  # fmt: skip


def write_report(
    sort: Sort, folder: Path, progress: ReportProgress = lambda *_: None, pdf: bool = False
) -> dict[str, Any]:
    """report.html and report.json, and report.pdf, into a folder. progress: told a step, the plots that were made and
    all. Returns the figures."""
    from icsort.report.page import PAGE_FILE, write
    from icsort.report.pdf import PDF_FILE, write_pdf

    document = figures(sort)
    write(folder, page(sort, document, progress), JSON_FILE, document)
    if pdf:
        progress("print", 0, 0)
        write_pdf(folder / PAGE_FILE, folder / PDF_FILE)
    return document
