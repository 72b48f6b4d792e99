# SPDX-License-Identifier: Apache-2.0
"""`icsort calibrate delay`: steps, counts typed in or read, the instrument file written once somebody says so."""

import errno
import json
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from icsort.cli.root import app
from icsort.errors import IcsortError
from icsort.formats.instrument import load_instrument
from icsort.host.session import stop
from icsort.host.sorter import Sorter
from tests.host.fake_board import SCHEDULE, STATUS, TESTING, FakeBoard
from tests.host.jobs import IDLE, INSTRUMENT, count

DROPLETS = """
format = "icsort-instrument"
version = 1
name = "jet"
drop_clock = {frequency_hz = 92000, source = "internal"}
trigger = "package"

[[outputs]]
output = 2
delay_drops = 31.25  # to be found
"""
PEAK = [1, 0, 4, 20, 55, 90, 98, 70, 30, 8, 2, 0, 1, 0, 2]
DELAY = min(SCHEDULE)


@pytest.fixture(autouse=True)
def _runtime(board: FakeBoard, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with tempfile.TemporaryDirectory(prefix="icsort-") as folder:
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        board.registers[STATUS] |= IDLE
        yield


@pytest.fixture
def instrument(tmp_path: Path) -> Path:
    path = tmp_path / "instrument.toml"
    path.write_text(INSTRUMENT)
    return path


def calibrate(*words: object, typed: str = "") -> Any:
    return CliRunner().invoke(app, ["calibrate", "delay", *map(str, words)], input=typed)


def refusal(*words: object, typed: str = "") -> str:
    result = calibrate(*words, typed=typed)
    assert isinstance(result.exception, IcsortError), result.output
    return str(result.exception)


def table(path: Path, counts: list[int] = PEAK, first: float = 780.0, step: float = 5.0) -> Path:
    path.write_text("delay,count\n" + "".join(f"{first + step * i},{n}\n" for i, n in enumerate(counts)))
    return path


def test_counts_of_a_file(instrument: Path, tmp_path: Path) -> None:
    counts = table(tmp_path / "counts.csv")
    shown = calibrate(instrument, "--counts", counts, typed="y\n")
    assert shown.exit_code == 0, shown.exception
    assert "output 0: 808." in shown.stdout
    assert "it is 812.5 in the file" in shown.stdout
    setting = load_instrument(instrument)
    delay = setting.output(0).delay_us
    assert delay is not None
    assert 807.5 < delay < 809.5
    assert f"delay_us = {delay:g}         # found on Monday" in instrument.read_text()
    assert setting.output(1).delay_us == 818
    result = json.loads(calibrate(instrument, "--counts", counts, "--output", "1", "--yes", "--json").stdout)
    assert (result["before"], result["written"], result["unit"]) == (818, True, "us")
    assert result["fit"]["low"] < result["delay"] < result["fit"]["high"]
    assert load_instrument(instrument).output(1).delay_us == result["delay"]


@pytest.mark.parametrize("typed", ["n\n", "", "\n", "what\n"])
def test_nobody_said_yes(instrument: Path, tmp_path: Path, typed: str) -> None:
    shown = calibrate(instrument, "--counts", table(tmp_path / "counts.csv"), typed=typed)
    assert shown.exit_code == 0
    assert "left as it was" in shown.stdout
    assert instrument.read_text() == INSTRUMENT
    assert json.loads(calibrate(instrument, "--counts", tmp_path / "counts.csv", "--json").stdout)["written"] is False
    assert instrument.read_text() == INSTRUMENT


def test_bad_counts_change_nothing(instrument: Path, tmp_path: Path) -> None:
    flat = table(tmp_path / "flat.csv", [10] * 15)
    assert "they are flat" in refusal(instrument, "--counts", flat, "--yes")
    edge = table(tmp_path / "edge.csv", PEAK[::-1][8:])
    assert "at the edge" in refusal(instrument, "--counts", edge, "--yes")
    assert instrument.read_text() == INSTRUMENT


def test_the_line_ends_of_a_file_stay(instrument: Path, tmp_path: Path) -> None:
    before = INSTRUMENT.replace("\n", "\r\n").encode()
    instrument.write_bytes(before)
    calibrate(instrument, "--counts", table(tmp_path / "counts.csv"), "--yes")
    delay = load_instrument(instrument).output(0).delay_us
    assert delay != 812.5
    assert instrument.read_bytes() == before.replace(b"812.5", f"{delay:g}".encode())


def test_a_count_that_nobody_counts(instrument: Path, tmp_path: Path) -> None:
    counts = table(tmp_path / "counts.csv", [1, 10**400, *PEAK])
    assert "line 3: a count of 401 digits is none; give at most" in refusal(instrument, "--counts", counts)


def test_a_file_that_cannot_be_written(instrument: Path, tmp_path: Path) -> None:
    counts = table(tmp_path / "counts.csv")
    inline = INSTRUMENT[: INSTRUMENT.index("[[outputs]]")] + "outputs = [{output = 0, delay_us = 800, pulse_us = 9}]\n"
    instrument.write_text(inline)
    assert "does not stand in a line of its own; write 808." in refusal(instrument, "--counts", counts, "--yes")
    assert instrument.read_text() == inline


def test_a_failed_write_leaves_all_as_it_was(instrument: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counts = table(tmp_path / "counts.csv")
    there = sorted(tmp_path.iterdir())

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        line = refusal(instrument, "--counts", counts, "--yes")
    assert "instrument.toml: cannot be written (No space left on device); write 808." in line
    assert instrument.read_text() == INSTRUMENT
    assert sorted(tmp_path.iterdir()) == there
    instrument.chmod(0o600)
    assert calibrate(instrument, "--counts", counts, "--yes").exit_code == 0
    assert instrument.stat().st_mode & 0o777 == 0o600


def test_what_is_asked_for(instrument: Path, package: Path, tmp_path: Path, board: FakeBoard) -> None:
    at = ("--model", package, "--port", board.port)
    counts = table(tmp_path / "counts.csv")
    for words, problem in (
        ((), "give --from, --to and --model to step over delays, or --counts"),
        (("--from", 780, "--to", 850), "give --from, --to and --model"),
        (("--from", 850, "--to", 780, *at), "--to 780 is not behind --from 850; give a range"),
        (("--counts", counts, "--from", 3), "leave out --from, --to and --out"),
        (("--output", 4, "--counts", counts), "the instrument file has no output 4, only 0, 1"),
        (("--from", 780, "--to", 850, "--out", counts, *at), "exists already; give another name"),
        (("--from", 780, "--to", 850, "--out", tmp_path, *at), "cannot be written (Is a directory)"),
        (("--counts", tmp_path / "none.csv"), "No such file"),
    ):
        assert problem in refusal(instrument, *words)
    assert board.requests == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, a disk that is always full")
def test_a_full_disk_is_told_in_a_line(instrument: Path, package: Path, board: FakeBoard) -> None:
    words = ("--from", 780, "--to", 850, "--model", package, "--port", board.port, "--out", "/dev/full")
    line = "/dev/full: No space left on device after 0 lines; free space or choose another disk with --out"
    assert refusal(instrument, *words) == line
    assert board.requests == []


class Beads:
    """Beads that are sorted whenever test mode begins, and who counts them at each delay."""

    def __init__(self, board: FakeBoard, a_time: int) -> None:
        self.delays: list[int] = []
        self._board = board
        self._a_time = a_time
        board.on_test = self._come

    def _come(self) -> None:
        self.delays.append(self._board.registers[DELAY])
        count(self._board, SORTED_0=self._a_time)


def test_steps(board: FakeBoard, instrument: Path, package: Path, tmp_path: Path) -> None:
    """Each delay is armed for so many beads, then disarmed while somebody counts."""
    beads = Beads(board, 100)
    typed = "".join(f"{n}\n" for n in PEAK).replace("20\n", "many\n101\n-3\n20\n") + "y\n"
    out = tmp_path / "counts.csv"
    words = ("--from", 780, "--to", 850, "--steps", 15, "--model", package, "--port", board.port, "--out", out)
    shown = calibrate(instrument, *words, typed=typed)
    assert shown.exit_code == 0, shown.exception
    assert beads.delays == [78_000 + 500 * step for step in range(15)]
    assert "795 us: 100 sorted; counted: 'many' is no count; give a whole number" in shown.stderr
    assert "calibrate: 780 us, 100 of 100" in shown.stderr
    assert "101 cannot be, only 100 were sorted; count again" in shown.stderr
    assert not board.registers[STATUS] & TESTING
    assert load_instrument(instrument).output(0).delay_us == pytest.approx(808.5, abs=1)
    assert out.read_text().splitlines()[:3] == ["delay,count", "780.0,1", "785.0,0"]
    again = json.loads(calibrate(instrument, "--counts", out, "--json").stdout)
    assert again["delay"] == load_instrument(instrument).output(0).delay_us
    assert board.front  # the package's trigger


def test_steps_that_end_early(board: FakeBoard, instrument: Path, package: Path, tmp_path: Path) -> None:
    words = ("--from", 780, "--to", 850, "--model", package, "--port", board.port)
    assert "0 of 100 were sorted within 0.2 s; look after the cells" in refusal(instrument, *words, "--wait", 0.2)
    assert not board.registers[STATUS] & TESTING
    Beads(board, 100)
    out = tmp_path / "counts.csv"
    assert "no count was typed; the instrument file is as it was" in refusal(
        instrument, *words, "--out", out, typed="3\n"
    )
    assert out.read_text() == "delay,count\n780.0,3\n"  # what was counted is kept
    assert instrument.read_text() == INSTRUMENT


@pytest.mark.parametrize("when", ["claim", "disarm", "count"])
def test_who_disarms_between_two_steps_ends_it(
    board: FakeBoard, instrument: Path, package: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    """Right before or right behind the last look at the board of a step: the next one is not armed."""
    beads = Beads(board, 5)
    calls: list[str] = []

    def beside(name: str) -> None:
        whole = getattr(Sorter, name)

        def meant(sorter: Sorter, *words: Any) -> Any:
            calls.append(name)
            if name == when and beads.delays and "stop" not in calls:
                calls.append("stop")
                stop(board.port)
            return whole(sorter, *words)

        monkeypatch.setattr(Sorter, name, meant)

    for name in ("claim", "disarm"):
        beside(name)
    if when == "count":
        monkeypatch.setattr("icsort.host.commands.calibrate._ask", lambda *_: stop(board.port) or 3)
    words = ("--from", 780, "--to", 850, "--sorts", 5, "--model", package, "--port", board.port)
    line = refusal(instrument, *words, typed="3\n" * 20)
    assert "stopped it; arm again" in line or "it was disarmed meanwhile" in line
    assert len(beads.delays) == 1
    assert not board.registers[STATUS] & TESTING


def test_who_disarms_within_a_step_is_named(board: FakeBoard, instrument: Path, package: Path) -> None:
    """At once, though counters are asked for all the time; not when the cells did not come in time."""

    def someone() -> None:
        while not board.registers[STATUS] & TESTING:
            time.sleep(0.01)
        stop(board.port)

    other = threading.Thread(target=someone)
    other.start()
    words = ("--from", 780, "--to", 850, "--model", package, "--port", board.port, "--heartbeat", 2)
    line = refusal(instrument, *words, "--wait", 10)
    other.join()
    assert "the board is not armed: " in line
    assert line.endswith("stopped it; arm again when it may sort")


def test_drops(instrument: Path, tmp_path: Path) -> None:
    """In sixteenths, which is what the board takes."""
    instrument.write_text(DROPLETS)
    counts = table(tmp_path / "counts.csv", first=30, step=0.125)
    shown = calibrate(instrument, "--output", 2, "--counts", counts, "--yes")
    assert shown.exit_code == 0, shown.exception
    delay = load_instrument(instrument).output(2).delay_drops
    assert delay == 30.6875
    assert "delay_drops = 30.6875  # to be found" in instrument.read_text()
