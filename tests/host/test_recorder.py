# SPDX-License-Identifier: Apache-2.0
"""Recordings as flowio and FlowKit read them, whatever ended the recorder."""

import contextlib
import random
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import flowio
import numpy as np
import pytest
from scipy.special import softmax

from icsort.errors import IcsortError
from icsort.formats import fcs
from icsort.formats.event_record import Group
from icsort.formats.recording import segments
from icsort.host.link.protocol import Amendment, EventRecord
from icsort.host.recorder import CHANGING, Recorder
from icsort.host.sorter import Losses
from icsort.sim.bit_true import features
from icsort.sim.bit_true.gate import posterior_error
from icsort.sim.bit_true.scheduler import Outcome
from tests.host.recordings import ALL, CLOCK_HZ, event, example, layout

FULL = pytest.mark.full


def read(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Columns by name, as flowio has them, and keywords. Its times are seconds."""
    data = flowio.FlowData(path)
    return dict(zip(data.pnn_labels, data.as_array().reshape(-1, data.channel_count).T, strict=True)), data.text


def plain(path: Path, columns: int) -> np.ndarray:
    """Rows as they stand in the file."""
    return flowio.FlowData(path).as_array(preprocess=False).reshape(-1, columns)


def put(path: Path, events: list[EventRecord], groups: Group = ALL, **options: int) -> Recorder:
    with Recorder(path, layout(groups), {"ICSORT BUILD ID": "0123456789abcdef"}, Losses(), **options) as recorder:
        for one in events:
            recorder.add(one)
    return recorder


def test_every_value_is_that_of_the_event(tmp_path: Path) -> None:
    model, numbers = example(), [0, 1, 2, 5, 6, 2**20, 2**20 + 1]
    events = [event(number) for number in numbers]
    recorder = put(tmp_path / "a.fcs", events)
    columns, keywords = read(tmp_path / "a.fcs")
    assert recorder.files == [tmp_path / "a.fcs"]
    assert columns["event"].tolist() == numbers
    assert np.rint(columns["Time"] * CLOCK_HZ).astype(int).tolist() == [one.time for one in events]
    for name, values in {
        "tag": [one.tag for one in events],
        "outcome": [one.outcome for one in events],
        "direction": [-1 if one.direction is None else one.direction for one in events],
        "flags": [one.flags for one in events],
        "event length": [one.length for one in events],
        "class": [one.class_index for one in events],
        "posterior": [one.posterior / 65536 for one in events],
        "gates": [one.gates for one in events],
        "gate round": [one.gates & 1 for one in events],
        "gate bright; large": [one.gates >> 1 & 1 for one in events],
        "gate serial": [one.timing.gate_serial for one in events if one.timing],
        "first pixel to decision": [one.timing.first_pixel_to_decision for one in events if one.timing],
        "last pixel to decision": [one.timing.last_pixel_to_decision for one in events if one.timing],
    }.items():
        assert columns[name].tolist() == values, name
    logits = np.array([one.logits for one in events])
    soft = softmax(logits * model.logits.scale / model.logits.temperature, axis=1)
    for index, name in enumerate(model.classes):
        assert columns[f"logit {name}"] == pytest.approx(logits[:, index] * model.logits.scale, rel=1e-15)
        assert np.abs(columns[f"posterior {name}"] - soft[:, index]).max() <= posterior_error(3)
    for one, at in zip(events, range(len(events)), strict=True):
        shown = {name: columns[name][at] for name in features.names(model.channels)}
        assert shown == (features.named(one.features, model.channels) if one.features else dict.fromkeys(shown, 0.0))
    # The board's first event has the longest time; those behind a gap have none.
    times = [one.time for one in events]
    apart = np.diff(times) / 100
    known = [(2**31 - 1) / 100, *apart[:2], -1, apart[3], -1, apart[5]]
    assert columns["time since the event before"] == pytest.approx(known, rel=1e-15)
    assert float(keywords["timestep"]) == 1 / CLOCK_HZ
    assert keywords["icsort model id"] == model.model_id
    assert keywords["icsort build id"] == "0123456789abcdef"
    assert keywords["icsort outcomes"].startswith("0 SORTED, 1 REJECTED, ")
    assert int(keywords["icsort gaps"]) == 2


def test_flowkit_reads_it(tmp_path: Path) -> None:
    import flowkit

    put(tmp_path / "a.fcs", [event(number) for number in range(300)])
    sample = flowkit.Sample(tmp_path / "a.fcs")
    assert sample.event_count == 300
    assert sample.pnn_labels == [fcs.parameter_name(parameter.name) for parameter in layout().parameters]
    assert sample.as_dataframe(source="raw", col_order=["event"]).to_numpy().ravel().tolist() == list(range(300))


@pytest.mark.parametrize("groups", [Group.BASE, Group.BASE | Group.LOGITS, Group.BASE | Group.TIMING | Group.FEATURES])
def test_what_the_board_leaves_out_has_no_column(tmp_path: Path, groups: Group) -> None:
    put(tmp_path / "a.fcs", [event(number, groups) for number in range(30)], groups)
    names = set(read(tmp_path / "a.fcs")[0])
    assert ("gate serial" in names) == (Group.TIMING in groups)
    assert ("logit M" in names) == ("posterior M" in names) == (Group.LOGITS in groups)
    assert ("Size (PI)" in names) == (Group.FEATURES in groups)


def test_an_event_with_other_fields_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IcsortError, match="its fields were changed"):
        put(tmp_path / "a.fcs", [event(1), event(2, Group.BASE)])
    assert fcs.FcsFile(tmp_path / "a.fcs").events == 0


def test_no_event_yet(tmp_path: Path) -> None:
    put(tmp_path / "a.fcs", [])
    assert flowio.FlowData(tmp_path / "a.fcs").event_count == 0


def test_segments(tmp_path: Path) -> None:
    """By events and by bytes; each is a file of its own, and together they are all."""
    for options, most in (({"max_events": 2500}, 2500), ({"max_bytes": 8 * len(layout().parameters) * 700}, 700)):
        folder = tmp_path / str(most)
        folder.mkdir()
        recorder = put(folder / "run.fcs", [event(number) for number in range(5200)], **options)
        assert recorder.files == segments(folder / "run.fcs")
        assert len(recorder.files) == -(-5200 // most)
        assert recorder.files[1].name == "run-002.fcs"
        read_back = [read(path)[0]["event"] for path in recorder.files]
        assert {len(part) for part in read_back[:-1]} == {most}
        assert np.concatenate(read_back).tolist() == list(range(5200))
        assert max(path.stat().st_size for path in recorder.files) <= options.get("max_bytes", 2**32) + 2**14


def test_a_sort_that_did_not_come(tmp_path: Path) -> None:
    """Its row is changed, also when it is in a file that is closed; one whose record was lost changes nothing."""
    events = [event(number) for number in range(1000)]
    sorts = [one.event_id for one in events if one.outcome is Outcome.SORTED]
    with Recorder(tmp_path / "a.fcs", layout(), {}, Losses(), max_events=400) as recorder:
        for one in events:
            recorder.add(one)
        for number in (sorts[0], sorts[-1], 5000):
            recorder.add(Amendment(0, number, Outcome.COINCIDENCE, 0))
    assert sorts[0] < 400 <= sorts[-1]
    assert recorder.amended == 2
    outcomes = np.concatenate([read(path)[0]["outcome"] for path in recorder.files])
    changed = {number for number, one in enumerate(events) if outcomes[number] != one.outcome}
    assert changed == {sorts[0], sorts[-1]}
    assert outcomes[sorts[0]] == Outcome.COINCIDENCE
    assert int(read(recorder.files[-1])[1]["icsort amended"]) == 2


def test_losses_are_told(tmp_path: Path) -> None:
    losses = Losses(events=7, frames=3, bad_frames=2, restarts=1)
    with Recorder(tmp_path / "a.fcs", layout(), {}, losses) as recorder:
        recorder.add(event(1))
    told = read(tmp_path / "a.fcs")[1]
    assert [int(told[key.lower().removeprefix("$")]) for key in CHANGING[1:]] == [7, 0, 3, 2, 1, 0]


def test_what_came_is_on_the_disk_though_nothing_follows(tmp_path: Path) -> None:
    with Recorder(tmp_path / "a.fcs", layout(), {}, Losses()) as recorder:
        for number in range(10):
            recorder.add(event(number))
        deadline = time.monotonic() + 60
        while fcs.FcsFile(tmp_path / "a.fcs").events < 10 and time.monotonic() < deadline:
            recorder.add(None)
            time.sleep(0.05)
        assert flowio.FlowData(tmp_path / "a.fcs").event_count == 10


def test_offsets_that_the_header_cannot_hold(tmp_path: Path) -> None:
    """Beyond 99,999,999 bytes they stand in TEXT alone, to the byte where that begins."""
    parameter = fcs.Parameter("x", 1)
    for rows in (12_499_800, 12_500_100):
        path = tmp_path / f"{rows}.fcs"
        writer = fcs.FcsWriter(path, [parameter], {}, ())
        writer.write(np.arange(rows, dtype=np.float64)[:, None])
        writer.close({})
        data = flowio.FlowData(path)
        assert data.event_count == rows
        assert data.header["data_start"] == (0 if rows > 12_500_000 else writer.data_at)
        assert data.as_array()[-1, 0] == rows - 1
        path.unlink()


def test_only_a_recording_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.fcs"
    put(path, [event(number) for number in range(10)], max_events=4)
    with pytest.raises(IcsortError, match=r"a\.fcs: exists already; give another name, or replace"):
        put(path, [event(1)])
    put(path, [event(1)], force=True)
    assert [file.name for file in tmp_path.iterdir()] == ["a.fcs"]
    (tmp_path / "a-002.fcs").write_bytes(b"FCS3.1 of somebody else")
    with pytest.raises(IcsortError, match=r"a-002\.fcs: exists and is no recording of icsort"):
        put(path, [event(1)], force=True)
    assert read(path)[0]["event"].tolist() == [1]
    with pytest.raises(IcsortError, match="cannot be written"):
        put(tmp_path / "nowhere" / "a.fcs", [])


@contextlib.contextmanager
def no_file_above(size: int) -> Iterator[None]:
    """As on a disk that is full: Python ignores the signal, writes fail."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk(tmp_path: Path) -> None:
    """What was committed is kept, the error says how much, and who adds is not kept waiting."""
    path = tmp_path / "a.fcs"
    recorder = Recorder(path, layout(), {}, Losses())
    for number in range(300):
        recorder.add(event(number))
    while fcs.FcsFile(path).events < 300:
        recorder.add(None)
        time.sleep(0.02)

    def go_on() -> None:
        for number in range(300, 200_000):
            recorder.add(event(number))

    with no_file_above(2**18), pytest.raises(IcsortError, match=r"after \d+ events, which are kept") as raised:
        go_on()
    kept = fcs.FcsFile(path).events
    assert 300 <= kept < 200_000
    assert f"after {kept} events" in str(raised.value)
    with pytest.raises(IcsortError, match=f"after {kept} events"):
        recorder.close()
    assert "free space or give a file on another disk" in str(raised.value)
    assert read(path)[0]["event"].tolist() == list(range(kept))


def test_a_disk_that_is_full_at_the_end(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "a.fcs", layout(), {}, Losses())
    for number in range(300):
        recorder.add(event(number))
    with no_file_above((tmp_path / "a.fcs").stat().st_size), pytest.raises(IcsortError, match="after 0 events, which"):
        recorder.close()
    assert flowio.FlowData(tmp_path / "a.fcs").event_count == 0


def kill(path: Path, after: float) -> tuple[list[tuple[int, float]], float]:
    """Kill a recorder so many seconds after its first events. Returns what it said of events and times; the time."""
    words = [sys.executable, "-m", "tests.host.recordings", str(path)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        time.sleep(after)
        process.kill()
        killed = time.time()
        lines = [first, *process.stdout]
    said = [line.split() for line in lines if line.endswith("\n")]
    return [(int(number), float(when)) for number, when in said], killed


@pytest.mark.parametrize("kills", [2, pytest.param(50, marks=FULL)])
def test_kill_at_any_moment(tmp_path: Path, seed: int, kills: int) -> None:
    """Every file opens, and all of them hold the first events that were recorded."""
    import flowkit

    draw = random.Random(seed)
    names = [parameter.name for parameter in layout().parameters]
    for number in range(kills):
        path = tmp_path / f"{number}.fcs"
        said, killed = kill(path, draw.uniform(0, 2.5))
        files = [path, *sorted(tmp_path.glob(f"{number}-*.fcs"))]
        rows = np.concatenate([plain(file, len(names)) for file in files])
        assert rows[:, 1].tolist() == list(range(len(rows)))
        assert len(rows) <= said[-1][0] + 200
        assert flowkit.Sample(files[-1]).event_count == len(rows) - 3000 * (len(files) - 1)
        put(tmp_path / "whole.fcs", [event(one) for one in range(len(rows))], force=True)
        assert np.array_equal(rows, plain(tmp_path / "whole.fcs", len(names)))
        if kills > 2:  # here nothing else runs: what came a second before, and what the machine takes, is there
            assert len(rows) >= max((n for n, when in said if when < killed - 2), default=0)
        for file in files:
            file.unlink()
    assert [file.name for file in tmp_path.iterdir()] == ["whole.fcs"]
