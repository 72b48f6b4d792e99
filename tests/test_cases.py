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

pytestmark = [
    pytest.mark.skipif(not CASES.is_dir(), reason="the folders of cases are not beside the real cells"),
    pytest.mark.xdist_group("cases"),
]

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


@pytest.mark.full
def test_01_board_port_deletes_file(case: Callable[[str], Run], system: System) -> None:  # noqa: F811
    done = case("01_board_port_deletes_file")("sh", "run.sh", system.build.folder, system.run / "heldout.npz")
    assert "precious" in done.stdout.splitlines()
    assert "FAULT" not in done.stdout
    assert "rc=2" in done.stdout


@pytest.mark.full
def test_02_hangup_leaves_armed(case: Callable[[str], Run], system: System) -> None:  # noqa: F811
    name = system.build.manifest.classes[0]
    done = case("02_hangup_leaves_armed")("sh", "run.sh", system.build.folder, system.run / "heldout.npz", name)
    assert '"armed": false' in done.stdout, done.stdout + done.stderr


@pytest.mark.full
def test_03_rounding_ties_power_of_two(case: Callable[[str], Run]) -> None:
    run = case("03_rounding_ties_power_of_two")
    compiled = run("icsort", "compile", "package", "--out", "b")
    if compiled.returncode:
        refused(compiled)
    else:
        took(run("icsort", "simulate", "b", "--images", "many.npy"))


@pytest.mark.full
@pytest.mark.parametrize("name", ["conv", "linear", "depthwise"])
def test_04_bias_before_batchnorm(name: str, case: Callable[[str], Run]) -> None:
    took(case("04_bias_before_batchnorm")("icsort", "compile", name, "--out", "b"))


@pytest.mark.full
def test_05_simulate_count_1(case: Callable[[str], Run]) -> None:
    run = case("05_simulate_count_1")
    took(run("icsort", "compile", "package", "--out", "b"))
    took(run("icsort", "simulate", "b", "--count", 1))


def test_06_tiff_axes_ignored(case: Callable[[str], Run]) -> None:
    run = case("06_tiff_axes_ignored")
    for kind, channels in (("tyx", 1), ("tyxc", 16), ("ctyx", 16)):
        done = run("icsort", "data", "info", kind, "--json")
        if done.returncode:
            assert "axes" in refused(done)
        else:
            found = json.loads(done.stdout)
            assert (found["cells"], len(found["channels"])) == (60, channels), kind
            assert (list(found["heights"]), found["width"]) == (["32"], 32), kind


@pytest.mark.full
@pytest.mark.parametrize("kind", ["bits", "float", "pages"])
def test_07_pixel_types_mixed(kind: str, case: Callable[[str], Run]) -> None:
    run = case("07_pixel_types_mixed")
    words = ("--data", kind, "--window", "image", "--min-class", 5, "--epochs", 1, "--out", "r")
    done = run("icsort", "train", *words)
    assert "warning" in took(done) if done.returncode == 0 else "pixel" in refused(done)


@pytest.mark.full
def test_08_duplicates_on_both_sides(case: Callable[[str], Run]) -> None:
    run = case("08_duplicates_on_both_sides")
    took(run("icsort", "train", "--data", "set", "--min-class", 5, "--epochs", 1, "--out", "run"))
    assert took(run("python", "check.py")).startswith("0 of ")


def test_09_classes_vanish(case: Callable[[str], Run]) -> None:
    """What is read counts; what is not is named."""
    done = case("09_classes_vanish")("icsort", "data", "info", "set", "--min-class", 5, "--json")
    if done.returncode:
        refused(done)
        return
    found = json.loads(done.stdout)
    for file, name, cells in ((".jpg", "c", 12), (".bmp", "a", 17), ("link.png", "b", 13), ("d.tif", "d", 12)):
        assert found["classes"].get(name) == cells or file in done.stdout, file


def test_10_lzw_tiff(case: Callable[[str], Run]) -> None:
    done = case("10_lzw_tiff")("icsort", "data", "info", "set")
    if done.returncode or "imagecodecs" in done.stdout:
        assert "imagecodecs" in done.stdout + done.stderr
    else:
        assert "unreadable: none" in done.stdout


@pytest.mark.full
def test_11_float_counts(case: Callable[[str], Run]) -> None:
    run = case("11_float_counts")
    assert "--digitize" in refused(run("icsort", "train", "--data", "set", "--min-class", 5, "--out", "run"))
    assert "40 cells" in took(run("icsort", "data", "info", "set", "--min-class", 5, "--digitize", "0,1"))


