# SPDX-License-Identifier: Apache-2.0
"""The import rules of CONTRIBUTING.md hold, and the host starts without what only the other packages need."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent
FOLDERS = {"boards", "host", "hw", "quant", "sim"}
# What all parts share, from the bottom up.
SHARED = {"errors", "cache", "jobs", "output", "real_data"}
FORMATS = SHARED | {"sim.bit_true", "formats"}
# What users call: it stands on all parts, and imports each where it is needed.
ROOF = {"icsort/__init__.py", "icsort/__main__.py", "icsort/api.py", "icsort/own_network.py"}
MAY_IMPORT = {
    "icsort": SHARED,
    "sim/bit_true": {"errors"},
    "icsort/formats": FORMATS,
    "icsort/report": FORMATS,
    "icsort/cli": FORMATS,
    "quant": FORMATS | {"cli", "report"},
    "hw": FORMATS | {"cli", "report"},
    "host": FORMATS | {"cli", "report"},
    "sim": FORMATS | {"cli", "report", "sim", "hw", "host"},
}


def imports(path: Path) -> set[str]:
    """Modules that a file imports, by full name, also those inside functions."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_layer(package: str) -> None:
    own = package.removeprefix("icsort/").replace("/", ".")
    allowed = {f"icsort.{name}" for name in {own, *MAY_IMPORT[package]}} | {"icsort.__version__"}
    wrong = []
    for path in sorted((REPOSITORY / package).glob("*.py" if package == "icsort" else "**/*.py")):
        if (package == "sim" and "bit_true" in path.parts) or str(path.relative_to(REPOSITORY)) in ROOF:
            continue
        for name in imports(path):
            top = name.partition(".")[0]
            if top in FOLDERS or (top == "icsort" and not any(name == a or name.startswith(a + ".") for a in allowed)):
                wrong.append(f"{path.relative_to(REPOSITORY)} imports {name}")
    assert wrong == []


def ways() -> list[list[str]]:
    """The numbered lists of docs/architecture.md: the file or folder that each line begins with."""
    lists: list[list[str]] = []
    for number, step in re.findall(
        r"^(\d+)\. `([^`]+)`", (REPOSITORY / "docs/architecture.md").read_text(), re.MULTILINE
    ):
        if number == "1":
            lists.append([])
        lists[-1].append(step)
        assert int(number) == len(lists[-1])
    return lists


def known_to(path: Path) -> set[str]:
    """Files that a module, or the modules of a folder, import from this repository, as paths."""
    modules = sorted(path.rglob("*.py")) if path.is_dir() else [path]
    names = {
        name.removeprefix("icsort.") for module in modules for name in imports(module) if name.startswith("icsort.")
    }
    parts = [name.split(".") for name in names]
    return {"/".join(part[:end]) for part in parts for end in range(1, len(part) + 1)}


def test_the_ways_of_the_architecture_page_go_forward() -> None:
    """Every step is there; of two steps in Python, the later one may know the earlier one and never the reverse."""
    learn, compile_, board, host, gate_host, gate_board = ways()
    for way in (learn, compile_, host, gate_host[::-1]):
        for at, step in enumerate(way):
            assert (REPOSITORY / step).exists(), step
            later = {name.removesuffix(".py") for name in way[at + 1 :]}
            assert not later & known_to(REPOSITORY / step), f"{step} knows what comes behind it"
    tops = "".join(
        (REPOSITORY / f"hw/rtl/sorter/{name}.sv").read_text() for name in ("icsort_top", "icsort_core", "front")
    )
    for way in (board, gate_board):
        for step in way:
            assert step == "icsort_net" or (REPOSITORY / step).is_file(), step
            assert re.search(rf"^ +{Path(step).stem} ", tops, re.MULTILINE), f"no instance of {step}"
    assert set(gate_board[-2:]) < set(board)
    assert set(gate_host) & set(host) == set(gate_host) - {"host/commands/gate.py"}


def test_host_imports_nothing_heavy() -> None:
    """Every host module loads with numpy, pyserial and typer at most: no torch, FINN, matplotlib, scipy."""
    paths = [path.relative_to(REPOSITORY).with_suffix("") for path in (REPOSITORY / "host").rglob("*.py")]
    modules = ", ".join("icsort." + ".".join(path.parts).removesuffix(".__init__") for path in paths)
    code = f"import sys, {modules}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert (
        set(loaded.stdout.split()) & {"torch", "finn", "qonnx", "onnx", "scipy", "matplotlib", "pandas", "pydantic"}
        == set()
    )
