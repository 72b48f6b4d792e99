# SPDX-License-Identifier: Apache-2.0
"""Small inputs that failed, each a folder with a README: its commands give what that README expects.

The folders lie beside the real cells (icsort.real_data); without them every test is skipped. Commands run in a copy.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from icsort.real_data import real_data_folder
from tests.sim.conftest import System, system  # noqa: F401

CASES = real_data_folder().resolve().parent / "cases"
REPOSITORY = Path(__file__).parent.parent
SECONDS = 600

pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason="the folders of cases are not beside the real cells")
on_system = pytest.mark.xdist_group("system")  # on the worker that builds it

Run = Callable[..., subprocess.CompletedProcess[str]]


def environment(**more: str) -> dict[str, str]:
    """In which `icsort` and `python` are those of the tests."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "PYTHONPATH": str(REPOSITORY), **more}


@pytest.fixture
def case(tmp_path: Path) -> Callable[[str], Run]:
    """Copies a case, makes its input, and returns what runs a command there."""

    def prepare(name: str) -> Run:
        folder = tmp_path / name
        shutil.copytree(CASES / name, folder)
        for path in (folder, *folder.rglob("*")):  # the cases may be kept read-only
            path.chmod(path.stat().st_mode | 0o200)
        shutil.copy2(CASES / "cells.py", tmp_path)

        def run(*words: object, **more: str) -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                [*map(str, words)],
                cwd=folder,
                env=environment(**more),
                capture_output=True,
                text=True,
                check=False,
                timeout=SECONDS,
            )

        if (folder / "make.py").is_file():
            made = run("python", "make.py")
            assert made.returncode == 0, made.stderr
        return run

    return prepare


def refused(done: subprocess.CompletedProcess[str]) -> str:
    """The one line with which a command refused."""
    assert done.returncode == 2, (done.returncode, done.stdout, done.stderr)
    last = [line for line in done.stderr.splitlines() if line.startswith("icsort: error: ")]
    assert len(last) == 1, done.stderr
    assert "Traceback" not in done.stderr
    return last[0]


def took(done: subprocess.CompletedProcess[str]) -> str:
    """What a command printed that had to succeed."""
    assert done.returncode == 0, (done.returncode, done.stdout, done.stderr)
    return done.stdout + done.stderr


def equal(done: subprocess.CompletedProcess[str]) -> int:
    """Images of a simulation of the network alone; all their logits must equal the QONNX model's."""
    assert done.returncode == 0, (done.returncode, done.stdout, done.stderr)
    result = json.loads(done.stdout)
    assert result["logits_equal"] == result["logits_compared"] >= result["images"]
    return int(result["images"])