@pytest.mark.full
def test_12_cache_folder(case: Callable[[str], Run], system: System) -> None:  # noqa: F811
    said = case("12_cache_folder")("sh", "run.sh", system.build.folder).stdout
    assert "Traceback" not in said
    assert "exited with" not in said
    for line in said.splitlines():
        if line.startswith("icsort: error: "):
            assert "ICSORT_CACHE" in line
    assert said.count("== ") == 8


@pytest.mark.full
def test_13_checkout_with_space(tmp_path: Path, system: System) -> None:  # noqa: F811
    """As its run.sh, which copies the folders that the package had before it was one."""
    copy = tmp_path / "my icsort"
    for folder in ("icsort", "boards", "host", "hw", "quant", "sim"):
        shutil.copytree(REPOSITORY / folder, copy / folder, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    done = subprocess.run(
        [sys.executable, "-m", "icsort", "simulate", system.build.folder, "--count", "2"],
        cwd="/",
        env=environment(PYTHONPATH=str(copy), ICSORT_CACHE=str(tmp_path / "cache")),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0 or "space" in refused(done), done.stderr


@pytest.mark.full
def test_14_max_pool_stride_over_kernel(case: Callable[[str], Run]) -> None:
    done = case("14_max_pool_stride_over_kernel")("icsort", "compile", "package", "--out", "b")
    if done.returncode:
        assert "MaxPool" in refused(done)
        assert "quantize what feeds it" not in done.stderr


@pytest.mark.full
@pytest.mark.parametrize("name", ["mlp", "conv_last", "mean_last", "two_linear", "join_last"])
def test_15_refused_by_a_layer_nobody_has(name: str, case: Callable[[str], Run]) -> None:
    done = case("15_refused_by_a_layer_nobody_has")("icsort", "compile", name, "--out", "b")
    if done.returncode:
        line = refused(done)
        assert "Transpose_" not in line
        assert "left it as a float operation; quantize what feeds it" not in line


@pytest.mark.full
def test_16_window_over_255(case: Callable[[str], Run]) -> None:
    words = ("--data", "set", "--min-class", 5, "--epochs", 1, "--out", "run")
    assert "255" in refused(case("16_window_over_255")("icsort", "train", *words))


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
    assert json.loads(run("icsort", "data", "info", "backslash", "--min-class", 5, "--json").stdout)["cells"] == 24
    for kind in ("empty", "twice"):
        done = run("icsort", "data", "info", kind, "--min-class", 5, "--json")
        if done.returncode:
            refused(done)
        else:
            found = json.loads(done.stdout)
            assert "" not in found["classes"]
            assert found["cells"] <= 24
            unlabelled = found["cells"] - sum(found["classes"].values())
            assert found["unreadable"] or found["passed_over"] or unlabelled == 12, kind


FOUND = {
    "floor": "pass QONNX to FINN changed the logits",
    "nanweight": "changed the logits by nan",
    "bits45": "Thresholding_0 gives 0 to 21",
    "dynbatch": "input [0, 2, 12, 10]",
    "identity_last": "Identity",
    "shared": "fork nodes node",
}


@pytest.mark.full
@pytest.mark.parametrize("name", FOUND)
def test_19_lint_gaps(name: str, case: Callable[[str], Run]) -> None:
    done = case("19_lint_gaps")("icsort", "compile", name, "--out", "b")
    if done.returncode:
        assert FOUND[name] not in refused(done)


@pytest.mark.full
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
    assert "--baud" in line
    assert "bytes" in line


@pytest.mark.full
def test_21_own_qonnx(case: Callable[[str], Run]) -> None:
    run = case("21_own_qonnx")
    assert "icsort package" in refused(run("icsort", "compile", "model.onnx", "--out", "b"))
    help_text = took(run("icsort", "package", "--help"))
    assert "--classes" in help_text


@pytest.mark.full
def test_22_cells_file_is_npy(case: Callable[[str], Run], system: System) -> None:  # noqa: F811
    run = case("22_cells_file_is_npy")
    code = 'import numpy; numpy.save("x.npy", numpy.zeros((2, 8, 8, 1), "uint8"))'
    took(run("python", "-c", code))
    assert "heldout.npz" in refused(run("icsort", "simulate", system.build.folder, "--cells", "x.npy"))
