# SPDX-License-Identifier: Apache-2.0
"""The command line as a user meets it: exit codes, one line for each error, JSON, Ctrl-C, full disk."""

import contextlib
import fcntl
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from icsort.errors import IcsortError
from icsort.formats.package import Manifest, save
from icsort.host.commands import watch as commands
from icsort.host.commands.connection import duration
from icsort.sim.bit_true import gate_engine
from tests.host.conftest import MODEL
from tests.host.fake_board import ARM, ARMED, FRONT_COMMIT, STATISTICS_PERIOD, STATUS, FakeBoard

REPOSITORY = Path(__file__).parents[3]
Run = Callable[..., subprocess.CompletedProcess[str]]


def command(*words: str) -> list[str]:
    return [sys.executable, "-c", "from icsort.cli.root import main; main()", *words]


def icsort(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if name != "ICSORT_PORT"}
    return subprocess.run(
        command(*words),
        cwd=REPOSITORY,
        env=clean | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def start(*words: str, **options: Any) -> "subprocess.Popen[str]":
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command(*words), cwd=REPOSITORY, **(pipes | options))


def run_armed(*words: str, port: str) -> tuple[dict, str]:
    """The first line of a command that holds a board armed, and the rest once Ctrl-C has ended it."""
    holder = start(*words, "--port", port)
    assert holder.stdout is not None
    first = json.loads(holder.stdout.readline())
    holder.send_signal(signal.SIGINT)
    rest, errors = holder.communicate(timeout=20)
    assert (holder.returncode, errors) == (0, "")
    return first, rest


def refusal(*words: str) -> str:
    """The one line of a command that must fail."""
    done = icsort(*words)
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("icsort: error: ")
    return line.removeprefix("icsort: error: ")


def document(done: subprocess.CompletedProcess[str]) -> dict:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def build(package: Path, build_id: str, clock_mhz: float = 100.0) -> str:
    """The package as a build folder."""
    document = {
        "format": "icsort-build",
        "build_id": build_id,
        "baud": 4_000_000,
        "features": 0,
        "clock_mhz": clock_mhz,
    }
    (package / "build.json").write_text(json.dumps(document))
    return str(package)


def test_gate_arm_info_disarm(board: FakeBoard, package: Path) -> None:
    folder = build(package, "0123456789abcdef")
    done = icsort("gate", "set", "M", "S", "--posterior", "0.9", "--port", board.port, "--model", folder)
    assert (done.returncode, done.stdout) == (0, "gate 1: S, M at posterior 0.9 or more\n"), done.stderr
    words = gate_engine.of_classes(0b110, 58983, 3).words()
    assert board.in_force == words
    identity = f"{words[gate_engine.INDEX_ID]:08x}"
    armed, end = run_armed("arm", "--model", folder, "--drop-delay-us", "800", "--json", port=board.port)
    assert armed["armed"] is True
    assert armed["schedule"]["purity"] == "PURITY"
    assert {name: armed["schedule"]["directions"]["0"][name] for name in ("delay", "width")} == {
        "delay": 80000,
        "width": 500,
    }
    assert armed["gate"]["classes"] == ["S", "M"]
    assert json.loads(end)["counters"]["ACCEPTED"] == 100 + 0x80
    assert not board.armed
    board.registers[STATUS] |= ARMED
    state = document(icsort("info", "--port", board.port, "--model", folder, "--json"))
    assert (state["build_id"], state["armed"], state["clock_hz"]) == ("0123456789abcdef", False, 100_000_000)
    assert state["gate"] == {
        "mask": 6, "posterior": 58983, "serial": 1, "classes": ["S", "M"], "identity": identity, "tests": 1, "gates": 1,
    }  # fmt: skip
    assert state["counters"]["ACCEPTED"] == 100 + 0x80
    shown = icsort("info", "--port", board.port)
    assert shown.returncode == 0
    assert "0123456789abcdef" in shown.stdout
    assert "armed" in shown.stdout
    assert "class 1, class 2 at posterior 0.9" in shown.stdout
    assert icsort("disarm", "--port", board.port).stdout == "disarmed\n"
    assert not board.armed
    assert document(icsort("disarm", "--json", "--port", board.port)) == {"armed": False, "answered": True}
    assert "disarmed by host" in icsort("info", "--port", board.port).stdout


GATES = """
format = "icsort-gate-set"
version = 1
tests = [{name = "long", kind = "range", x = {value = "event length", min = 5.5}}]
gates = [{name = "sort", all = ["not long"]}]
directions = [{output = 1, gate = "sort"}]
"""


