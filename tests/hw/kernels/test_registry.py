# SPDX-License-Identifier: Apache-2.0
"""Every kernel is whole: RTL, Python, entry, test and page of one name, and the entry says what the RTL says."""

import inspect
import json
import re
from itertools import product
from pathlib import Path

import pytest

from icsort.hw.compile import RTL
from icsort.hw.folding.resources import COEFFICIENTS, RESOURCES, cost_group, kernel_use, layer_resources
from icsort.hw.kernels import KERNELS, LAYER_KERNELS, kernel_of
from icsort.hw.kernels.fabric import FAMILIES
from icsort.hw.kernels.kernel import Node
from icsort.hw.synthesis.fit_resources import samples

REPOSITORY = Path(__file__).parents[3]
MODULES = sorted(path.stem for path in (RTL / "kernels").glob("*.sv"))
PARTS = {part for kernel in KERNELS.values() for part in kernel.parts}  # modules inside of others


def source(module: str) -> str:
    """The RTL of a module without its comments."""
    return re.sub(r"//.*", "", (RTL / "kernels" / f"{module}.sv").read_text())


def rtl_parameters(module: str) -> dict[str, str]:
    """Parameter -> default, as written."""
    head = source(module).partition("#(")[2].partition("\n) (")[0]
    return dict(re.findall(r"(?<!local)\bparam\w*(?: int(?: unsigned)?)? +(\w+) *= *([^,\n]+)", head))


@pytest.mark.parametrize("module", MODULES)
def test_every_module_has_its_python_its_page_and_its_test(module):
    assert (REPOSITORY / "hw" / "kernels" / f"{module}.py").is_file()
    assert module in KERNELS or module in PARTS
    page = (REPOSITORY / "docs" / "kernels" / f"{module}.md").read_text()
    assert page.startswith(f"# {module}\n")
    assert f"`hw/rtl/kernels/{module}.sv`" in page
    tests = re.findall(r"`(tests/\S+\.py)`", page)
    assert tests
    assert all((REPOSITORY / test).is_file() for test in tests)
    if module not in PARTS:
        assert f"tests/hw/kernels/test_{module}.py" in tests
    for name in rtl_parameters(module):
        assert re.search(rf"\b{name}\b", page), f"{name} is not on the page"


@pytest.mark.parametrize("name", KERNELS)
def test_an_entry_says_what_the_rtl_says(name):
    kernel, parameters = KERNELS[name], rtl_parameters(name)
    assert kernel.name == name
    assert inspect.getmodule(type(kernel)).__name__ == f"icsort.hw.kernels.{name}"
    written = {key: f'"{value}"' if isinstance(value, str) else str(value) for key, value in kernel.defaults.items()}
    assert written == {key: parameters[key] for key in written}
    inside, todo = set(), {name}
    while todo:
        module = todo.pop()
        instances = {other for other in MODULES if re.search(rf"\b{other} #\(", source(module)) and other != module}
        todo |= instances - inside
        inside |= instances
    assert set(kernel.parts) == inside
    drawn = samples(kernel)
    assert len(drawn) >= kernel.draws > 0
    for sample, family in product(drawn, FAMILIES):
        assert sample.parameters.keys() | ({sample.memory} if sample.memory else set()) <= parameters.keys()
        assert tuple(layer_resources(name, sample.parameters, family)) == RESOURCES


def test_every_cost_is_of_a_term_and_every_term_has_a_cost():
    costs = json.loads(COEFFICIENTS.read_text())["lut"]
    terms: dict[str, set[str]] = {}
    for name, kernel in KERNELS.items():
        for sample, family in product(samples(kernel), FAMILIES):
            terms.setdefault(cost_group(name), set()).update(kernel_use(name, sample.parameters, family).lut)
    assert {group: set(names) for group, names in costs.items()} == terms


@pytest.mark.parametrize(("op", "parallel"), product(dict.fromkeys(kernel.op for kernel in LAYER_KERNELS), (0, 1)))
def test_one_kernel_does_a_layer_however_it_is_folded(op, parallel):
    node = Node("layer", op, "layer", ("x",), ("y",), 4, 4, 2, (4,), 4)
    unit = {"PE": 1, "SIMD": 1, "parallel_window": parallel}
    able = [kernel for kernel in LAYER_KERNELS if kernel.op == op and kernel.folds(unit)]
    assert able == [kernel_of(node, unit)]


def test_contributing_lists_the_files_of_a_kernel():
    """The worked example names every file that names its kernel, and those alone."""
    text = (REPOSITORY / "CONTRIBUTING.md").read_text().partition("## Adding a kernel")[2].partition("\n## ")[0]
    listed = set(re.findall(r"`((?:hw|tests|docs)/\S+\.\w+)`", text))
    assert all((REPOSITORY / file).is_file() for file in listed)
    naming = {
        str(path.relative_to(REPOSITORY))
        for folder in ("hw", "sim", "docs", "tests/hw")
        for path in (REPOSITORY / folder).rglob("*")
        if path.suffix in {".py", ".sv", ".md", ".json"} and "global_acc_pool" in path.read_text()
    } - {"tests/hw/kernels/test_registry.py"}
    assert naming <= listed
    shown = set(re.findall(r"def (\w+)\(", text))
    assert {name for name, value in vars(KERNELS["global_acc_pool"].__class__).items() if callable(value)} == shown
