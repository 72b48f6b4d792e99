# SPDX-License-Identifier: Apache-2.0
"""constant_mvau: FINN's MVAU without activation, all rows and columns at once by adders of its constant weights.

A folding asks for it by `mult_style`: "adders" takes a vector each cycle, "serial" one each ACT_BITS cycles, bit by
bit, with adders that are narrower.
"""

import random
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from icsort.hw.kernels import adder_graph
from icsort.hw.kernels.fabric import Use, counter_bits, lut_ram
from icsort.hw.kernels.finn import Integers
from icsort.hw.kernels.kernel import Bound, LayerKernel, Memory, Node, Parameters, Sample, Unit
from icsort.hw.kernels.mvau import read_matrix
from icsort.hw.kernels.streams import Step, Stream, Times, after_the_one_before, before_serving, serve

if TYPE_CHECKING:
    from onnx import NodeProto
    from qonnx.core.modelwrapper import ModelWrapper


class ConstantMvau(LayerKernel):
    name = "constant_mvau"
    parts = ("fifo",)
    finn_op = "MVAU"
    gives_logits = True
    defaults: ClassVar = {"DIGITS": 1, "DELAY": 2, "ADDER_BITS": 0, "REGISTER_BITS": 0}
    draws = 10

    def read(self, model: "ModelWrapper", proto: "NodeProto", node: Node) -> Node:
        return read_matrix(model, proto, node)

    def folds(self, unit: Unit) -> bool:
        return unit.get("mult_style") in adder_graph.STYLES

    def limits(self, node: Node) -> dict[str, int]:
        return {"PE": node.rows, "SIMD": node.elements}

    def in_lanes(self, node: Node, unit: Unit) -> int:
        return node.columns

    def refuses(self, node: Node, unit: Unit) -> str:
        rows, columns = node.rows, node.columns
        if reason := _unable(node, str(unit["mult_style"])):
            return reason
        if (unit["PE"], unit["SIMD"]) != (rows, columns):
            return f"takes all at once: PE must be {rows} and SIMD {columns}"
        return ""

    def step(self, node: Node, unit: Unit, arriving: Stream) -> Step:
        digits = _digits(node, unit)
        begun = serve(arriving.times, digits) - (digits - 1)
        delay = adder_graph.counts(_graph(node, digits))["DELAY"]
        out = Stream(begun + delay + 2 + (digits if digits > 1 else 0), node.rows)
        return Step(
            out, digits * arriving.pixels, after_the_one_before(begun + digits - 1), Stream(begun, node.columns)
        )

    def parameters(self, node: Node, unit: Unit, family: str) -> Parameters:
        digits = _digits(node, unit)
        return {
            "MW": node.columns, "MH": node.rows, "ACT_BITS": node.parameters["ACT_BITS"],
            "ACC_BITS": node.parameters["ACC_BITS"], "DIGITS": digits, **adder_graph.counts(_graph(node, digits)),
        }  # fmt: skip

    def left(self, node: Node, unit: Unit, arriving: Stream, left: Times) -> Times:
        digits = _digits(node, unit)
        after = adder_graph.counts(_graph(node, digits))["DELAY"] + 2 + (digits if digits > 1 else 0)
        return before_serving(left + after, digits) - (digits - 1)

    def memory(self, node: Node, unit: Unit) -> Memory:
        """What the adders multiply by, a row a word; the hardware does not read it."""
        return Memory("WEIGHTS_FILE", node.parameters["ACC_BITS"], _weights(node))

    def source(self, node: Node, unit: Unit, name: str) -> str:
        return module(name, self.parameters(node, unit, ""), _graph(node, _digits(node, unit)))

    def use(self, p: Bound, family: str) -> Use:
        digits, sums, act = p["DIGITS"], p["MH"] * p["ACC_BITS"], p["MW"] * p["ACT_BITS"]
        places = -(-(p["DELAY"] + 3 + (digits if digits > 1 else 0)) // digits)
        counters = 3 * counter_bits(places + 1)
        use = Use({"control": 1, "counter": counters}, ff=counters + act + p["DELAY"] + 1 + p["REGISTER_BITS"])
        use.term("adder", p["ADDER_BITS"])
        use.term("memory", lut_ram(places, sums, family))
        if digits > 1:
            use.term("shift", act)
            use.term("accumulator", sums)
            use.ff += sums + p["DELAY"] + 2 + counter_bits(digits)
        return use

    def sample(self, draw: random.Random) -> Sample:
        rows, columns = draw.choice([2, 8, 16]), draw.choice([9, 16, 27, 40])
        act, weight = draw.choice([2, 3, 4, 4, 8]), draw.choice([2, 3, 4, 4])
        digits = draw.choice([1, 1, act])
        weights = np.array(
            [
                [draw.randint(-(1 << (weight - 1)) + 1, (1 << (weight - 1)) - 1) for _ in range(columns)]
                for _ in range(rows)
            ]
        )
        graph = adder_graph.solve(weights, 0, (1 << (act // digits)) - 1)
        parameters: Parameters = {
            "MW": columns, "MH": rows, "ACT_BITS": act, "ACC_BITS": act + weight + columns.bit_length(),
            "DIGITS": digits, **adder_graph.counts(graph),
        }  # fmt: skip
        return Sample(parameters, source=module("sample", parameters, graph))


def module(name: str, p: Parameters, graph: adder_graph.Graph) -> str:
    """SystemVerilog of the module `name`: the adders of a graph in a constant_mvau with these parameters."""
    act_bits, acc_bits, digit = int(p["ACT_BITS"]), int(p["ACC_BITS"]), int(p["ACT_BITS"]) // int(p["DIGITS"])
    beat, result = int(p["MW"]) * act_bits, int(p["MH"]) * acc_bits
    bindings = ", ".join(f".{key}({value})" for key, value in p.items())
    body = "\n".join(adder_graph.statements(graph, digit, acc_bits))
    return f"""// SPDX-License-Identifier: Apache-2.0
//
// {name}: constant_mvau, which has the contract, with the adders of one layer's weights.
`default_nettype none

module {name} (
    input  wire logic clk,
    input  wire logic rst,
    input  wire logic [{beat - 1}:0] s_axis_tdata,
    input  wire logic s_axis_tvalid,
    output logic s_axis_tready,
    output logic [{result - 1}:0] m_axis_tdata,
    output logic m_axis_tvalid,
    input  wire logic m_axis_tready
);
  logic [{int(p["MW"]) * digit - 1}:0] operands;
  logic [{result - 1}:0] sums;

  constant_mvau #(
      {bindings}
  ) u_constant_mvau (.*);

  // Rows of fewer bits leave the top of a sum that they share.
  /* verilator lint_off UNUSEDSIGNAL */
{body}
  /* verilator lint_on UNUSEDSIGNAL */

endmodule

`default_nettype wire
"""


def _unable(node: Node, style: str) -> str:
    """Why a layer cannot be done in a style; empty where it can."""
    bits, columns = node.parameters["ACT_BITS"], node.columns
    if not node.whole:
        return "its vector comes in several pixels; the adders take it at once"
    if node.parameters["ACT_BIPOLAR"]:
        return "activations of -1 and 1 have no adders; use another mult_style"
    if node.rows * columns > adder_graph.LARGEST:
        return f"{node.rows * columns} weights are too many for shared adders, which take {adder_graph.LARGEST}"
    if style == "serial" and (bits == 1 or node.parameters["ACT_SIGNED"]):
        return "only unsigned activations of several bits come bit by bit; use 'adders'"
    return ""


def _digits(node: Node, unit: Unit) -> int:
    return node.parameters["ACT_BITS"] if unit["mult_style"] == "serial" else 1


def _weights(node: Node) -> Integers:
    """(rows, columns)"""
    assert node.constants is not None
    return node.constants if node.parameters["WEIGHT_BITS"] > 1 else 2 * node.constants - 1


def _graph(node: Node, digits: int) -> adder_graph.Graph:
    bits = node.parameters["ACT_BITS"] // digits
    if node.parameters["ACT_SIGNED"]:
        return adder_graph.solve(_weights(node), -(1 << (bits - 1)), (1 << (bits - 1)) - 1)
    return adder_graph.solve(_weights(node), 0, (1 << bits) - 1)