def test_gate_set_of_a_file(board: FakeBoard, package: Path, tmp_path: Path) -> None:
    at = ("--port", board.port, "--model", str(package))
    file = tmp_path / "gates.toml"
    file.write_text(GATES)
    checked = document(icsort("gate", "check", str(file), "--model", str(package), "--json"))
    assert (checked["tests"], checked["gates"], checked["scales"]) == (1, 1, 0)
    assert checked["changes"] == [
        "long: event length from 6 to 2.14748e+09 lines (6 to 2147483647 counts), exactly the events within the bounds"
    ]
    assert icsort("gate", "show", *at).stdout == "gate 0: none set\n"
    done = icsort("gate", "set", str(file), *at)
    assert (done.returncode, done.stdout) == (0, f"gate 1: set {checked['identity']}: 1 tests, 1 gates\n"), done.stderr
    shown = icsort("gate", "show", *at, "--file", str(file))
    assert shown.stdout == f"gate 1: set {checked['identity']}: 1 tests, 1 gates, that of {file}\n"
    board.in_force[gate_engine.WORD_LOW_X] += 1
    assert "another gate set is in force" in refusal("gate", "show", *at, "--file", str(file))
    assert "states its own" in refusal("gate", "set", str(file), *at, "--posterior", "0.5")
    file.write_text(GATES.replace("not long", "short"))
    assert refusal("gate", "check", str(file), "--model", str(package)) == (
        f"{file}: gate 'sort' names 'short', which is no test and no gate of this set; "
        "docs/gates.md says what a gate set holds"
    )


def test_times_of_a_gate_are_checked_at_the_clock_of_the_build(package: Path, tmp_path: Path) -> None:
    file = tmp_path / "gates.toml"
    file.write_text(GATES.replace("event length", "time since the event before").replace("5.5", "10"))
    for clock_mhz, counts in ((None, 1000), (40.0, 400), (200.0, 2000)):
        if clock_mhz is not None:
            build(package, "0123456789abcdef", clock_mhz)
        (change,) = document(icsort("gate", "check", str(file), "--model", str(package), "--json"))["changes"]
        assert f"({counts} to " in change


@pytest.mark.parametrize("words", [("arm",), ("watch", "--arm", "--json")])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_while_it_prepares_arms_nothing(
    board: FakeBoard, package: Path, words: tuple[str, ...], number: signal.Signals
) -> None:
    at = ("--port", board.port, "--model", str(package))
    assert icsort("gate", "set", "M", *at).returncode == 0
    started: list[subprocess.Popen[str]] = []

    def stop_it() -> None:
        request = board.requests[-1]
        if request[0] == 2 and request[2:4] == FRONT_COMMIT.to_bytes(2, "little"):
            started[0].send_signal(number)
            time.sleep(0.1)

    board.on_request = stop_it
    started.append(start(*words, *at))
    _, errors = started[0].communicate(timeout=60)
    assert started[0].returncode == 2
    assert "stopped before it was armed; it is disarmed" in errors
    assert ARM.to_bytes(2, "little") not in [request[2:4] for request in board.requests if request[0] == 2]
    assert not board.armed


def test_unknown_class(board: FakeBoard, package: Path) -> None:
    line = refusal("gate", "set", "G2", "--port", board.port, "--model", str(package))
    assert line == "the model has no class 'G2'; its classes are: G1, S, M"
    assert board.requests == []


@pytest.mark.parametrize("posterior", ["nan", "1.5", "-0.1"])
def test_posterior_out_of_range(board: FakeBoard, package: Path, posterior: str) -> None:
    line = refusal("gate", "set", "M", f"--posterior={posterior}", "--port", board.port, "--model", str(package))
    assert "is not within 0..1" in line


def test_other_build(board: FakeBoard, package: Path) -> None:
    folder = build(package, "1111111111111111")
    for words in (["arm"], ["gate", "set", "M"], ["watch", "--count", "1"], ["info"]):
        line = refusal(*words, "--port", board.port, "--model", folder)
        assert "the board holds build 0123456789abcdef, the folder is build 1111111111111111; program the board" in line
    assert [request for request in board.requests if request[0] == 2] == []


