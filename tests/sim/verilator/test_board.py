# SPDX-License-Identifier: Apache-2.0
"""The host's commands against the virtual board: the real RTL behind a serial port."""

import contextlib
import fcntl
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import flowio
import numpy as np
import pytest
from numpy.typing import NDArray

from icsort.errors import IcsortError
from icsort.formats import known
from icsort.formats.board import load_board
from icsort.formats.gate_set import GateSet
from icsort.host import self_test
from icsort.host.images import ImageAssembler
from icsort.host.link.protocol import EventRecord, ImagePiece, ImageReason, Statistics
from icsort.host.sorter import Sorter
from icsort.hw.compile import compile_package
from icsort.hw.reference import finn_logits
from icsort.sim.bit_true import gate
from icsort.sim.simulate.lines import Flow, flow
from icsort.sim.verilator.board import VirtualBoard, virtual_board
from tests.sim.conftest import System

pytestmark = pytest.mark.xdist_group("system")

CYCLES_PER_CELL = 6_700


def host(*words: object) -> subprocess.CompletedProcess[str]:
    """Run the `icsort` command in a process of its own, as a user does."""
    command = [sys.executable, "-m", "icsort", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def refused(done: subprocess.CompletedProcess[str]) -> str:
    """The one line of a command that refused: code 2, nothing else, no traceback."""
    assert done.returncode == 2, done.stdout + done.stderr
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("icsort: error: ")
    return lines[0]


@contextlib.contextmanager
def held_armed(*words: object) -> Iterator[subprocess.Popen[str]]:
    """A watch that holds the board armed and has received three events."""
    command = [sys.executable, "-m", "icsort", "watch", "--arm", "--json", *map(str, words)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as watch:
        assert watch.stdout is not None
        for _ in range(3):
            assert watch.stdout.readline()
        yield watch


def stands_still(pid: int) -> None:
    """Return once a process takes no processor time any more."""
    before = ""
    while (now := Path(f"/proc/{pid}/stat").read_text().split()[13]) != before:
        before = now
        time.sleep(0.5)


@pytest.fixture
def stream(system: System) -> Flow:
    return flow(system.cells, system.build.manifest, CYCLES_PER_CELL / system.build.line_beats)


@pytest.fixture
def board(system: System, stream: Flow, tmp_path: Path) -> Iterator[VirtualBoard]:
    with virtual_board(system.build, stream.lines, tmp_path / "board") as running:
        yield running


def test_sort(system: System, stream: Flow, board: VirtualBoard, tmp_path: Path) -> None:
    """Set a gate, arm, receive every event: logits, decisions, counters and pulses are what the models say."""
    manifest, at = system.build.manifest, ("--port", board.port, "--model", system.build.folder)
    info = json.loads(host("info", "--json", *at).stdout)
    assert (info["build_id"], info["model_id"], info["armed"]) == (system.build.build_id, manifest.model_id, False)

    wanted = manifest.classes[:2]
    assert host("gate", "set", *wanted, "--posterior", 0.6, *at).returncode == 0
    events_file, count = tmp_path / "events.jsonl", len(stream.events)
    times = ("--drop-delay-us", 40, "--pulse-us", 2)
    done = host("watch", "--arm", "--count", count, "--out", events_file, "--json", *times, *at)
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout.splitlines()[-1])["summary"]
    info = json.loads(host("info", "--json", *at).stdout)
    outcome = board.stop()

    events = [json.loads(line) for line in events_file.read_text().splitlines()]
    logits = np.array([event["logits"] for event in events])
    assert np.array_equal(logits, finn_logits(system.build, stream.pixels))
    passes, best, posterior = gate.decide(
        logits, 0b11, int(np.ceil(0.6 * 2**16)), manifest.posterior.multiplier, manifest.posterior.shift
    )
    assert [event["class"] for event in events] == best.tolist()
    assert [round(event["posterior"] * 2**16) for event in events] == posterior.tolist()
    assert [event["outcome"] for event in events] == ["SORTED" if ok else "REJECTED" for ok in passes]
    assert 0 < passes.sum() < count
    assert summary["lost_events"] == summary["bad_frames"] == 0

    counters = info["counters"]
    assert info["armed"] is False
    assert counters["ACCEPTED"] == outcome.summary["events"] == count
    assert counters["SORTED"] == passes.sum()
    assert counters["REJECTED"] == count - passes.sum()
    assert sum(counters[name] for name in ("DISARMED", "LATE", "HARDWARE", "CONFLICT", "COINCIDENCE", "AMBIGUOUS")) == 0
    sort_times = [event["time_cycles"] + 4000 for event in events if event["outcome"] == "SORTED"]
    assert outcome.summary["sort_pulses"] == [[time, 200, 0] for time in sort_times]


RECORDED = """
format = "icsort-gate-set"
version = 1

[scales.wide]
kind = "logicle"
t = 1000000
m = 5
w = 1

[[tests]]
name = "sure"
kind = "class"
classes = ["{first}"]
posterior = 0.5

[[tests]]
name = "drawn"
kind = "polygon"
x = {{value = "Total Intensity ({channel})", scale = "wide"}}
y = {{value = "logit {first}"}}
corners = [[0.3, -60.0], [0.72, -60.0], [0.8, 60.0], [0.25, 60.0]]

[[tests]]
name = "long"
kind = "range"
x = {{value = "event length", min = 16}}

[[gates]]
name = "one"
all = ["sure", "drawn"]

[[gates]]
name = "other"
any = ["not drawn", "long"]

[[directions]]
output = 1
gate = "one"
priority = 1

[[directions]]
output = 4
gate = "other"
"""


@pytest.mark.full  # a polygon's scales are hundreds of words over the virtual line
def test_preview_says_what_the_board_does(system: System, board: VirtualBoard, tmp_path: Path) -> None:
    """A sort is recorded; preview of the same gates, from the file alone, is what the RTL decided of each event. The
    line cannot carry all records with features: those that come are enough."""
    manifest, at = system.build.manifest, ("--port", board.port, "--model", system.build.folder)
    gates, schedule, file = tmp_path / "gates.toml", tmp_path / "schedule.toml", tmp_path / "sort.fcs"
    gates.write_text(RECORDED.format(first=manifest.classes[0], channel=manifest.channels[-1]))
    schedule.write_text("".join(f"[directions.{output}]\ndelay_us = 40\npulse_us = 2\n" for output in (1, 4)))
    assert host("gate", "set", gates, *at).returncode == 0
    words = ("--arm", "--schedule", schedule, "--features", "--record", file, "--idle", 3, "--json")
    done = host("watch", *words, *at)
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout.splitlines()[-1])["summary"]
    told = json.loads(host("gate", "preview", gates, "--events", file, "--model", system.build.folder, "--json").stdout)
    data = flowio.FlowData(file)
    columns = dict(zip(data.pnn_labels, data.as_array().T, strict=True))
    assert told["events"] == data.event_count == summary["events"] > 50
    assert int(data.text["lost"]) == summary["lost_events"]
    for index, name in enumerate(("one", "other")):
        assert told["gates"][name]["events"] == columns[f"gate {index}"].sum() > 0
    for output, direction in told["directions"].items():
        assert direction["events"] == (columns["direction"] == int(output)).sum() > 0


