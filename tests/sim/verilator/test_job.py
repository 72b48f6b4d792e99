# SPDX-License-Identifier: Apache-2.0
"""Whole jobs against the virtual board: the counts that a job ends with are the pulses that the RTL gave."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import flowio
import pytest

from icsort.formats.journal import JobState, read_journal
from icsort.host.session import connect, stop
from icsort.sim.bit_true.scheduler import Outcome
from icsort.sim.simulate.lines import Flow, flow
from icsort.sim.verilator.board import VirtualBoard, virtual_board
from tests.sim.conftest import System

pytestmark = [pytest.mark.xdist_group("system"), pytest.mark.full]

CYCLES_PER_CELL = 6_700
GATES = """
format = "icsort-gate-set"
version = 1
tests = [
    {{name = "a", kind = "class", classes = ["{0}"], posterior = 0.4}},
    {{name = "b", kind = "class", classes = ["{1}"], posterior = 0.4}},
]
gates = [{{name = "left", all = ["a"]}}, {{name = "right", all = ["b"]}}]
directions = [{{output = 0, gate = "left"}}, {{output = 3, gate = "right"}}]
"""
INSTRUMENT = """
format = "icsort-instrument"
version = 1
name = "virtual"
drop_clock = "none"
trigger = "package"
outputs = [{output = 0, delay_us = 40, pulse_us = 2}, {output = 3, delay_us = 41, pulse_us = 3}]
"""
JOB = """
format = "icsort-job"
version = 1
name = "two tubes"
folder = "job"
model = "{model}"
instrument = "instrument.toml"
gates = "gates.toml"
mode = "yield"
record = {{events = true, features = false}}
stop = {stop}
directions = [{{output = 0, name = "A"{target}}}, {{output = 3, name = "B"}}]
"""


@pytest.fixture
def stream(system: System) -> Flow:
    return flow(system.cells, system.build.manifest, CYCLES_PER_CELL / system.build.line_beats)


@pytest.fixture
def board(system: System, stream: Flow, tmp_path: Path) -> Iterator[VirtualBoard]:
    with virtual_board(system.build, stream.lines, tmp_path / "board") as running:
        yield running


def write_job(system: System, folder: Path, stop: str, target: str = "") -> Path:
    (folder / "gates.toml").write_text(GATES.format(*system.build.manifest.classes))
    (folder / "instrument.toml").write_text(INSTRUMENT)
    path = folder / "job.toml"
    path.write_text(JOB.format(model=system.build.folder, stop=stop, target=target))
    return path


def start(*words: object) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "icsort", *map(str, words)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def last_line(process: "subprocess.Popen[str]") -> dict:
    output, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    return json.loads(output.splitlines()[-1])


def pulses(board: VirtualBoard) -> dict[int, int]:
    """How many of each output."""
    outputs = [output for _, _, output in board.stop().summary["sort_pulses"]]
    return {output: outputs.count(output) for output in (0, 3)}


def sorted_by(state: JobState) -> dict[int, int]:
    return {output: state.sorted[output] for output in (0, 3)}


def test_until_the_target(system: System, stream: Flow, board: VirtualBoard, tmp_path: Path) -> None:
    """Beside a watch and through a program that holds the port; never one sort more than the target."""
    job = write_job(system, tmp_path, "{minutes = 5}", ", target = 7")
    with connect(str(board.port)) as owner:
        watch = start("watch", "--port", board.port, "--json", "--count", len(stream.events))
        sorting = start("sort", job, "--port", board.port, "--json")
        assert last_line(watch)["summary"]["lost_events"] == 0
        ended = last_line(sorting)
        assert owner.status().armed is False
    state = read_journal(tmp_path / "job")
    assert (ended["ended"], ended["done"], ended["exact"]) == ("its targets are reached", True, True)
    assert sorted_by(state) == pulses(board)
    assert state.sorted[0] == 7
    assert ended["events"] <= len(stream.events)
    data = flowio.FlowData(tmp_path / "job" / "events.fcs")
    rows = data.as_array()[:, [data.pnn_labels.index(name) for name in ("outcome", "direction")]].tolist()
    assert {output: rows.count([Outcome.SORTED, output]) for output in (0, 3)} == sorted_by(state)


def test_killed_and_taken_up(system: System, stream: Flow, board: VirtualBoard, tmp_path: Path) -> None:
    """What the RTL sorted behind the death of the program is counted, and nothing twice."""
    job = write_job(system, tmp_path, "{minutes = 0.05}")
    sorting = start("sort", job, "--port", board.port, "--json")
    limit = time.monotonic() + 120
    while (
        not (tmp_path / "job" / "events.fcs").exists()
        or not (runs := read_journal(tmp_path / "job").runs)
        or runs[-1].armed is None
    ):
        assert time.monotonic() < limit
        time.sleep(0.05)
    with connect(str(board.port)) as sorter:
        while sorter.counters()["ACCEPTED"] < 5:
            assert time.monotonic() < limit
    sorting.send_signal(signal.SIGKILL)
    sorting.communicate()
    with connect(str(board.port)) as sorter:  # armed or not: its cells flow to the end
        while sorter.counters()["ACCEPTED"] < len(stream.events):
            assert time.monotonic() < limit
    ended = last_line(start("sort", job, "--port", board.port, "--json", "--resume"))
    state = read_journal(tmp_path / "job")
    assert (ended["runs"], ended["exact"], ended["events"]) == (2, True, len(stream.events))
    assert sorted_by(state) == pulses(board)


def test_somebody_disarms(system: System, board: VirtualBoard, tmp_path: Path) -> None:
    """No pulse behind it; the job says so, and does not arm again."""
    job = write_job(system, tmp_path, "{minutes = 5}")
    sorting = start("sort", job, "--port", board.port, "--json")
    limit = time.monotonic() + 120
    armed = False
    while not armed:
        assert time.monotonic() < limit
        if (tmp_path / "job" / "events.fcs").exists():
            with connect(str(board.port)) as sorter:
                armed = sorter.status().armed
        time.sleep(0.05)
    stop(str(board.port))
    _, errors = sorting.communicate(timeout=60)
    assert sorting.returncode == 2
    with connect(str(board.port)) as sorter:
        sorted_then = sorter.counters()["SORTED"]
    assert "stopped it; arm again when it may sort; `icsort sort " in errors
    state = read_journal(tmp_path / "job")
    assert state.counts["SORTED"] == sorted_then == sum(pulses(board).values())
    assert sum(state.sorted.values()) == sorted_then
