# SPDX-License-Identifier: Apache-2.0
"""`icsort record` on a board that a thread plays."""

import json
import resource
import signal
import time
from functools import partial
from pathlib import Path

import flowio
import pytest

from tests.host.commands.test_board_commands import GATES, build, icsort, refusal, start
from tests.host.fake_board import FakeBoard


def reports(board: FakeBoard, *numbers: int) -> None:
    """The board reports these events while the host asks who it is, which is when it usually begins to."""
    once = iter([b"".join(board.event(number) for number in numbers)])
    board.on_request = lambda: board.put(next(once, b""))


@pytest.mark.parametrize("stop", [None, signal.SIGINT, signal.SIGTERM])
def test_record(board: FakeBoard, package: Path, tmp_path: Path, stop: signal.Signals | None) -> None:
    """By count or until it is asked to stop; the board is left as it was found, and never armed."""
    path, before, numbers = tmp_path / "a.fcs", dict(board.registers), [0, 1, 2, 7, 8]
    reports(board, *numbers)
    words = ("record", str(path), "--port", board.port, "--model", build(package, "0123456789abcdef"), "--json")
    process = start(*words, *(() if stop else ("--count", "5")))
    assert process.stdout is not None
    assert json.loads(process.stdout.readline()) == {"recording": str(path)}
    if stop:
        process.send_signal(stop)
    rest, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")
    data = flowio.FlowData(path)
    summary = json.loads(rest)
    assert summary["events"] == data.event_count
    if not stop:
        assert summary == {
            "files": [str(path)], "events": 5, "amended": 0, "gaps": 1, "lost_events": 4, "lost_frames": 0,
            "bad_frames": 0, "restarts": 0,
        }  # fmt: skip
        assert data.as_array()[:, data.pnn_labels.index("event")].tolist() == numbers
        assert (int(data.text["lost"]), int(data.text["icsort gaps"])) == (4, 1)
    assert data.text["icsort build id"] == "0123456789abcdef"
    asked = {request[2:4] for request in board.requests if request[0] == 2}
    assert asked == {b"\x00\x03"}  # GATE_INDEX, by which the gate in force is read; RECORD_FIELDS is as wanted
    assert board.registers[0x400] == before[0x400]


def test_what_is_there_is_kept(board: FakeBoard, package: Path, tmp_path: Path) -> None:
    path, gates = tmp_path / "a.fcs", tmp_path / "gates.toml"
    words = ("record", str(path), "--port", board.port, "--model", str(package), "--count", "1")
    for force in ((), ("--force",)):
        reports(board, 3)
        done = icsort(*words, *force)
        assert done.returncode == 0, done.stderr
        first, last = done.stdout.splitlines()
        assert first == f"recording to {path}: 20 values an event; Ctrl-C ends it"
        assert last.startswith(f"{path}: 1 events, 0 of them sorts that did not come; lost: 0 in 0 gaps")
    assert "exists already" in refusal(*words)
    assert flowio.FlowData(path).event_count == 1
    path.write_text("notes")
    assert "is no recording of icsort" in refusal(*words, "--force")
    gates.write_text(GATES)
    assert "the file has 1 gates, the set in force 0" in refusal(*words, "--gates", str(gates))
    assert path.read_text() == "notes"


def test_the_board_goes_away(board: FakeBoard, package: Path, tmp_path: Path) -> None:
    """What came is kept, and the error is that of the port."""
    path = tmp_path / "a.fcs"
    reports(board, 0, 1, 2)
    process = start("record", str(path), "--port", board.port, "--model", str(package))
    assert process.stdout is not None
    process.stdout.readline()
    board.unplug()
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "the port is gone" in errors
    assert flowio.FlowData(path).event_count == 3


def test_watch_records_beside_and_sorts_on_where_the_disk_is_full(
    board: FakeBoard, package: Path, tmp_path: Path
) -> None:
    """The recording ends with a warning that says what is kept; the board stays armed until the watch ends."""
    at = ("--port", board.port, "--model", str(package))
    assert icsort("gate", "set", "M", *at).returncode == 0
    path, full = tmp_path / "a.fcs", tmp_path / "full.fcs"
    for file, limit, warned in ((path, 2**30, False), (full, 2**13, True)):
        board.on_request = lambda: None
        no_more = partial(resource.setrlimit, resource.RLIMIT_FSIZE, (limit, limit))
        words = ("watch", "--arm", "--record", str(file), "--json", "--count", "300", *at)
        watch = start(*words, preexec_fn=no_more)
        assert watch.stdout is not None
        until = time.monotonic() + 30
        while not board.armed and time.monotonic() < until:
            time.sleep(0.02)
        for first in range(0, 300, 20):
            board.put(b"".join(board.event(number, time=1000 * number) for number in range(first, first + 20)))
            assert all(watch.stdout.readline() for _ in range(20))
            assert board.armed
            time.sleep(0.05)
        out, errors = watch.communicate(timeout=60)
        assert watch.returncode == 0
        assert json.loads(out.splitlines()[-1])["summary"]["events"] == 300
        assert ("which are kept and can be read" in errors) == warned
        assert not board.armed
        data = flowio.FlowData(file)
        numbers = data.as_array()[:, data.pnn_labels.index("event")].tolist() if data.event_count else []
        assert numbers == list(range(len(numbers)))
        assert (len(numbers) < 300) == warned
    assert "exists already" in refusal("watch", "--record", str(path), *at)
    assert "--record needs --model" in refusal("watch", "--record", str(path), "--port", board.port)