def test_images_and_statistics(system: System, stream: Flow, board: VirtualBoard) -> None:
    """While the board sorts: every window that comes is the network's, pixel by pixel; those that do not come are
    counted; statistics say of each moment what happened before it."""
    manifest = system.build.manifest
    images, statistics, events = {}, [], []
    with Sorter.open(str(board.port)) as sorter:
        identity = sorter.identify()
        assembler = ImageAssembler(identity.height * identity.width * identity.channels)
        sorter.set_gate(list(manifest.classes[:2]), 0.6, manifest)
        sorter.set_statistics(0.001)
        sorter.set_images(ImageReason.GATE, 0)
        sorter.arm(manifest, heartbeat=40)
        for message in sorter.events(idle=200):
            if isinstance(message, EventRecord):
                events.append(message)
            elif isinstance(message, Statistics):
                statistics.append(message)
                # The last image leaves behind all records, however long that takes here.
                told = len(images) + message.counters["IMAGES_SKIPPED"]
                if len(events) == len(stream.events) and told == sum(event.gates & 1 for event in events):
                    break
            elif isinstance(message, ImagePiece) and (image := assembler.see(message)):
                images[image.event_id] = np.frombuffer(image.pixels, np.uint8).reshape(stream.pixels.shape[1:])
        counters = sorter.counters()
    assert assembler.incomplete == 0
    hits = [event.event_id for event in events if event.gates & 1]
    assert len(events) == len(stream.events)
    assert set(images) <= set(hits)
    assert len(images) + counters["IMAGES_SKIPPED"] == len(hits) > len(images) > 0
    assert all(np.array_equal(pixels, stream.pixels[event]) for event, pixels in images.items())
    assert len(statistics) > 3
    for frame in statistics:
        light = frame.time - np.array([event.time for event in events])
        assert (light > 1000).sum() <= frame.counters["ACCEPTED"] <= (light > 0).sum()  # it takes time to accept one
    numbers = [frame.number for frame in statistics]
    assert numbers == sorted(set(numbers))


