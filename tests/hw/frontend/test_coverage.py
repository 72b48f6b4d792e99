# SPDX-License-Identifier: Apache-2.0
"""docs/coverage.md: what it says is refused, is refused with that message."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from icsort.errors import IcsortError
from icsort.hw.frontend import lint
from tests.hw.frontend.test_convert import (
    SMALL,
    bypass,
    convert,
    join,
    node_of,
    padded_signed_pool,
    set_attribute,
    set_constant,
)
from tests.hw.networks import make_model

PAGE = (Path(__file__).parents[3] / "docs" / "coverage.md").read_text(encoding="utf-8")


def renamed(operation: str) -> Callable[[onnx.ModelProto], None]:
    def change(model: onnx.ModelProto) -> None:
        node_of(model, "relu1").op_type = operation

    return change


def biased(model: onnx.ModelProto) -> None:
    model.graph.initializer.append(numpy_helper.from_array(np.float32([0.1, 0.2, 0.3]), "bias"))
    model.graph.node.append(helper.make_node("Add", ["linear_out", "bias"], ["biased"], name="bias_add"))
    model.graph.output[0].name = "biased"


def average(model: onnx.ModelProto, *, truncated: bool = True, rounding: str = "FLOOR") -> None:
    """AveragePool over the whole map, and Trunc, in place of the last quantizer's pool."""
    node = node_of(model, "pool1")
    shape = next(info for info in model.graph.value_info if info.name == node.input[0]).type.tensor_type.shape
    size = [dimension.dim_value for dimension in shape.dim[2:]]
    node.op_type = "AveragePool"
    set_attribute(model, "pool1", "kernel_shape", size)
    if truncated:
        inputs = ["averaged", "act1_scale", "zero", "bits4", "act1_scale", "bits4"]
        trunc = helper.make_node("Trunc", inputs, list(node.output), name="trunc", rounding_mode=rounding)
        node.output[0] = "averaged"
        model.graph.node.insert(list(model.graph.node).index(node) + 1, trunc)


def mean_off(model: onnx.ModelProto) -> None:
    model.graph.initializer.append(numpy_helper.from_array(np.float32([[[[100.0]]]]), "mean"))
    model.graph.node.insert(0, helper.make_node("Sub", ["image", "mean"], ["centred"], name="centre"))
    node_of(model, "conv0").input[0] = "centred"


# One or more changes of a good network for each row of the page, in its order.
ROWS: list[list[Callable[[onnx.ModelProto], None]]] = [
    [renamed("Softplus")],
    [renamed("AveragePool")],
    [lambda model: average(model, truncated=False)],
    [renamed("Trunc")],
    [lambda model: average(model, rounding="ROUND")],
    [lambda model: set_attribute(model, "conv1", "dilations", [2, 2])],
    [lambda model: set_attribute(model, "conv1", "group", 2)],
    [lambda model: set_attribute(model, "conv1", "auto_pad", "SAME_UPPER")],
    [padded_signed_pool],
    [lambda model: set_attribute(model, "pool0", "ceil_mode", 1)],
    [
        lambda model: set_constant(model, "bits4", np.float32(16)),
        lambda model: set_constant(model, "zero", np.float32(1)),
    ],
    [lambda model: set_constant(model, "act0_scale", np.full((1, 2, 1, 1), 0.1, np.float32))],
    [lambda model: join(model, "Concat", "act0_out", axis=2)],
    [lambda model: join(model, "Add", "act0_out"), lambda model: join(model, "Concat", "act0_out", axis=1)],
    [lambda model: join(model, "Add", "relu0_out"), lambda model: join(model, "Concat", "relu0_out", axis=1)],
    [biased],
    [lambda model: bypass(model, "weight1_quant")],
    [mean_off],
    [lambda model: bypass(model, "act0")],
]
MESSAGES = [re.findall("`([^`]+)`", row.split("|")[2])[0] for row in PAGE.split("## Not")[1].splitlines()[4:] if row]


def test_the_page_has_a_row_for_each_change():
    assert len(MESSAGES) == len(ROWS)


@pytest.mark.parametrize(("message", "changes"), list(zip(MESSAGES, ROWS, strict=False)), ids=MESSAGES)
def test_what_the_page_says_is_refused(message, changes, tmp_path):
    for change in changes:
        model, scale = make_model(SMALL, 1)
        change(model)
        onnx.save(model, tmp_path / "model.onnx")
        with pytest.raises(IcsortError, match=re.escape(message)):
            convert(tmp_path / "model.onnx", SMALL, scale)


def test_the_page_names_every_operation_that_may_stand_in_a_file():
    covered = PAGE.split("## Not")[0]
    assert [name for name in lint.SOURCE_OPS if f"`{name}`" not in covered] == []
