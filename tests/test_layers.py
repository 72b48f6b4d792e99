# SPDX-License-Identifier: Apache-2.0
"""The import rules of CONTRIBUTING.md hold, and the host starts without what only the other packages need."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent
FOLDERS = {"boards", "host", "hw", "quant", "sim"}
# What all parts share, from the bottom up.
SHARED = {"errors", "cache", "output", "real_data"}
FORMATS = SHARED | {"sim.bit_true", "formats"}
# What users call: it stands on all parts, and imports each where it is needed.
ROOF = {"icsort/__init__.py", "icsort/__main__.py", "icsort/api.py"}
MAY_IMPORT = {
    "icsort": SHARED,
    "sim/bit_true": {"errors"},
    "icsort/formats": FORMATS,
    "icsort/report": FORMATS,
    "icsort/cli": FORMATS,
    "quant": FORMATS | {"cli", "report"},
    "hw": FORMATS | {"cli", "report"},
    "host": FORMATS | {"cli"},
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


def test_host_imports_nothing_heavy() -> None:
    """Every host module loads with numpy, pyserial and typer at most: no torch, FINN, matplotlib, scipy."""
    paths = [path.relative_to(REPOSITORY).with_suffix("") for path in (REPOSITORY / "host").rglob("*.py")]
    modules = ", ".join("icsort." + ".".join(path.parts).removesuffix(".__init__") for path in paths)
    code = f"import sys, {modules}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert set(loaded.stdout.split()) & {"torch", "finn", "qonnx", "onnx", "scipy", "matplotlib", "pandas"} == set()