def test_arm_and_disarm(system: System, board: VirtualBoard) -> None:
    """Arming without a gate is refused; disarming before the drop delay is over cancels what was scheduled."""
    at = ("--port", board.port, "--model", system.build.folder)
    assert "no gate is set" in refused(host("arm", *at))
    host("gate", "set", *system.build.manifest.classes, *at)
    with held_armed("--drop-delay-us", 1_000_000, *at) as watch:
        assert host("disarm", "--port", board.port).returncode == 0
        _, stderr = watch.communicate(timeout=60)
    assert re.search(r"icsort disarm \(process \d+\) stopped it; arm again when it may sort", stderr)
    counters = json.loads(host("info", "--json", *at).stdout)["counters"]
    outcome = board.stop()
    assert counters["DISARMED"] >= 3
    assert counters["SORTED"] == 0
    assert outcome.summary["sort_pulses"] == []


def test_host_that_dies(system: System, board: VirtualBoard) -> None:
    """A host that is killed disarms nothing itself; the board does, a set time later, and says why."""
    at = ("--port", board.port, "--model", system.build.folder)
    host("gate", "set", *system.build.manifest.classes, *at)
    with held_armed("--drop-delay-us", 1_000_000, "--heartbeat", 0.002, *at) as watch:
        watch.kill()
        stands_still(board.process.pid)  # every line has flowed: asking any earlier would be a sign of life
    info = json.loads(host("info", "--json", *at).stdout)
    assert (info["armed"], info["disarmed_by"]) == (False, "HEARTBEAT")
    assert info["counters"]["HEARTBEATS_LOST"] == 1
    assert board.stop().summary["sort_pulses"] == []


def test_the_command_as_json(system: System, tmp_path: Path) -> None:
    """A line when the board is there, one when it has ended."""
    port = tmp_path / "board"
    words = [
        "board",
        system.build.folder,
        "--cells",
        system.run / "heldout.npz",
        "--count",
        3,
        "--port",
        port,
        "--json",
    ]
    command = [sys.executable, "-m", "icsort", *map(str, words)]
    # Started from a shell's background, this process ignores Ctrl-C and its children would.
    taken = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    signal.signal(signal.SIGINT, taken)
    with process:
        assert process.stdout is not None
        begun = json.loads(process.stdout.readline())
        assert begun == {"build_id": system.build.build_id, "port": str(port), "cells": 3}
        process.send_signal(signal.SIGINT)
        summary = json.loads(process.stdout.read())["summary"]
    assert process.returncode == 0
    assert (summary["events"], summary["sort_pulses"]) == (0, [])


def test_another_build(system: System, board: VirtualBoard, tmp_path: Path) -> None:
    """A folder of another build: the board is not armed and the line names both ids."""
    other = tmp_path / "other"
    folding = json.loads((system.build.folder / "build.json").read_text())["folding"]
    folding = {name: {**entry, "fifo_depth": 4} for name, entry in folding.items()}
    (tmp_path / "folding.json").write_text(json.dumps(folding))
    assert host("compile", system.package, "--out", other, "--folding", tmp_path / "folding.json").returncode == 0
    line = refused(host("arm", "--port", board.port, "--model", other))
    assert system.build.build_id in line
    assert json.loads((other / "build.json").read_text())["build_id"] in line
    assert json.loads(host("info", "--json", "--port", board.port).stdout)["armed"] is False


