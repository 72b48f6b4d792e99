# SPDX-License-Identifier: Apache-2.0
"""`icsort sort`: a whole job against the fake board, with everything that may cut it short."""

import json
import os
import random
import re
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import flowio
import pytest
from typer.testing import CliRunner

from icsort.cli.root import app
from icsort.errors import IcsortError
from icsort.formats.journal import JOURNAL_FILE, Ended, JournalWriter, read_journal
from icsort.formats.recorded_images import RecordedImages
from icsort.host import job as host_job
from icsort.host.job import image_folders
from icsort.host.link.protocol import ImageReason
from icsort.host.session import connect, stop
from tests.host import fake_board
from tests.host.fake_board import HEARTBEAT, STATUS, FakeBoard
from tests.host.jobs import IDLE, INSTRUMENT, JOB, SORTED_0, count, wait_for_arm, write_job

DIRECTION_0_TARGET = 0x10C


@pytest.fixture(autouse=True)
def _runtime(board: FakeBoard, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with tempfile.TemporaryDirectory(prefix="icsort-") as folder:
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        board.registers[STATUS] |= IDLE
        yield


@pytest.fixture
def job(package: Path) -> Path:
    return write_job(package.parent)


def sort(job: Path, *words: str) -> Any:
    """The result of the command, in this process."""
    return CliRunner().invoke(app, ["sort", str(job), *words])


def refusal(job: Path, *words: str) -> str:
    result = sort(job, *words)
    assert isinstance(result.exception, IcsortError), result.output
    assert "\n" not in str(result.exception)
    return str(result.exception)


def documents(result: Any) -> list[dict[str, Any]]:
    assert result.exit_code == 0, result.exception or result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def world(board: FakeBoard, *acts: Callable[[], object]) -> threading.Thread:
    """What happens once the board is armed, one act after the other."""

    def happen() -> None:
        wait_for_arm(board)
        for act in acts:
            act()
            time.sleep(0.05)

    thread = threading.Thread(target=happen)
    thread.start()
    return thread


def test_dry_run_sends_nothing(board: FakeBoard, job: Path) -> None:
    (plan,) = [json.loads(sort(job, "--dry-run", "--json", "--port", board.port).stdout)]
    assert plan["schedule"]["directions"]["0"]["target"] == 50
    assert (plan["folder"], plan["resumed"]) == (str(job.parent / "monday"), False)
    shown = sort(job, "--dry-run").stdout
    assert "tube A: 50 cells" in shown
    assert "after 1,000 events, or when the targets are reached" in shown
    assert "all checks passed; nothing was sent" in shown
    assert board.requests == []
    assert not (job.parent / "monday").exists()


@pytest.mark.parametrize(
    ("file", "find", "replace", "problem"),
    [
        ("gates.toml", 'classes = ["M"]', 'classes = ["G2"]', "the model has no class 'G2'"),
        ("instrument.toml", "pulse_us = 20", "pulse_us = 2000", "pulse of 2000.0 us is not within"),
        ("instrument.toml", 'trigger = "package"', "trigger = {on = 5, off = 9}", "instrument.toml: "),
        ("job.toml", "{events = true}", "{events = true, features = true}", "record.features: the build has none"),
        ("job.toml", "{events = true}", '{events = true, images = {gate = "up"}}', "gates.toml has no gate 'up'; its"),
        ("job.toml", "{events = true}", "{events = true, images = {}}", "record.images: give every or gate"),
        ("job.toml", 'model = "package"', 'model = "gates.toml"', "there is no such folder"),
        ("job.toml", 'folder = "monday"', 'folder = "package"', "exists already; go on with it by --resume"),
        ("job.toml", 'folder = "monday"', 'folder = "gates.toml/x"', "gates.toml; name another folder in the job"),
        ("job.toml", 'folder = "monday"', f'folder = "{"m" * 300}"', "File name too long); name another folder"),
        ("job.toml", "mode =", "heartbeat_s = 60\nmode =", "heartbeat of 60000000.0 us is not within"),
    ],
)
def test_what_is_wrong_is_told_before_anything_is_sent(
    board: FakeBoard, job: Path, file: str, find: str, replace: str, problem: str
) -> None:
    path = job.parent / file
    assert find in path.read_text()
    (job.parent / "package" / "build.json").write_text(
        json.dumps({"build_id": "0123456789abcdef", "baud": 4_000_000, "features": 0, "clock_mhz": 100.0})
    )
    path.write_text(path.read_text().replace(find, replace, 1))
    for words in ((), ("--dry-run",)):
        assert problem in refusal(job, "--port", board.port, *words)
    assert board.requests == []
    assert not (job.parent / "monday").exists()


def test_a_job_until_its_target(board: FakeBoard, job: Path) -> None:
    events = b"".join(board.event(number, outcome=number % 2) for number in range(40))
    happens = world(
        board,
        lambda: board.put(events),
        lambda: count(board, ACCEPTED=300, SORTED=40, SORTED_0=30, SORTED_1=10, LATE=5),
        lambda: time.sleep(0.7),
        lambda: count(board, ACCEPTED=300, SORTED=40, SORTED_0=20, SORTED_1=20),
    )
    begun, *_, ended = documents(sort(job, "--port", board.port, "--json"))
    happens.join()
    assert begun == {"job": "mitotic cells", "folder": str(job.parent / "monday"), "port": board.port}
    assert ended["ended"] == "its targets are reached"
    assert (ended["done"], ended["exact"], ended["runs"], ended["events"]) == (True, True, 1, 600)
    assert [row["sorted"] for row in ended["directions"]] == [50, 30]
    assert ended["aborts"] == {"LATE": 5}
    assert not board.armed
    assert board.registers[DIRECTION_0_TARGET] == 50
    assert board.registers[HEARTBEAT] == 200_000_000
    folder = job.parent / "monday"
    data = flowio.FlowData(folder / "events.fcs")
    assert (data.event_count, data.text["icsort job"]) == (40, "mitotic cells")
    assert "gate left" in data.pnn_labels
    assert (folder / "job.toml").read_text() == JOB
    assert (folder / "instrument.toml").read_text() == INSTRUMENT
    state = read_journal(folder)
    assert (state.sorted[0], state.sorted[1], len(state.runs)) == (50, 30, 1)
    assert state.begun.classes == ("G1", "S", "M")
    assert "exists already; go on with it by --resume" in refusal(job, "--port", board.port)
    assert "the job has ended, its targets are reached; change its [stop]" in refusal(
        job, "--port", board.port, "--resume"
    )


def test_images_of_each_run_beside_its_events(board: FakeBoard, job: Path) -> None:
    """Also behind a reset of the board between two runs, which counts events anew."""
    job.write_text(JOB.replace("{events = true}", '{events = true, images = {gate = "right"}}').replace("50", "30"))
    assert "images of gate right" in sort(job, "--dry-run").stdout
    folder = job.parent / "monday"
    draw = random.Random(1)
    sent = [draw.randbytes(40 * 38 * 2) for _ in range(4)]

    def send(first: int) -> None:
        assert board.registers[fake_board.IMAGE_RULE] == 1 << 8 | ImageReason.GATE
        for number in (0, 1):
            board.put(board.event(number, time=2**40 + first + number))
            bodies = fake_board.pieces_of(number, sent[first + number], ImageReason.GATE)
            board.put(b"".join(map(board.image, bodies)))

    happens = world(board, lambda: send(0), lambda: time.sleep(0.3), lambda: board.disarm(fake_board.HOST))
    assert sort(job, "--port", board.port).exception is not None
    happens.join()
    happens = world(board, lambda: send(2), lambda: time.sleep(0.3), lambda: count(board, SORTED=30, SORTED_0=30))
    assert documents(sort(job, "--port", board.port, "--resume", "--json"))[-1]["done"]
    happens.join()
    assert board.registers[fake_board.IMAGE_RULE] == 0
    assert image_folders(folder) == [folder / "images", folder / "images-002"]
    for run, kept in enumerate(image_folders(folder)):
        recorded = RecordedImages.of(kept)
        (cells,) = recorded.cells(9)
        assert [pixels.tobytes() for pixels in cells.pixels] == sent[2 * run : 2 * run + 2]
        assert cells.values[:, 0].tolist() == [2**40 + 2 * run, 2**40 + 2 * run + 1]
        assert [file.path.name for file in recorded.match.files] == [("events.fcs", "events-002.fcs")[run]]


def test_the_boards_own_statistics_are_what_is_followed(board: FakeBoard, job: Path) -> None:
    """One from before the board was armed, which still waits, says nothing of this run."""
    begun = 2**32 + 7  # the fake board's time
    board.put(board.statistics(1, begun - 5, {SORTED_0: 3}))
    stale = board.statistics(2, begun - 1, {SORTED_0: 2**31})
    frames = [
        board.statistics(3 + n, begun + n, board.counters | {SORTED_0: 100 + SORTED_0 + 20 * n}) for n in range(4)
    ]
    happens = world(board, lambda: board.put(stale), lambda: board.put(b"".join(frames)))
    *_, ended = documents(sort(job, "--port", board.port, "--json"))
    happens.join()
    assert ended["done"]
    state = read_journal(job.parent / "monday")
    assert board.registers[fake_board.STATISTICS_PERIOD] == 50_000_000
    assert state.runs[0].seconds < 1
    entries = [json.loads(line) for line in (job.parent / "monday" / JOURNAL_FILE).read_text().splitlines()]
    progress = [entry["counters"]["SORTED_0"] for entry in entries if entry["entry"] == "progress"]
    assert progress == [100 + SORTED_0 + 20 * n for n in range(4)]


def test_rules_that_end_a_job(board: FakeBoard, job: Path) -> None:
    job.write_text(JOB.replace("stop = {events = 1000}", "stop = {events = 100, minutes = 0.02}"))
    happens = world(board, lambda: count(board, ACCEPTED=100, SORTED=1, SORTED_0=1))
    shown = sort(job, "--port", board.port)
    happens.join()
    assert shown.exit_code == 0
    assert "disarmed: 100 events are reached; 100 events in " in shown.stdout
    job.write_text(job.read_text().replace("events = 100", "events = 10000"))  # when it stops may change
    shown = sort(job, "--port", board.port, "--resume")
    assert shown.exit_code == 0, shown.exception
    assert re.search(r"disarmed: 0\.02 minutes are over; 100 events in \d+\.\d s", shown.stdout)
    assert "in 2 runs" in shown.stdout
    assert board.registers[DIRECTION_0_TARGET] == 49
    assert sorted(path.name for path in (job.parent / "monday").glob("*.fcs")) == ["events-002.fcs", "events.fcs"]


def start(*words: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "icsort", *words], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def progressed(process: "subprocess.Popen[str]", events: int) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if json.loads(line).get("events") == events:
            return
    raise AssertionError(process.communicate())


@pytest.mark.parametrize("since", ["nothing", "armed", "reset", "torn"])
def test_a_job_that_is_killed_goes_on(board: FakeBoard, job: Path, since: str) -> None:
    """What the board sorted until it disarmed itself counts too, where it can still say so."""
    process = start("sort", str(job), "--port", board.port, "--json")
    wait_for_arm(board)
    board.put(b"".join(board.event(number) for number in range(20)))
    count(board, ACCEPTED=200, SORTED=20, SORTED_0=20)
    progressed(process, 200)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    count(board, ACCEPTED=10, SORTED=5, SORTED_0=5)  # within the heartbeat
    board.disarm(fake_board.SILENCE)
    assert "exists already; go on with it by --resume" in refusal(job, "--port", board.port)
    if since == "armed":
        with connect(board.port) as sorter:
            from tests.host.recordings import example

            sorter.arm(example())
            count(board, SORTED=9, SORTED_0=9)
    elif since == "reset":
        board.counters.update(dict.fromkeys(board.counters, 0))
        board.registers[fake_board.TIMESTAMP + 4] = 0
        board._write = keeping_time(board)  # type: ignore[method-assign]
    elif since == "torn":
        with (job.parent / "monday" / JOURNAL_FILE).open("ab") as journal:
            journal.write(b'{"entry": "progress", "tim')
    exact = since in ("nothing", "torn")
    first = (job.parent / "monday" / "events.fcs").read_bytes()
    left = 50 - (25 if exact else 20)
    happens = world(board, lambda: count(board, ACCEPTED=100, SORTED=left, SORTED_0=left))
    *_, ended = documents(sort(job, "--port", board.port, "--json", "--resume"))
    happens.join()
    assert board.registers[DIRECTION_0_TARGET] == left
    assert (ended["done"], ended["exact"], ended["runs"]) == (True, exact, 2)
    assert ended["directions"][0]["sorted"] == 50
    assert ended["events"] == (310 if exact else 300)
    assert (job.parent / "monday" / "events.fcs").read_bytes() == first  # nothing is written over
    assert [Path(file).name for file in ended["files"]] == ["events.fcs", "events-002.fcs"]
    cut = read_journal(job.parent / "monday").runs[0].ended
    assert cut is not None
    assert cut.why.startswith("it was cut short")
    assert ("reset or armed since" in cut.why) != exact


def test_a_power_cut_and_the_board_is_up_for_longer(board: FakeBoard, job: Path) -> None:
    """Its counters, from 0 again, are not those of the job that was the first since it was switched on."""
    board.counters.update(dict.fromkeys(board.counters, 0))
    process = start("sort", str(job), "--port", board.port, "--json")
    wait_for_arm(board)
    count(board, ACCEPTED=200, SORTED=30, SORTED_0=30)
    progressed(process, 200)
    process.kill()
    process.communicate()
    reset(board, up=9)
    happens = world(board, lambda: count(board, SORTED=20, SORTED_0=20))
    *_, ended = documents(sort(job, "--port", board.port, "--json", "--resume"))
    happens.join()
    assert board.registers[DIRECTION_0_TARGET] == 20
    assert (ended["directions"][0]["sorted"], ended["exact"]) == (50, False)


@pytest.mark.parametrize("register", [fake_board.FRONT_COMMIT, fake_board.ARM])
@pytest.mark.parametrize("armed", [False, True])
def test_killed_while_it_prepares(board: FakeBoard, job: Path, register: int, armed: bool) -> None:
    """What another program sorted since is not this job's; whether it was armed at all is only known by its entry."""
    write = struct.pack("<BxH", 2, register)
    killed: list[subprocess.Popen[str]] = []

    def kill() -> None:
        if killed and board.requests[-1][:1] + b"\0" + board.requests[-1][2:4] == write:
            killed[0].kill()
            killed[0].wait()

    board.on_request = kill
    killed.append(start("sort", str(job), "--port", board.port, "--json"))
    killed[0].communicate()
    killed.clear()
    board.on_request = lambda: None
    if armed:
        with connect(board.port) as sorter:
            from tests.host.recordings import example

            sorter.arm(example())
            count(board, ACCEPTED=100, SORTED=40, SORTED_0=40)
    board.disarm(fake_board.SILENCE)
    happens = world(board, lambda: count(board, SORTED=50, SORTED_0=50))
    *_, ended = documents(sort(job, "--port", board.port, "--json", "--resume"))
    happens.join()
    assert board.registers[DIRECTION_0_TARGET] == 50
    assert ended["directions"][0]["sorted"] == 50
    assert ended["exact"] == (register == fake_board.FRONT_COMMIT and not armed)


@pytest.mark.parametrize("since", ["nothing", "reset"])
def test_a_lost_link_is_made_good(board: FakeBoard, job: Path, since: str) -> None:
    """By what the board counted until it disarmed itself, where it can still say so; once."""
    owner = connect(board.port)
    process = start("sort", str(job), "--port", board.port, "--json")
    wait_for_arm(board)
    count(board, ACCEPTED=200, SORTED=20, SORTED_0=20)
    progressed(process, 200)
    owner.close()
    count(board, ACCEPTED=10, SORTED=5, SORTED_0=5)  # nobody asks any more
    process.communicate()
    assert process.returncode == 2
    state = read_journal(job.parent / "monday")
    assert (state.exact, state.sorted[0]) == (False, 20)
    if since == "reset":
        reset(board, up=9)
    left = 25 if since == "nothing" else 30
    why = state.runs[0].ended
    assert why is not None
    happens = world(board, lambda: stop(board.port))
    refusal(job, "--port", board.port, "--resume")
    happens.join()
    assert board.registers[DIRECTION_0_TARGET] == left
    state = read_journal(job.parent / "monday")
    assert (state.exact, state.sorted[0], len(state.runs[0].course)) == (since == "nothing", 50 - left, 2)
    ended = state.runs[0].ended
    assert ended is not None
    assert ended.why == why.why + ("" if since == "nothing" else ", and the board may have been reset or armed since")
    happens = world(board, lambda: count(board, SORTED=left, SORTED_0=left))
    *_, document = documents(sort(job, "--port", board.port, "--json", "--resume"))
    happens.join()
    assert (document["exact"], document["directions"][0]["sorted"]) == (since == "nothing", 50)
    entries = [json.loads(line) for line in (job.parent / "monday" / JOURNAL_FILE).read_text().splitlines()]
    assert [(entry["run"], entry["unasked"]) for entry in entries if entry["entry"] == "ended"] == [
        (1, True), (1, False), (2, False), (3, False),
    ]  # fmt: skip


def test_the_target_that_was_reached_behind_the_crash(board: FakeBoard, job: Path) -> None:
    process = start("sort", str(job), "--port", board.port, "--json")
    wait_for_arm(board)
    count(board, ACCEPTED=200, SORTED=20, SORTED_0=20)
    progressed(process, 200)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    count(board, SORTED=30, SORTED_0=30)
    board.disarm(fake_board.SILENCE)
    (ended,) = documents(sort(job, "--port", board.port, "--json", "--resume"))
    assert (ended["ended"], ended["done"], ended["exact"]) == ("its targets are reached", True, True)
    assert ended["directions"][0]["sorted"] == 50
    assert not board.armed
    assert ended["runs"] == 1


def keeping_time(board: FakeBoard) -> Callable[[int, int], None]:
    """A board that was reset a moment ago."""
    write = board._write

    def written(address: int, data: int) -> None:
        write(address, data)
        board.registers[fake_board.TIMESTAMP + 4] = 0

    return written


def reset(board: FakeBoard, up: int = 0) -> None:
    """up: 2^32 cycles that it has been on since. It counts from 0, and forgets what it was told."""
    write = board._write

    def written(address: int, data: int) -> None:
        write(address, data)
        board.registers[fake_board.TIMESTAMP + 4] = up

    board._write = written  # type: ignore[method-assign]
    for serial in (fake_board.SCHEDULE_SERIAL, fake_board.GATE_SERIAL, fake_board.FRONT_SERIAL):
        board.registers[serial] = 0
    board.registers[STATUS] = fake_board.INTERLOCK | IDLE
    board.counters.update(dict.fromkeys(board.counters, 0))


def told(job: Path, events: int) -> Callable[[], None]:
    """Until the journal has so many."""

    def waits() -> None:
        while (job.parent / "monday" / JOURNAL_FILE).exists() and (
            read_journal(job.parent / "monday").counts.get("ACCEPTED", 0) < events
        ):
            time.sleep(0.05)

    return waits


@pytest.mark.parametrize("first", [False, True])
def test_a_board_that_resets_under_a_job(board: FakeBoard, job: Path, first: bool) -> None:
    """What was known until then counts, and is not called exact; first: since the board was switched on."""
    if first:
        board.counters.update(dict.fromkeys(board.counters, 0))
    happens = world(
        board,
        lambda: count(board, ACCEPTED=300, SORTED=30, SORTED_0=30),
        told(job, 300),
        lambda: reset(board),
    )
    line = refusal(job, "--port", board.port)
    happens.join()
    assert "the board is not armed: it was reset" in line
    state = read_journal(job.parent / "monday")
    assert (state.sorted[0], state.counts["ACCEPTED"], state.exact) == (30, 300, False)
    plan = json.loads(sort(job, "--dry-run", "--json", "--resume").stdout)
    assert plan["schedule"]["directions"]["0"]["target"] == 20


def test_a_board_that_was_reset_and_armed_by_another(board: FakeBoard, job: Path) -> None:
    """It is armed, and that is not this job's doing: what it counts is another's."""

    def other() -> None:
        board.registers[fake_board.SCHEDULE_SERIAL] += 1
        count(board, ACCEPTED=500, SORTED=500, SORTED_0=500)

    happens = world(board, lambda: count(board, ACCEPTED=300, SORTED=30, SORTED_0=30), told(job, 300), other)
    line = refusal(job, "--port", board.port)
    happens.join()
    assert "the board was reset, or another program armed it, while the job ran; look after it" in line
    state = read_journal(job.parent / "monday")
    assert (state.sorted[0], state.exact) == (30, False)
    assert not board.armed


def test_somebody_disarms_a_job_that_has_long_to_be_silent(board: FakeBoard, job: Path) -> None:
    """Counters that are asked for in between keep nobody from seeing it."""
    job.write_text(JOB.replace("mode =", "heartbeat_s = 40\nmode =").replace("{events = 1000}", "{minutes = 0.3}"))
    happens = world(board, lambda: stop(board.port))
    assert "the board is not armed: " in refusal(job, "--port", board.port)
    happens.join()


def test_ctrl_c_before_it_is_armed(board: FakeBoard, job: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is only being prepared is not armed any more."""
    take = host_job.take

    def taken(*words: Any) -> None:
        take(*words)
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr("icsort.host.job.take", taken)
    arms: list[bytes] = []
    arm = bytes([fake_board.ARM, 0])
    board.on_request = lambda: arms.extend(at for at in board.requests[-1:] if at[0] == 2 and at[2:4] == arm)
    begun, *_, ended = documents(sort(job, "--port", board.port, "--json"))
    assert (begun["job"], ended["ended"], ended["done"], ended["exact"]) == (
        "mitotic cells", "stopped by hand", False, True,
    )  # fmt: skip
    assert arms == []


def test_ctrl_c_and_on(board: FakeBoard, job: Path) -> None:
    process = start("sort", str(job), "--port", board.port, "--json")
    wait_for_arm(board)
    count(board, ACCEPTED=10)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (0, "")
    assert json.loads(output.splitlines()[-1])["ended"] == "stopped by hand"
    assert not board.armed
    state = read_journal(job.parent / "monday")
    assert state.exact
    assert state.counts["ACCEPTED"] == 10
    for file, text in (("gates.toml", "0.5"), ("job.toml", "target = 50")):
        path = job.parent / file
        before = path.read_text()
        path.write_text(before.replace(text, text.replace("5", "6")))
        assert "job, gates or model are not those that" in refusal(job, "--port", board.port, "--resume")
        path.write_text(before)
    job.write_text(JOB.replace("mode =", "heartbeat_s = 3\nmode ="))
    assert sort(job, "--dry-run", "--resume").exit_code == 0


def test_a_board_with_a_faster_clock(board: FakeBoard, job: Path) -> None:
    """Than the one that was checked with: nothing is made that could not go on."""
    board.registers[fake_board.CLOCK_HZ] = 400_000_000
    job.write_text(JOB.replace("mode =", "heartbeat_s = 20\nmode ="))
    assert "heartbeat of 20000000.0 us is not within" in refusal(job, "--port", board.port)
    assert not (job.parent / "monday").exists()


def test_somebody_disarms(board: FakeBoard, job: Path) -> None:
    """The job ends, says who it was, does not arm again, and may be taken up."""
    happens = world(board, lambda: count(board, ACCEPTED=7), lambda: stop(board.port))
    line = refusal(job, "--port", board.port)
    happens.join()
    assert "the board is not armed: " in line
    assert line.endswith(f"stopped it; arm again when it may sort; `icsort sort {job} --resume` goes on")
    assert not board.armed
    ended = read_journal(job.parent / "monday").runs[-1].ended
    assert ended is not None
    assert (ended.done, ended.exact, ended.why in line) == (False, True, True)
    assert read_journal(job.parent / "monday").counts["ACCEPTED"] == 7


def test_a_cable_that_is_pulled(board: FakeBoard, job: Path) -> None:

    def written() -> None:
        while read_journal(job.parent / "monday").counts["ACCEPTED"] < 7:
            time.sleep(0.05)

    happens = world(board, lambda: count(board, ACCEPTED=7), written, board.unplug)
    line = refusal(job, "--port", board.port)
    happens.join()
    assert "the port is gone" in line
    assert "--resume` goes on" in line
    ended = read_journal(job.parent / "monday").runs[-1].ended
    assert ended is not None
    assert (ended.exact, ended.counters["ACCEPTED"]) == (False, 100 + 0x80 + 7)


def test_another_program_sorts(board: FakeBoard, job: Path) -> None:
    """Nothing of it is touched, and no folder is made."""
    from tests.host.recordings import example

    with connect(board.port) as sorter:
        sorter.set_gate(["S"], 0.5, example())
        sorter.arm(example())
        assert "has armed the board or is about to, and one at a time may" in refusal(job, "--port", board.port)
        assert board.armed
        assert not (job.parent / "monday").exists()


def test_a_fault_is_looked_after_first(board: FakeBoard, job: Path) -> None:
    board.registers[fake_board.FAULTS] = 1
    assert "the interlock is open, or was; close it" in refusal(job, "--port", board.port)
    happens = world(board, lambda: count(board, SORTED=50, SORTED_0=50))
    *_, ended = documents(sort(job, "--port", board.port, "--json", "--resume", "--clear-faults"))
    happens.join()
    assert ended["done"]


def test_a_journal_is_one_programs(board: FakeBoard, job: Path) -> None:
    folder = job.parent / "monday"
    folder.mkdir()
    with JournalWriter(folder), pytest.raises(IcsortError, match="another program runs this job; end that one first"):
        JournalWriter(folder)
    assert "is empty; remove its folder, and begin the job anew" in refusal(job, "--port", board.port, "--resume")
    (folder / JOURNAL_FILE).write_text("notes\n")
    assert "is no journal of a job of this icsort" in refusal(job, "--port", board.port, "--resume")
    (folder / JOURNAL_FILE).unlink()
    assert "cannot be read (No such file or directory); give the folder" in refusal(job, "--resume")


def test_a_journal_that_is_damaged(board: FakeBoard, job: Path) -> None:
    happens = world(board, lambda: count(board, SORTED=50, SORTED_0=50))
    documents(sort(job, "--port", board.port, "--json"))
    happens.join()
    path = job.parent / "monday" / JOURNAL_FILE
    begun, run, *progress, ended = path.read_text().splitlines(keepends=True)
    for content, problem in (
        (run + begun, "does not say how the job began"),
        (begun + run + "{\n" + "".join(progress), r"line 3 is damaged"),
        (begun + ended, r"line 2 is of a run that is not under way"),
        (begun.replace('"version":1', '"version":2') + run, "is no journal of a job of this icsort"),
    ):
        path.write_text(content)
        with pytest.raises(IcsortError, match=problem):
            read_journal(path.parent)
    path.write_text(begun + run + "".join(progress) + ended[:40])
    assert read_journal(path.parent).runs[0].ended is None


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, a disk that is always full")
def test_a_full_disk_disarms(board: FakeBoard, job: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job does not sort what it cannot write down."""
    full = os.open("/dev/full", os.O_WRONLY)
    add = JournalWriter.add

    def filled(writer: JournalWriter, entry: Any) -> None:
        if entry.entry == "progress":
            os.dup2(full, writer._file)
        add(writer, entry)

    monkeypatch.setattr(JournalWriter, "add", filled)
    line = refusal(job, "--port", board.port)
    assert "No space left on device; a job does not sort what it cannot write down" in line
    assert not board.armed
    assert not isinstance(read_journal(job.parent / "monday").runs[-1].last, Ended)
    os.close(full)
