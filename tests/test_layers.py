# SPDX-License-Identifier: Apache-2.0
"""The import rules of CONTRIBUTING.md hold, and the host starts without what only the other packages need."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent
OURS = {"boards", "host", "hw", "quant", "sim"}
MAY_IMPORT = {
    "sim/bit_true": set(),
    "quant": {"sim.bit_true"},
    "hw": {"sim.bit_true"},
    "host": {"sim.bit_true"},
    "sim": {"sim.bit_true", "sim", "hw", "host"},
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
    own = package.replace("/", ".")
    allowed = {own, *MAY_IMPORT[package]}
    wrong = []
    for path in sorted((REPOSITORY / package).rglob("*.py")):
        if package == "sim" and "bit_true" in path.parts:
            continue
        for name in imports(path):
            if name.partition(".")[0] in OURS and not any(name == a or name.startswith(a + ".") for a in allowed):
                wrong.append(f"{path.relative_to(REPOSITORY)} imports {name}")
    assert wrong == []


def test_host_imports_nothing_heavy() -> None:
    """Every host module loads with numpy, pyserial and typer at most: no torch, FINN, matplotlib, scipy."""
    modules = ", ".join(f"host.{path.stem}" for path in (REPOSITORY / "host").glob("*.py") if path.stem != "__main__")
    code = f"import sys, {modules}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert set(loaded.stdout.split()) & {"torch", "finn", "qonnx", "onnx", "scipy", "matplotlib", "pandas"} == set()