@pytest.fixture(scope="session")
def small_build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a network whose simulation compiles in seconds."""
    folder = tmp_path_factory.mktemp("small") / "b"
    package = CASES / "05_simulate_count_1" / "package"
    words = [sys.executable, "-m", "icsort", "compile", str(package), "--out", str(folder)]
    took(subprocess.run(words, env=environment(), capture_output=True, text=True, check=False))
    return folder


@on_system
def test_01_board_port_deletes_file(case: Callable[[str], Run], system: System) -> None:  # noqa: F811
    done = case("01_board_port_deletes_file")("sh", "run.sh", system.build.folder, system.run / "heldout.npz")
    assert done.stdout.splitlines() == ["precious", "rc=2 (1 = traceback)"]
    assert [line.split(";")[0] for line in done.stderr.splitlines()] == [
        "icsort: error: precious.txt: is a file and stays as it is",
        "icsort: error: folder: is a folder and stays as it is",
    ]


@on_system
@pytest.mark.parametrize("signal", ["HUP", "QUIT"])
@pytest.mark.quick(1)
def test_02_hangup_leaves_armed(
    signal: str,
    case: Callable[[str], Run],
    system: System,  # noqa: F811
    tmp_path: Path,
) -> None:
    """As its run.sh, but the signal comes once events tell that the board is armed, not after 4 s."""
    run = case("02_hangup_leaves_armed")
    script = tmp_path / "02_hangup_leaves_armed" / "run.sh"
    text = script.read_text()
    for old, new in (
        (">/dev/null 2>&1 & watch", "--json >events 2>&1 & watch"),
        ("sleep 4; kill -HUP", f"while [ ! -s events ]; do sleep 0.2; done; kill -{signal}"),
        ("; sleep 1\n", "; wait $watch\n"),
        ("| grep armed", ">state"),
    ):
        assert old in text
        text = text.replace(old, new)
    script.write_text(text)
    took(run("sh", "run.sh", system.build.folder, system.run / "heldout.npz", system.build.manifest.classes[0]))
    event = json.loads((script.parent / "events").read_text().splitlines()[0])
    assert event["outcome"] in ("SORTED", "REJECTED")  # it was armed
    state = json.loads((script.parent / "state").read_text())
    assert (state["armed"], state["disarmed_by"]) == (False, "HOST")


@pytest.mark.full
def test_03_rounding_ties_power_of_two(case: Callable[[str], Run]) -> None:
    run = case("03_rounding_ties_power_of_two")
    took(run("icsort", "compile", "package", "--out", "b"))
    assert equal(run("icsort", "simulate", "b", "--images", "many.npy", "--json")) == 400


@pytest.mark.full
@pytest.mark.parametrize("name", ["conv", "linear", "depthwise"])
def test_04_bias_before_batchnorm(name: str, case: Callable[[str], Run]) -> None:
    took(case("04_bias_before_batchnorm")("icsort", "compile", name, "--out", "b"))


@pytest.mark.full
def test_05_simulate_count_1(case: Callable[[str], Run]) -> None:
    run = case("05_simulate_count_1")
    took(run("icsort", "compile", "package", "--out", "b"))
    assert equal(run("icsort", "simulate", "b", "--count", 1, "--json")) == 1


def test_06_tiff_axes_ignored(case: Callable[[str], Run]) -> None:
    run = case("06_tiff_axes_ignored")
    for kind, channels in (("tyx", 1), ("tyxc", 16), ("ctyx", 16)):
        found = json.loads(took(run("icsort", "data", "info", kind, "--json")))
        assert (found["cells"], len(found["channels"])) == (60, channels), kind
        assert (list(found["heights"]), found["width"]) == (["32"], 32), kind
    words = ("--data", "tyxc", "--min-class", 5, "--epochs", 1, "--out", "run")
    assert took(run("icsort", "train", *words)).count(" 30\n") == 2


@pytest.mark.full
@pytest.mark.parametrize("kind", ["bits", "float", "pages"])
def test_07_pixel_types_mixed(kind: str, case: Callable[[str], Run]) -> None:
    run = case("07_pixel_types_mixed")
    words = ("--data", kind, "--window", "image", "--min-class", 5, "--epochs", 1, "--out", "r")
    line = refused(run("icsort", "train", *words))
    assert "its pages differ in axes, size or type" in line if kind == "pages" else "stored in differing types" in line


def test_08_duplicates_on_both_sides(case: Callable[[str], Run]) -> None:
    run = case("08_duplicates_on_both_sides")
    took(run("icsort", "train", "--data", "set", "--min-class", 5, "--epochs", 1, "--out", "run"))
    assert took(run("python", "check.py")) == "0 of 12 test cells are in the training part\n"


def test_09_classes_vanish(case: Callable[[str], Run]) -> None:
    """What is read counts; what is not is named."""
    found = json.loads(took(case("09_classes_vanish")("icsort", "data", "info", "set", "--min-class", 5, "--json")))
    assert found["classes"] == {"a": 17, "b": 12, "c": 12}
    assert [line.split(": ")[0] for line in found["passed_over"]] == ["b/link.png", "d.tif"]
    assert found["unreadable"] == []


def test_10_lzw_tiff(case: Callable[[str], Run]) -> None:
    found = json.loads(took(case("10_lzw_tiff")("icsort", "data", "info", "set", "--json")))
    assert (found["classes"], found["unreadable"], found["passed_over"]) == ({"a": 1, "b": 2}, [], [])


def test_11_float_counts(case: Callable[[str], Run]) -> None:
    """Cells that fill their images leave no empty lines: without a window of the image the trigger refuses them."""
    run = case("11_float_counts")
    info, train = ("data", "info", "set", "--min-class", 5), ("train", "--data", "set", "--min-class", 5, "--epochs", 1)
    for words in (info, train):
        out = ("--out", "run") if words is train else ()
        assert "such as 0,1 for values that are counts already" in refused(run("icsort", *words, *out))
    found = json.loads(took(run("icsort", *info, "--digitize", "0,1", "--json")))
    assert [(channel["minimum"], channel["maximum"]) for channel in found["channels"]] == [(422, 3561), (423, 3549)]
    line = refused(run("icsort", *train, "--digitize", "0,1", "--out", "run"))
    assert line.endswith("where cells fill their images or neighbours show, use --window image")
    took(run("icsort", *train, "--digitize", "0,1", "--window", "image", "--out", "run"))


@pytest.mark.full
def test_12_cache_folder(case: Callable[[str], Run], small_build: Path) -> None:
    """Every simulation works, or names the folder and the variable."""
    said = case("12_cache_folder")("sh", "run.sh", small_build).stdout
    parts = said.split("== ")[1:]
    assert len(parts) == 8
    for part in parts:
        refusals = [line for line in part.splitlines() if line.startswith("icsort: error: ")]
        if any(name in part.splitlines()[0] for name in ("/dev/null", "/proc/nowhere")):
            assert len(refusals) == 1, part
            assert "ICSORT_CACHE" in refusals[0]
        else:
            assert not refusals, part
            assert "cycles/s" in part, part


@pytest.mark.full
def test_13_checkout_with_space(tmp_path: Path, small_build: Path) -> None:
    """As its run.sh, which copies the folders that the package had before it was one."""
    copy = tmp_path / "my icsort"
    for folder in ("icsort", "boards", "host", "hw", "quant", "sim"):
        shutil.copytree(REPOSITORY / folder, copy / folder, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    done = subprocess.run(
        [sys.executable, "-m", "icsort", "simulate", small_build, "--count", "2", "--json"],
        cwd="/",
        env=environment(PYTHONPATH=str(copy), ICSORT_CACHE=str(tmp_path / "cache")),
        capture_output=True,
        text=True,
        check=False,
    )
    assert equal(done) == 2


@pytest.mark.full
def test_14_max_pool_stride_over_kernel(case: Callable[[str], Run]) -> None:
    run = case("14_max_pool_stride_over_kernel")
    took(run("icsort", "compile", "package", "--out", "b"))
    assert equal(run("icsort", "simulate", "b", "--count", 10, "--json")) == 10


@pytest.mark.full
@pytest.mark.parametrize("name", ["mlp", "conv_last", "mean_last", "two_linear", "join_last"])
def test_15_refused_by_a_layer_nobody_has(name: str, case: Callable[[str], Run]) -> None:
    """All of them are covered by now."""
    run = case("15_refused_by_a_layer_nobody_has")
    took(run("icsort", "compile", name, "--out", "b"))
    assert equal(run("icsort", "simulate", "b", "--count", 10, "--json")) == 10


def test_16_window_over_255(case: Callable[[str], Run]) -> None:
    done = case("16_window_over_255")(
        "icsort", "train", "--data", "set", "--min-class", 5, "--epochs", 1, "--out", "run"
    )
    assert "height is 600: it must be less than or equal to 255" in refused(done)
    assert "epoch" not in done.stdout + done.stderr


def test_17_stdout(case: Callable[[str], Run], tmp_path: Path) -> None:
    (tmp_path / "set" / "细胞").mkdir(parents=True)
    pixels = np.random.default_rng(0).integers(0, 255, (24, 24), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "set" / "细胞" / "0.png")
    lines = case("17_stdout")("sh", "run.sh", tmp_path / "set").stderr.splitlines()
    assert len(lines) == 2, lines
    for line, why in zip(lines, ("No space left on device", "PYTHONIOENCODING"), strict=True):
        assert line.startswith("icsort: error: standard output cannot be written")
        assert why in line


def test_18_gate_table(case: Callable[[str], Run]) -> None:
    run = case("18_gate_table")
    twice = [f"countpath.csv: names e{i}.tif twice" for i in range(4)]
    for kind, classes, unlabelled, named in (
        ("backslash", {"A": 12, "B": 12}, 0, []),
        ("empty", {"B": 12}, 12, []),
        ("twice", {"A": 12, "B": 12}, 0, twice),
    ):
        found = json.loads(took(run("icsort", "data", "info", kind, "--min-class", 5, "--json")))
        assert (found["cells"], found["classes"], found["unlabelled"]) == (24, classes, unlabelled), kind
        assert (found["passed_over"], found["unreadable"]) == (named, []), kind


@pytest.mark.full
@pytest.mark.parametrize("name", ["dynbatch", "floor", "identity_last", "shared"])
def test_19_lint_gaps_taken(name: str, case: Callable[[str], Run]) -> None:
    took(case("19_lint_gaps")("icsort", "compile", name, "--out", "b"))


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("bits45", "layer 'Quant_3' (Quant): the quantizer needs zero point 0 and one width of 1 to 8 bits"),
        ("nanweight", "layer 'Quant_0' (Quant): 1 of the 72 numbers of 'Quant_0_param0' are NaN or infinite"),
    ],
)
def test_19_lint_gaps_refused(name: str, why: str, case: Callable[[str], Run]) -> None:
    assert why in refused(case("19_lint_gaps")("icsort", "compile", name, "--out", "b"))


def test_20_noise_on_the_line(case: Callable[[str], Run], tmp_path: Path) -> None:
    run = case("20_noise_on_the_line")
    words = ["python", "dev.py", "text", str(tmp_path / "port")]
    folder = tmp_path / "20_noise_on_the_line"
    with subprocess.Popen(words, cwd=folder, env=environment(), stdout=subprocess.PIPE) as device:
        try:
            assert device.stdout is not None
            assert device.stdout.readline() == b"ready\n"
            line = refused(run("icsort", "info", "--port", tmp_path / "port"))
        finally:
            device.kill()
    assert "bytes arrived but no frame of an icsort board" in line
    assert "another device's port, the wrong --baud" in line


def test_21_own_qonnx(case: Callable[[str], Run]) -> None:
    run = case("21_own_qonnx")
    assert "of your own QONNX file with `icsort package`" in refused(
        run("icsort", "compile", "model.onnx", "--out", "b")
    )
    took(run("icsort", "package", "model.onnx", "--classes", "a,b,c", "--out", "p"))
    took(run("icsort", "compile", "p", "--out", "b"))


def test_22_cells_file_is_npy(case: Callable[[str], Run], small_build: Path) -> None:
    run = case("22_cells_file_is_npy")
    code = 'import numpy; numpy.save("x.npy", numpy.zeros((2, 8, 8, 1), "uint8"))'
    took(run("python", "-c", code))
    line = refused(run("icsort", "simulate", small_build, "--cells", "x.npy"))
    assert "x.npy: one array, not the arrays of a held-out file" in line
