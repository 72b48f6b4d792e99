# SPDX-License-Identifier: Apache-2.0
"""Tables, progress and errors, into files, pipes and terminals."""

import io
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from icsort.cli import console

NAMES = ("[g1]", "[/conv]", "[red]x", ":smile:", "<script>")
FIGURE = "1234567890123456"


def in_process(code: str, *, columns: int | None = None, **options: object) -> subprocess.CompletedProcess[bytes]:
    """Run Python code after `from icsort.cli import console`; columns: on a terminal of that width, for all streams."""
    words = [sys.executable, "-c", f"from icsort.cli import console\n{code}"]
    if columns is None:
        return subprocess.run(words, capture_output=True, check=False, **options)  # type: ignore[call-overload,no-any-return]
    parent, child = pty.openpty()
    environment = {**os.environ, "COLUMNS": str(columns), "TERM": "xterm"}
    with subprocess.Popen(words, stdin=child, stdout=child, stderr=child, env=environment) as process:
        os.close(child)
        shown = b""
        while True:
            try:
                chunk = os.read(parent, 65536)
            except OSError:  # Linux's way to say that nobody writes any more
                break
            if not chunk:
                break
            shown += chunk
        process.wait()
    os.close(parent)
    return subprocess.CompletedProcess(words, process.returncode, shown, b"")


TABLE = f"""
table = console.table("name", *[f"column {{i}}" for i in range(12)], title="[t1]")
for name in {NAMES!r}:
    table.add_row(name, *["{FIGURE}"] * 12)
console.show(table, "[/end] " + "word " * 60)
"""


@pytest.mark.parametrize("columns", [None, 40, 80, 400])
def test_no_figure_is_cut_and_names_are_no_markup(columns: int | None) -> None:
    shown = in_process(TABLE, columns=columns)
    assert shown.returncode == 0, shown.stderr
    text = shown.stdout.decode()
    assert text.count(FIGURE) == 12 * len(NAMES)
    assert "…" not in text
    for name in (*NAMES, "[t1]", "[/end]"):
        assert name in text


def test_a_file_gets_no_escapes_and_lines_as_long_as_they_are() -> None:
    text = in_process(TABLE).stdout.decode()
    assert "\x1b" not in text
    assert "\r" not in text
    assert text.splitlines()[-1] == "[/end] " + "word " * 60


COUNTED = """
with console.progress("work") as report:
    report("begin")
    for i in range(1001):
        report(f"step {i}", i, 1000)
    for i in range(8):
        report("few", i, 7, "3 /s")
"""


def test_progress_into_a_pipe_is_a_line_every_tenth() -> None:
    shown = in_process(COUNTED)
    assert shown.stdout == b""
    lines = shown.stderr.decode().splitlines()
    assert b"\r" not in shown.stderr
    assert b"\x1b" not in shown.stderr
    assert [line.split(",")[1].strip() for line in lines[:10]] == [f"{n} of 1000" for n in range(100, 1001, 100)]
    assert [line.split(",")[1].strip() for line in lines[10:]] == [f"{n} of 7" for n in range(1, 8)]
    assert lines[-1].startswith("work: few, 7 of 7, 3 /s, ")


STEPS = """
with console.progress("work") as report:
    for step in ("first", "second", "second", "third"):
        report(step)
"""


def test_verbose_names_each_step() -> None:
    assert in_process(STEPS).stderr == b""
    lines = in_process("console.verbose = True" + STEPS).stderr.decode().splitlines()
    assert [line.split(",")[0] for line in lines] == ["work: first", "work: second", "work: third"]


def test_steps_that_take_long_are_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    now = [0.0]
    monkeypatch.setattr(console.time, "monotonic", lambda: now[0])
    with console.progress("work") as report:
        for seconds, step in ((1, "a"), (9, "b"), (11, "c"), (12, "d"), (22, "e")):
            now[0] = seconds
            report(step)
    assert capsys.readouterr().err.splitlines() == ["work: c, 11 s", "work: e, 22 s"]


def test_progress_on_a_terminal_is_a_bar_that_goes_away() -> None:
    shown = in_process(COUNTED.replace('"work"', '"[/work]"'), columns=100)
    assert shown.returncode == 0, shown.stdout
    assert b"[/work]: few" in shown.stdout
    assert b"100 of 1000" not in shown.stdout


def test_json_refuses_what_json_has_not() -> None:
    with pytest.raises(ValueError, match="JSON"):
        console.show_json({"x": float("nan")})


GUARDED = """
from icsort.cli.root import main
import typer, sys
from icsort.cli import root
class Any: pass
def doctor(): print({text!r} * {times})
root.load = lambda name: typer.main.get_command((lambda a: (a.command()(doctor), a)[1])(typer.Typer()))
sys.argv = ["icsort", "doctor"]
main()
"""


@pytest.mark.parametrize("times", [1, 100_000])
def test_output_on_a_full_disk(times: int) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no /dev/full here")
    code = "from icsort.cli import console\n" + GUARDED.format(text="x", times=times)
    with full.open("w") as stream:
        shown = subprocess.run([sys.executable, "-c", code], stdout=stream, stderr=subprocess.PIPE, check=False)
    assert shown.returncode == 2
    assert shown.stderr == b"icsort: error: standard output cannot be written: No space left on device\n"


def test_output_that_cannot_hold_a_name() -> None:
    shown = in_process(GUARDED.format(text="细胞", times=1), env={**os.environ, "PYTHONIOENCODING": "cp1252"})
    assert shown.returncode == 2
    assert shown.stdout == b""
    assert shown.stderr.count(b"\n") == 1
    assert shown.stderr.startswith(b"icsort: error: standard output cannot be written: its encoding charmap has no")
    assert b"PYTHONIOENCODING=utf-8" in shown.stderr


@pytest.mark.parametrize("times", [1, 100_000])
def test_a_closed_pipe_ends_quietly(times: int) -> None:
    code = "from icsort.cli import console\n" + GUARDED.format(text="line\n", times=times)
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as stream:
        shown = subprocess.run([sys.executable, "-c", code], stdout=stream, stderr=subprocess.PIPE, check=False)
    assert (shown.returncode, shown.stderr) == (1, b"")


def test_streams_that_are_no_files_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    held = io.StringIO()
    monkeypatch.setattr(sys, "stdout", held)
    with console.guarded_output():
        print("kept")
    assert held.getvalue() == "kept\n"