def test_ports(board: FakeBoard, package: Path) -> None:
    assert "there is no such port" in refusal("info", "--port", "/dev/ttyNONE")
    board.on_request = lambda: board.put(board.event(1))
    holder = subprocess.Popen(command("watch", "--port", board.port, "--json"), cwd=REPOSITORY, stdout=subprocess.PIPE)
    assert holder.stdout is not None
    holder.stdout.readline()  # the first event is there: the port is held, and others go through that program
    info = document(icsort("info", "--port", board.port, "--json"))
    assert info["owner"].startswith("icsort watch (process ") or info["owner"].startswith("python (process ")
    assert "no gate is set" in refusal("arm", "--port", board.port, "--model", str(package))
    holder.send_signal(signal.SIGINT)
    holder.communicate(timeout=20)
    assert holder.returncode == 0


def test_no_port_given(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside ports of this machine the search looks at those that programs of this user share: here those of no other
    test."""
    with tempfile.TemporaryDirectory(prefix="icsort-") as folder:
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        line = refusal("info")
    assert line.startswith(("no board was found (", "boards answer at several ports, "))
    assert "--port" in line


def test_not_a_model_package(board: FakeBoard, tmp_path: Path) -> None:
    assert "not a model package" in refusal("arm", "--port", board.port, "--model", str(tmp_path))


def test_watch_records_events(board: FakeBoard, package: Path, tmp_path: Path) -> None:
    events = [board.event(i, outcome=i % 6, best=i % 3) for i in range(12) if i != 5]
    once = iter([b"".join(events)])
    # The board reports while the host checks who it is, which is when it usually begins to.
    board.on_request = lambda: board.put(next(once, b""))
    out = tmp_path / "events.jsonl"
    done = icsort(
        *("watch", "--count", "11", "--json", "--port", board.port, "--model", str(package)), *("--out", str(out))
    )
    assert done.returncode == 0, done.stderr
    *lines, last = done.stdout.splitlines()
    assert out.read_text().splitlines() == lines
    recorded = [json.loads(line) for line in lines]
    assert [entry["event"] for entry in recorded] == [i for i in range(12) if i != 5]
    assert recorded[4] == {
        "event": 4,
        "seq": 4,
        "time_cycles": 2**40 + 4,
        "tag": 4,
        "outcome": "HARDWARE",
        "direction": None,
        "flags": ["OVERLONG", "STALLED"],
        "length_lines": 40,
        "class": 1,
        "class_name": "S",
        "posterior": 0.875,
        "gates": [0, 31],
        "first_pixel_to_decision_cycles": 1700,
        "last_pixel_to_decision_cycles": 60,
        "gate_serial": 3,
        "logits": [-5, 2**30, -(2**31)],
    }
    summary = json.loads(last)["summary"]
    assert summary["events"] == 11
    assert summary["classes"] == {"G1": 4, "S": 4, "M": 3}
    outcomes = {"SORTED": 2, "REJECTED": 2, "DISARMED": 2, "LATE": 2, "HARDWARE": 2, "CONFLICT": 1}
    assert {name: number for name, number in summary["outcomes"].items() if number} == outcomes
    assert (summary["lost_events"], summary["lost_frames"], summary["bad_frames"]) == (
        1,
        0,
        0,
    )  # 5: dropped by the board
    assert summary["counters"]["MISSED"] == 100 + 0x84


def test_watch_shows_rates_without_asking(board: FakeBoard, tmp_path: Path) -> None:
    """Rates are differences of frames; a frame that is missing, a fault and a reset of the board are told."""
    frames = [
        board.statistics(7, 10**8, {0x80: 1000, 0x88: 100}),
        board.statistics(8, 2 * 10**8, {0x80: 2500, 0x88: 130, 0x94: 60, 0xA0: 5}),
        board.statistics(10, 4 * 10**8, {0x80: 2600, 0x88: 130, 0x94: 60, 0xA0: 5}, state=0x81 | 0b100 << 8),
        board.statistics(0, 10**8, {}),
    ]
    once = iter([b"".join(frames)])
    board.on_request = lambda: board.put(next(once, b""))
    out = tmp_path / "events.jsonl"
    at = ("--port", board.port, "--statistics", "0.5", "--idle", "0.5")
    done = icsort("watch", "--json", *at, "--out", str(out))
    assert done.returncode == 0, done.stderr
    *lines, last = done.stdout.splitlines()
    assert out.read_text().splitlines() == lines
    told = [json.loads(line) for line in lines]
    assert board.registers[STATISTICS_PERIOD] == 50_000_000
    assert [entry["statistics"] for entry in told] == [7, 8, 10, 0]
    assert [entry["missing"] for entry in told] == [0, 0, 1, 1]
    assert (told[0]["rates"], told[3]["rates"], told[3]["restarts"]) == (None, None, 1)
    rates = told[1]["rates"]
    assert (rates["seconds"], rates["events"], rates["sorted"]) == (1.0, 1500.0, 30.0)
    assert (rates["aborts"], rates["losses"]) == ({"LATE": 60.0}, {"RECORDS_LOST": 5.0})
    assert told[2]["rates"]["events"] == 50.0
    assert (told[2]["faults"], told[2]["status"]["armed"]) == (["drop_clock"], 1)
    assert told[1]["counters"]["ACCEPTED"] == 2500
    assert json.loads(last)["summary"]["statistics"] == {"frames": 4, "missing": 1, "restarts": 1}
    once = iter([b"".join(frames[:3])])
    shown = icsort("watch", *at)
    (line,) = [line for line in shown.stdout.splitlines() if "events/s" in line]
    assert line == (
        "at 4.000 s: armed, faults: drop_clock; 50 events/s, 0 sorted/s; aborts/s: none; losses/s: none; "
        "statistics: 3 frames, 1 missing, 0 restarts"
    )


def test_watch_ends_after_silence_and_shows_a_table(board: FakeBoard) -> None:
    once = iter([board.event(1) + board.event(2)])
    board.on_request = lambda: board.put(next(once, b""))
    done = icsort("watch", "--idle", "0.2", "--port", board.port)
    assert done.returncode == 0, done.stderr
    assert "class 1" in done.stdout
    (lost,) = [line for line in done.stdout.splitlines() if "0 events lost" in line]  # in one line, however long
    assert "restarts; board: " in lost
    assert lost.endswith("heartbeats lost")


def test_ctrl_c_ends_a_watch_cleanly(board: FakeBoard, tmp_path: Path) -> None:
    out = tmp_path / "events.jsonl"
    once = iter([board.event(1)])
    board.on_request = lambda: board.put(next(once, b""))
    watching = subprocess.Popen(
        command("watch", "--json", "--port", board.port, "--out", str(out)),
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert watching.stdout is not None
    first = watching.stdout.readline()
    assert out.read_text() == first  # flushed with the event, not at the end
    watching.send_signal(signal.SIGINT)
    rest, errors = watching.communicate(timeout=20)
    assert (watching.returncode, errors) == (0, "")
    assert json.loads(rest)["summary"]["events"] == 1


def test_unplugged_while_watching(board: FakeBoard, tmp_path: Path) -> None:
    out = tmp_path / "events.jsonl"
    once = iter([board.event(1)])
    board.on_request = lambda: board.put(next(once, b""))
    watching = subprocess.Popen(
        command("watch", "--json", "--port", board.port, "--out", str(out)),
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert watching.stdout is not None
    first = watching.stdout.readline()
    board.unplug()
    _, errors = watching.communicate(timeout=20)
    assert watching.returncode == 2
    assert errors.startswith(f"icsort: error: {board.port}: the port is gone")
    assert errors.count("\n") == 1
    assert out.read_text() == first


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, a disk that is always full")
def test_full_disk(board: FakeBoard) -> None:
    once = iter([board.event(1)])
    board.on_request = lambda: board.put(next(once, b""))
    line = refusal("watch", "--count", "1", "--port", board.port, "--out", "/dev/full")
    assert line == "/dev/full: No space left on device after 0 lines; free space or choose another disk with --out"


def test_watch_does_not_overwrite(board: FakeBoard, tmp_path: Path) -> None:
    out = tmp_path / "events.jsonl"
    out.write_text("precious\n")
    assert "exists already" in refusal("watch", "--count", "1", "--port", board.port, "--out", str(out))
    assert out.read_text() == "precious\n"
    missing = tmp_path / "nowhere" / "events.jsonl"
    assert "cannot be written" in refusal("watch", "--count", "1", "--port", board.port, "--out", str(missing))


def test_live_table_on_a_terminal(board: FakeBoard) -> None:
    """With a terminal the table is drawn while events come; Ctrl-C leaves the last one."""
    once = iter([board.event(i, best=2) for i in range(3)])
    board.on_request = lambda: board.put(next(once, b""))
    terminal, output = os.openpty()
    watching = subprocess.Popen(
        command("watch", "--port", board.port),
        cwd=REPOSITORY,
        env=os.environ | {"TERM": "xterm", "COLUMNS": "160"},
        stdout=output,
        stderr=subprocess.PIPE,
    )
    os.close(output)
    shown = b""
    while b"class 2" not in shown:
        shown += os.read(terminal, 4096)
    watching.send_signal(signal.SIGINT)
    with contextlib.suppress(OSError):  # the end of a pseudo-terminal
        while chunk := os.read(terminal, 4096):
            shown += chunk
    assert watching.wait(timeout=20) == 0
    assert watching.stderr is not None
    assert watching.stderr.read() == b""
    assert b"232 missed" in shown


@pytest.mark.parametrize("name", ["SIGHUP", "SIGQUIT", "SIGTERM", "SIGINT"])
@pytest.mark.parametrize("words", [("arm",), ("watch", "--arm")])
def test_signals_disarm(board: FakeBoard, package: Path, name: str, words: tuple[str, ...]) -> None:
    board.registers[STATUS] |= 2
    holder = start(*words, "--port", board.port, "--model", str(package), "--json")
    wait_for(lambda: board.armed)
    holder.send_signal(getattr(signal, name))
    _, errors = holder.communicate(timeout=20)
    planned = name in ("SIGINT", "SIGTERM")
    assert (holder.returncode, errors) == (0 if planned else 128 + getattr(signal, name), "")
    assert not board.armed


def test_a_watch_that_armed_says_that_it_disarmed(board: FakeBoard, package: Path, tmp_path: Path) -> None:
    """Into a file, also where the terminal hangs up."""
    board.registers[STATUS] |= 2
    words = ("watch", "--arm", "--port", board.port, "--model", str(package))
    with (tmp_path / "shown").open("w") as shown:
        holder = start(*words, stdout=shown)
        wait_for(lambda: board.armed)
        holder.send_signal(signal.SIGHUP)
        holder.communicate(timeout=20)
    assert holder.returncode == 128 + signal.SIGHUP
    last = (tmp_path / "shown").read_text().splitlines()[-1]
    assert last.startswith("disarmed: ")
    assert last.endswith(" sorted since the board was reset")
    holder = start(*words, "--json")
    wait_for(lambda: board.armed)
    holder.send_signal(signal.SIGINT)
    shown_as_json, _ = holder.communicate(timeout=20)
    assert json.loads(shown_as_json)["summary"]["armed"] is False


@pytest.mark.parametrize(
    ("cycles", "clock_hz", "text"),
    [
        (500, 100_000_000, "5 us (500 cycles)"),
        (99_999, 100_000_000, "999.99 us (99,999 cycles)"),
        (100_000, 100_000_000, "1 ms (100,000 cycles)"),
        (200_000_000, 100_000_000, "2 s (200,000,000 cycles)"),
        (2**40, 100_000_000, "10,995.1 s (1,099,511,627,776 cycles)"),
        (7, 0, "7 cycles"),
    ],
)
def test_durations_in_their_unit(cycles: int, clock_hz: int, text: str) -> None:
    assert duration(cycles, clock_hz) == text


def test_a_terminal_that_goes_away_disarms(board: FakeBoard, package: Path) -> None:
    """As when an SSH session breaks: the terminal hangs up, and what is written to it fails."""
    board.registers[STATUS] |= 2
    terminal, slave = os.openpty()

    def control() -> None:
        os.setsid()
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)

    ends = {"stdin": slave, "stdout": slave, "stderr": slave, "preexec_fn": control}
    holder = start("watch", "--arm", "--port", board.port, "--model", str(package), **ends)
    os.close(slave)
    wait_for(lambda: board.armed)
    os.close(terminal)
    holder.wait(timeout=20)
    assert not board.armed


def test_a_pipe_that_closes_disarms(board: FakeBoard, package: Path) -> None:
    board.registers[STATUS] |= 2
    holder = start("watch", "--arm", "--port", board.port, "--model", str(package), "--json")
    wait_for(lambda: board.armed)
    assert holder.stdout is not None
    holder.stdout.close()
    while holder.poll() is None:
        board.put(board.event(board.event_seq))
        time.sleep(0.05)
    assert not board.armed


def test_nohup_goes_on(board: FakeBoard, package: Path) -> None:
    board.registers[STATUS] |= 2
    ignore = {"preexec_fn": lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)}
    holder = start("arm", "--port", board.port, "--model", str(package), "--json", **ignore)
    wait_for(lambda: board.armed)
    holder.send_signal(signal.SIGHUP)
    time.sleep(0.3)
    assert board.armed
    holder.terminate()
    holder.communicate(timeout=20)
    assert not board.armed


def test_disarm_while_another_command_holds_the_port(board: FakeBoard, package: Path) -> None:
    board.registers[STATUS] |= 2
    holder = start("watch", "--arm", "--heartbeat", "0.5", "--port", board.port, "--model", str(package), "--json")
    wait_for(lambda: board.armed)
    done = icsort("disarm", "--port", board.port)
    assert (done.returncode, done.stdout, done.stderr) == (0, "disarmed\n", "")
    assert not board.armed
    _, errors = holder.communicate(timeout=20)
    assert holder.returncode == 2
    problem = r"the board is not armed: .* \(process \d+\) stopped it; arm again when it may sort"
    assert re.fullmatch(rf"icsort: error: {board.port}: {problem}\n", errors)


def test_disarm_past_a_program_that_hangs(board: FakeBoard, package: Path) -> None:
    """One that is stopped lets nobody through: the board is told past it."""
    board.registers[STATUS] |= 2
    holder = start("watch", "--arm", "--port", board.port, "--model", str(package), "--json")
    wait_for(lambda: board.armed)
    holder.send_signal(signal.SIGSTOP)
    begun = time.monotonic()
    done = icsort("disarm", "--port", board.port)
    assert (done.returncode, done.stdout) == (3, "")
    assert "sent past the program that has the port open" in done.stderr
    assert not board.armed
    assert time.monotonic() - begun < 7
    assert "does not answer; end that program" in refusal("info", "--port", board.port)
    holder.send_signal(signal.SIGCONT)
    holder.communicate(timeout=20)
    assert holder.returncode == 2


def test_disarm_of_a_board_that_cannot_be_heard(board: FakeBoard) -> None:
    for words, said in (([], ""), (["--json"], '{\n "armed": null,\n "answered": false\n}\n')):
        board.damage = ["drop"] * 1000
        board.registers[STATUS] |= ARMED
        done = icsort("disarm", "--port", board.port, *words)
        assert (done.returncode, done.stdout) == (3, said)
        assert re.fullmatch(r"icsort: error: .*nobody has confirmed it: open the interlock.*\n", done.stderr)
        assert not board.armed


def test_a_board_that_a_killed_command_armed(board: FakeBoard, package: Path) -> None:
    board.registers[STATUS] |= 2
    holder = start("arm", "--heartbeat", "40", "--port", board.port, "--model", str(package), "--json")
    wait_for(lambda: board.armed)
    holder.kill()
    holder.communicate(timeout=20)
    assert board.armed
    done = icsort("info", "--port", board.port)
    assert done.returncode == 0
    assert "the board was armed by no program that has the port; it is disarmed now" in done.stderr
    assert "disarmed by host" in done.stdout
    assert not board.armed


def test_names_are_no_markup(model: Manifest, tmp_path: Path) -> None:
    """Class names that look like markup or like an emoji stand in tables as they are."""
    kept = {key: value for key, value in model if key not in ("classes", "model_id")}
    strange = Manifest(**kept, classes=("[g1]", "[/conv]", ":cat:"))
    folder = tmp_path / "strange"
    folder.mkdir()
    (folder / "model.onnx").write_bytes(MODEL)
    save(strange, folder)
    with FakeBoard(strange.model_id, strange.network_id) as other:
        at = ("--port", other.port, "--model", str(folder))
        assert icsort("gate", "set", "[g1]", "[/conv]", ":cat:", *at).stdout == (
            "gate 1: [g1], [/conv], :cat: at posterior 0 or more\n"
        )
        shown = icsort("info", *at).stdout + icsort("watch", "--idle", "0.1", *at).stdout
        assert all(shown.count(name) == 2 for name in strange.classes), shown


def wait_for(condition: Callable[[], bool]) -> None:
    for _ in range(1000):
        if condition():
            return
        time.sleep(0.02)
    raise AssertionError("it never came true")


def test_help_and_import_are_light() -> None:
    """No serial, rich or numpy before a command needs them."""
    code = (
        "import sys, icsort.host.commands.watch; "
        "print([m for m in ('serial', 'rich', 'numpy', 'torch') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_watch_arm_needs_a_model() -> None:
    with pytest.raises(IcsortError, match="--arm needs --model"):
        commands.watch(port="/dev/null", arm_first=True)