def test_board_that_dies(system: System, board: VirtualBoard, tmp_path: Path) -> None:
    """The board's process is killed while the host watches: one line, and every event received is in the file."""
    at = ("--port", board.port, "--model", system.build.folder)
    host("gate", "set", system.build.manifest.classes[0], *at)
    events_file = tmp_path / "events.jsonl"
    command = [sys.executable, "-m", "icsort", "watch", "--arm", "--json", "--out", str(events_file), *map(str, at)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as watch:
        assert watch.stdout is not None
        seen = [watch.stdout.readline() for _ in range(5)]
        os.kill(board.process.pid, signal.SIGKILL)
        rest, stderr = watch.communicate(timeout=60)
    assert watch.returncode == 2
    assert stderr.startswith("icsort: error: ")
    assert stderr.count("\n") == 1, stderr
    printed = [line for line in (*seen, *rest.splitlines()) if line.strip()]
    assert [json.loads(line) for line in events_file.read_text().splitlines()] == [json.loads(line) for line in printed]


@pytest.mark.parametrize(
    "kind", ["file", "folder", "link to a file", "link to a folder", "device", "socket", "live board"]
)
def test_port_that_is_something_else(system: System, tmp_path: Path, kind: str) -> None:
    """Only a dead link is replaced; what else stands at --port stays as it is."""
    port, target = tmp_path / "port", tmp_path / "target"
    holder: contextlib.AbstractContextManager[object] = contextlib.nullcontext()
    if kind == "file":
        port.write_text("precious")
    elif kind == "folder":
        port.mkdir()
    elif kind == "device":
        port.symlink_to("/dev/null")
    elif kind == "socket":
        holder = socket.socket(socket.AF_UNIX)
        holder.bind(str(port))
    elif kind == "live board":
        holder = virtual_board(system.build, no_lines(system), port)
    else:
        target.mkdir() if kind == "link to a folder" else target.write_text("precious")
        port.symlink_to(target)
    with holder:
        before = port.lstat()
        with (
            pytest.raises(IcsortError, match=r"port: is .*choose another --port"),
            virtual_board(system.build, no_lines(system), port),
        ):
            pass
        after = port.lstat()
        assert (after.st_ino, after.st_mode, after.st_mtime_ns) == (before.st_ino, before.st_mode, before.st_mtime_ns)
    assert kind != "file" or port.read_text() == "precious"


def test_dead_link_is_replaced(system: System, tmp_path: Path) -> None:
    port = tmp_path / "port"
    port.symlink_to(tmp_path / "gone")
    with virtual_board(system.build, no_lines(system), port):
        assert port.is_char_device()
    assert not port.is_symlink()


@pytest.mark.parametrize("shapes", [False, pytest.param(True, marks=pytest.mark.full)])  # of which scales take minutes
def test_self_test(system: System, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shapes: bool) -> None:
    """Of a known cell the RTL says what package and models say, and has its gate set again afterwards. The cell is cut
    short, as the virtual line takes its time to store it."""
    whole = self_test.own_gates

    def flat(*words: Any) -> GateSet:
        gates = whole(*words)
        tests = tuple(test for test in gates.tests if test.kind in ("class", "range"))
        return gates.model_copy(update={"tests": tests, "gates": tuple(g for g in gates.gates if g.name != "ring")})

    if not shapes:
        monkeypatch.setattr(self_test, "own_gates", flat)
    manifest, package = system.build.manifest, tmp_path / "package"
    shutil.copytree(system.package, package)
    known.write(package, replace(system.cells, images=tuple(image[16:22] for image in system.cells.images)))
    cells = known.load(package, manifest).first(1)
    with virtual_board(system.build, no_lines(system), tmp_path / "board") as board:
        with Sorter.open(str(board.port)) as sorter:
            before = sorter.set_gate(list(manifest.classes[:2]), 0.6, manifest)
            test = self_test.SelfTest(sorter, system.build, cells)
            test.run()
            after = sorter.gate()
        outcome = board.stop()
    assert [step for step in test.steps if not step.passed] == []
    figures = {step.name: step.figures for step in test.steps}
    assert figures["logits"]["compared"] == self_test.PLAYS * len(manifest.classes)
    assert figures["features"]["compared"] == self_test.PLAYS * system.build.features
    assert figures["images"]["compared"] == cells.pixels.size + 1
    assert (after.identity, after.mask, after.posterior) == (before.identity, before.mask, before.posterior)
    assert (outcome.summary["events"], outcome.summary["sort_pulses"]) == (self_test.PLAYS, [])


@pytest.mark.full
@pytest.mark.timeout(1800)
def test_what_goes_onto_a_ulx3s(system: System, tmp_path: Path) -> None:
    """The sorter of its bitstream, with that board's gate engine and link, passes the self-test."""
    package = tmp_path / "package"
    shutil.copytree(system.package, package)
    known.write(package, replace(system.cells, images=tuple(image[16:22] for image in system.cells.images)))
    build = compile_package(package, tmp_path / "build", board="ulx3s", features=False, line_pixels=1, rate=15_000.0)
    cells = known.load(package, build.manifest).first(1)
    with virtual_board(build, no_lines(system), tmp_path / "board") as board:
        with Sorter.open(str(board.port)) as sorter:
            assert sorter.fields("GATE_SIZE") == load_board("ulx3s").gate_engine.model_dump()
            test = self_test.SelfTest(sorter, build, cells)
            test.run()
        outcome = board.stop()
    assert [step for step in test.steps if not step.passed] == []
    assert outcome.summary["events"] == self_test.PLAYS


def test_known_cells_of_a_run_are_in_its_build(system: System) -> None:
    cells = known.load(system.build.folder, system.build.manifest)
    assert len(cells.lines) == known.CELLS
    assert (cells.logits == finn_logits(system.build, cells.pixels)).all()


def no_lines(system: System) -> NDArray[np.uint16]:
    manifest = system.build.manifest
    return np.zeros((0, manifest.line.width, len(manifest.channels)), np.uint16)


def test_port_in_use(board: VirtualBoard) -> None:
    with board.port.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert "busy" in refused(host("info", "--port", board.port))
