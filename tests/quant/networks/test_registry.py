# SPDX-License-Identifier: Apache-2.0
"""The table of networks, and the one that CONTRIBUTING.md adds to it."""

import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from icsort.quant.cells.dataset import Dataset
from icsort.quant.networks.architectures import Architecture
from icsort.quant.networks.registry import ARCHITECTURES, Entry
from icsort.quant.packaging.untrained import untrained_package

CONTRIBUTING = Path(__file__).parents[3] / "CONTRIBUTING.md"


@pytest.fixture
def vgg4(monkeypatch: pytest.MonkeyPatch) -> str:
    """The architecture in CONTRIBUTING.md, as a module of the package and an entry."""
    section = CONTRIBUTING.read_text(encoding="utf-8").split("## Adding an architecture")[1]
    code, entry = re.search(r"```python\n(.*?)```", section, re.DOTALL), re.search(r'`"vgg4": (Entry\(.*?\))`', section)
    assert code is not None
    assert entry is not None
    module = ModuleType("icsort.quant.networks.vgg4")
    exec(code[1], module.__dict__)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(ARCHITECTURES, "vgg4", eval(entry[1], {"Entry": Entry}))
    return "vgg4"


def test_the_documented_architecture_is_trained_and_exported(vgg4: str, dataset: Dataset, tmp_path: Path) -> None:
    """Exporting compares QONNX's execution with the network."""
    architecture = Architecture(vgg4, width_multiplier=0.5, weight_bits=3, activation_bits=3, first_bits=8)
    plain = architecture.as_float().build(3, 5, 40, 40)
    # by hand, of 8 and 16 features: four kernels of 3 x 3, a factor and an offset for each feature, the head
    assert plain.weights == 9 * (3 * 8 + 8 * 8 + 8 * 16 + 16 * 16) + 2 * (8 + 8 + 16 + 16) + 16 * 5
    assert not plain.quantized
    package = untrained_package(architecture, dataset, tmp_path / "package")
    assert package.classes == dataset.classes


def test_depth_and_width_are_obeyed(vgg4: str) -> None:
    deeper = Architecture(vgg4, width_multiplier=0.5, depth_multiplier=1.5).build(3, 5, 24, 24)
    assert sum(name.endswith("conv.weight") for name in deeper.state_dict()) == 6
