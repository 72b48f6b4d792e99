# SPDX-License-Identifier: Apache-2.0
"""The FuseSoC cores: they list the RTL that is there, in an order that compiles, have the project's version, and their
lint and simulation run in an empty folder."""

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

from icsort.sim.verilator import verilate
from icsort.sim.verilator.bench import REPOSITORY

HW = REPOSITORY / "hw"
CORES = {path.stem.removeprefix("icsort_"): yaml.safe_load(path.read_text()) for path in sorted(HW.glob("*.core"))}
SLOW = (pytest.mark.full, pytest.mark.timeout(1800))  # the sorter takes minutes to compile
VERSION = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["version"]


def names(core: str) -> list[str]:
    """Files of a core's `rtl`, in its order."""
    files: list[str] = CORES[core]["filesets"]["rtl"]["files"]
    return files


def fusesoc(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **verilate.environment()}
    return subprocess.run(["fusesoc", *words], cwd=folder, env=environment, capture_output=True, text=True, check=False)


def run(folder: Path, core: str, target: str, *words: str, root: Path = HW) -> subprocess.CompletedProcess[str]:
    """FuseSoC in a folder, with no settings but its own. root: where the cores lie."""
    environment = {
        **os.environ,
        **verilate.environment(),
        "XDG_CONFIG_HOME": str(folder),
        "XDG_CACHE_HOME": str(folder),
    }
    command = ["fusesoc", "--cores-root", str(root), "run", f"--target={target}", f"icsort::{core}", *words]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("core", CORES)
def test_name_and_version_are_the_projects(core: str) -> None:
    assert CORES[core]["name"] == f"icsort::{core}:{VERSION}"
    depend = CORES[core]["filesets"]["rtl"].get("depend", [])
    assert all(re.fullmatch(rf"icsort::\w+:{re.escape(VERSION)}", other) for other in depend)


def test_each_file_is_in_one_core() -> None:
    listed = [name for core in CORES for name in names(core)]
    assert sorted(listed) == sorted(path.relative_to(HW).as_posix() for path in (HW / "rtl").rglob("*.sv"))
    for core, content in CORES.items():
        for fileset in content["filesets"].values():
            for entry in fileset["files"]:
                name = entry if isinstance(entry, str) else next(iter(entry))
                assert (HW / name).is_file(), f"{core}: {name}"


@pytest.mark.parametrize("core", CORES)
def test_packages_stand_before_what_uses_them(core: str) -> None:
    seen: set[str] = set()
    for name in names(core):
        used = set(re.findall(r"\b(\w+_pkg)::", (HW / name).read_text())) - {Path(name).stem}
        assert used <= seen, name
        seen.add(Path(name).stem)


@pytest.mark.parametrize("core", CORES)
def test_lint_in_an_empty_folder(core: str, tmp_path: Path) -> None:
    done = run(tmp_path, core, "lint")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "%Warning" not in done.stdout + done.stderr


@pytest.mark.parametrize("core", ["kernels", "cdc", pytest.param("sorter", marks=SLOW)])
def test_simulation_in_an_empty_folder(core: str, tmp_path: Path, seed: int) -> None:
    done = run(tmp_path, core, "sim", f"--seed={seed}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "PASSED: " in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("core", "file", "right", "wrong"),
    [
        ("kernels", "rtl/kernels/max_pool.sv", "return a > b ? a : b;", "return a < b ? a : b;"),
        ("cdc", "rtl/cdc/line_clock_crossing.sv", "48'd2;", "48'd3;"),
        pytest.param("sorter", "rtl/sorter/scheduler/sort_output.sv", "tick && at_begin", "tick", marks=SLOW),
    ],
)
def test_a_simulation_notices_what_is_wrong(core: str, file: str, right: str, wrong: str, tmp_path: Path) -> None:
    """The cores of a copy in which one thing is wrong."""
    copy = tmp_path / "hw"
    for folder in ("rtl", "bench"):
        shutil.copytree(HW / folder, copy / folder)
    for path in HW.glob("*.core"):
        shutil.copy(path, copy)
    text = (copy / file).read_text()
    assert right in text
    (copy / file).write_text(text.replace(right, wrong))
    done = run(tmp_path, core, "sim", root=copy)
    assert done.returncode != 0
    assert "FAILED: " in done.stdout + done.stderr


PAGE = (REPOSITORY / "docs" / "integration.md").read_text()


def block(language: str, index: int) -> str:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)[index]


def test_the_page_of_a_design_of_ones_own(tmp_path: Path) -> None:
    """Its commands, beside a repository called icsort, but for the long simulation; its core depends on ours."""
    (tmp_path / "icsort").mkdir()
    (tmp_path / "icsort" / "hw").symlink_to(HW)
    (tmp_path / "mine.core").write_text(block("yaml", 0))
    (tmp_path / "mine.sv").write_text(block("systemverilog", 0))
    commands = [line.split()[1:] for line in PAGE.splitlines() if line.startswith("    fusesoc ")]
    assert len(commands) == 4
    for words in commands:
        if "--target=sim" not in words:
            done = fusesoc(tmp_path, *words)
            assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "fusesoc.conf").is_file()


def test_the_page_connects_every_port() -> None:
    head, _, _ = (HW / "rtl/cdc/line_clock_crossing.sv").read_text().partition("\n);\n")
    ports = re.findall(r"^    (?:input|output) .*?(\w+),?$", head, re.MULTILINE)
    assert re.findall(r"\.(\w+)(?: +\(|,)", block("systemverilog", 1)) == ports
