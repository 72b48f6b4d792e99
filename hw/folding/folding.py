# SPDX-License-Identifier: Apache-2.0
"""How parallel each layer is, which parts of the FPGA it is made of, and how deep the FIFOs are.

A folding is data, the same in build.json and in a file that a person passes:
`{"MVAU_0": {"PE": 16, "SIMD": 27, "ram_style": "block", "mult_style": "dsp", "fifo_depth": 2}, ...}`, layers by their
names in graph.onnx.

The free choices are those of the layers that multiply (MVAU, VVAU); `complete` derives the rest. A window generator
sends whole windows (parallel_window = 1) where its layer takes more than a pixel at a time, else SIMD channels of one
tap a beat. Element-wise layers take as many elements at a time as come; thresholds fewer, if so chosen: behind a layer
that gives PE results every few cycles, that keeps pace.

Where two branches meet (ElementwiseAdd, StreamingConcat) the FIFO of the faster one, `lhs_fifo_depth` or
`rhs_fifo_depth`, must hold all that arrives until the slower one delivers. If it is too small, the fork before both
stops, the slower branch never gets the pixels that it waits for, and nothing ever moves again.
"""

import json
from collections.abc import Mapping
from math import gcd, lcm, prod
from pathlib import Path

from finn.analysis.fpgadataflow.res_estimation import res_estimation
from finn.transformation.fpgadataflow.set_folding import SetFolding
from finn.transformation.fpgadataflow.specialize_layers import SpecializeLayers
from onnx import NodeProto
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp

from icsort.errors import IcsortError
from icsort.formats.fill import RESOURCES
from icsort.hw.folding.cycles import FRAMES, Graph, Units, follow, held, held_at_join
from icsort.hw.frontend.passes import quiet
from icsort.hw.kernels import kernel_of
from icsort.hw.kernels.adder_graph import STYLES as ADDER_STYLES
from icsort.hw.kernels.kernel import Node
from icsort.hw.kernels.streams import FIFO_BEATS

Unit = dict[str, int | str]
Folding = dict[str, Unit]

FIFO_DEPTH = FIFO_BEATS  # enough where every layer keeps up; a FIFO hides the handshake of its two neighbours
MULTIPLIERS = ("MVAU", "VVAU")
JOIN_FIFOS = ("lhs_fifo_depth", "rhs_fifo_depth")
MARGIN = 2  # beats beyond the model's occupancy: a FIFO's own registers, and room to take one more
STYLES = {"ram_style": ("auto", "distributed", "block"), "mult_style": ("auto", "lut", "dsp", *ADDER_STYLES)}
LINE_STYLES = (*STYLES["ram_style"], "ultra")  # of the lines of window generators


def complete(graph: Graph, chosen: Units, line_cycles: int) -> Folding:
    """A whole folding from the PE, SIMD and styles of the layers that multiply, and what is given of thresholds (PE and
    ram_style) and window generators (ram_style).

    line_cycles: how fast lines arrive, which decides how much waits in front of a layer that is slower than a line.
    """
    folding = derive(graph, chosen)
    size_fifos(graph, folding, line_cycles)
    return folding


def fifo_key(copy: int) -> str:
    """What a folding calls the depth behind an output: fifo_depth, of a fork's further ones fifo_depth_1, ..."""
    return f"fifo_depth_{copy}" if copy else "fifo_depth"


def derive(graph: Graph, chosen: Units) -> Folding:
    """`complete` but for the depths of FIFOs."""
    folding: Folding = {}
    lanes = {graph.image: graph.channels}  # elements in a beat
    for node in graph.nodes:
        unit, width = derived_unit(graph, node, chosen, lanes)
        folding[node.name] = {**unit, **{fifo_key(copy): FIFO_DEPTH for copy in range(len(node.outputs))}}
        lanes.update(dict.fromkeys(node.outputs, width))
    return folding


def derived_unit(graph: Graph, node: Node, chosen: Units, lanes: Mapping[str, int]) -> tuple[Unit, int]:
    """How a layer is folded, but for FIFOs, and elements in a beat that it gives. lanes: tensor -> those it takes."""
    width = lanes[node.inputs[0]]
    unit: Unit
    if node.op in MULTIPLIERS:
        unit = {**dict.fromkeys(STYLES, "auto"), **chosen[node.name]}
        if node.op == "VVAU":
            unit["parallel_window"] = int(unit["SIMD"] != 1)
        return unit, int(unit["PE"])
    if node.op == "Pool":
        return {"PE": node.channels, "parallel_window": 1}, node.channels
    if node.op == "ConvolutionInputGenerator":
        style = chosen.get(node.name, {}).get("ram_style", "auto")
        unit = {**window_unit(graph, node, chosen), "ram_style": style}
        return unit, node.elements * prod(node.kernel) if unit["parallel_window"] else int(unit["SIMD"])
    if node.op == "FMPadding":
        width = int(window_unit(graph, graph.consumer[node.outputs[0]], chosen)["SIMD"])
        return {"SIMD": width}, width
    if node.op == "StreamingConcat":  # whole pixels
        return {}, node.channels
    if node.op == "Thresholding":
        unit = {"PE": width, "ram_style": "auto", **chosen.get(node.name, {})}
        return unit, int(unit["PE"])
    if node.op == "ElementwiseAdd":
        width = max(lanes[tensor] for tensor in node.inputs)
    elif node.op == "DuplicateStreams":
        width = _fork_lanes(graph, node, chosen, width)
    return {"PE": width}, width


def _fork_lanes(graph: Graph, node: Node, chosen: Units, width: int) -> int:
    """A fork gives no more at once than the window generator behind it takes: the other branch waits for that one."""
    for tensor in node.outputs:
        behind = graph.consumer[tensor]
        if behind.op == "FMPadding":
            behind = graph.consumer[behind.outputs[0]]
        if behind.op == "ConvolutionInputGenerator" and behind.kernel != (1, 1):
            width = gcd(width, int(window_unit(graph, behind, chosen)["SIMD"]))
    return width


def window_unit(graph: Graph, node: Node, chosen: Units) -> Unit:
    """SIMD and mode of a window generator, from the layer that takes its windows."""
    consumer = graph.consumer[node.outputs[0]]
    pixelwise = node.kernel == (1, 1)  # leaves out pixels and needs no lines for it
    if consumer.op == "MVAU" and not pixelwise:
        pe, simd = (int(chosen[consumer.name][key]) for key in ("PE", "SIMD"))
        if node.elements % simd == 0:
            return {"SIMD": simd, "parallel_window": 0}
        # Tap by tap as well where that keeps pace, in beats that are joined and split to SIMD.
        columns, taken = prod(node.kernel) * node.elements, consumer.columns // simd * (consumer.rows // pe)
        able = [lanes for lanes in divisors(node.elements) if columns // lanes <= taken]
        if able:
            return {"SIMD": min(able, key=lambda lanes: (lcm(lanes, simd), lanes)), "parallel_window": 0}
    if consumer.op == "VVAU" and chosen[consumer.name]["SIMD"] == 1:
        return {"SIMD": int(chosen[consumer.name]["PE"]), "parallel_window": 0}
    return {"SIMD": node.elements, "parallel_window": 1}


def size_fifos(graph: Graph, folding: Folding, line_cycles: int) -> None:
    """Set the depth of every FIFO: what waits in it by the cycle model while frames follow each other, and a margin.

    Lines arrive each `line_cycles` cycles, or as slowly as the slowest layer needs them. Faster input fills the
    FIFOs and waits, without harm. In front of a join it is the difference between the branches that waits, which is
    more where the lines of a frame come faster than frames can follow each other.
    """
    alone = follow(graph, folding, line_cycles)
    busy = max(busy for busy, _ in alone.layers.values())
    flow = follow(graph, folding, max(line_cycles, -(-busy // graph.height)), frames=FRAMES)
    waits = held(graph, folding, flow)
    for node in graph.nodes:
        for copy, tensor in enumerate(node.outputs):
            beats = waits.get(tensor, 0)
            folding[node.name][fifo_key(copy)] = beats + MARGIN if beats > FIFO_DEPTH else FIFO_DEPTH
    for name in flow.joins:
        join = graph.nodes[graph.position[name]]
        sides = zip(*(held_at_join(join, folding[name], frames) for frames in (alone, flow)), strict=True)
        folding[name].update({key: max(beats) + MARGIN for key, beats in zip(JOIN_FIFOS, sides, strict=True)})


def load(path: Path, graph: Graph, base: Folding, line_cycles: int) -> Folding:
    """Read a folding file (or the folding of a build.json): what it says instead of `base`, and what follows from it.

    Raises IcsortError for a file that is not JSON, a layer that does not exist, a value that does not divide its
    layer, a FIFO below 2.
    """
    try:
        parsed = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise IcsortError(f"{path}: cannot be read ({error.strerror})") from None
    except ValueError:
        raise IcsortError(f"{path}: not JSON; a folding is like the key 'folding' of a build.json") from None
    if isinstance(parsed, dict) and "folding" in parsed:
        parsed = parsed["folding"]
    if not isinstance(parsed, dict) or not all(isinstance(entry, dict) for entry in parsed.values()):
        raise IcsortError(f"{path}: a folding is an object of layers, like the key 'folding' of a build.json")
    chosen: Folding = {}
    kept: Folding = {}  # of layers that follow those
    for name, entry in parsed.items():
        if name not in base:
            raise IcsortError(f"{path}: there is no layer {name!r}; the layers are {', '.join(base)}")
        for key, value in entry.items():
            if key not in base[name]:
                raise IcsortError(f"{path}: {name} has no {key!r}; it has {', '.join(base[name])}")
            if key in STYLES:
                styles = LINE_STYLES if "parallel_window" in base[name] and "PE" not in base[name] else STYLES[key]
                if value not in styles:
                    raise IcsortError(f"{path}: {name} {key} is {value!r}; it is one of {', '.join(styles)}")
            elif isinstance(value, bool) or not isinstance(value, int) or value < (key != "parallel_window"):
                raise IcsortError(f"{path}: {name} {key} is {value!r}; it must be a positive whole number")
    for node in graph.nodes:
        if node.op in MULTIPLIERS:
            chosen[node.name] = _multiplier(node, base[node.name], parsed.get(node.name, {}))
        elif node.op == "Thresholding" and graph.producer[node.inputs[0]].name not in parsed:
            kept[node.name] = base[node.name]
        elif node.op == "ConvolutionInputGenerator":
            kept[node.name] = {"ram_style": base[node.name].get("ram_style", "auto")}
    check(graph, chosen, str(path))
    folding = complete(graph, chosen | kept, line_cycles)
    for name, entry in parsed.items():
        folding[name].update(entry)
    check(graph, folding, str(path))
    size_fifos(graph, folding, line_cycles)  # for what the file says of PE, unless it says the depths as well
    for name, entry in parsed.items():
        folding[name].update(entry)
    return folding


def _multiplier(node: Node, base: Unit, said: Unit) -> Unit:
    """A layer that multiplies as `said`, else as in `base`. Adders take all at once: who asks for them need not say it,
    and who asks for less at a time wants none."""
    whole = {"PE": node.rows, "SIMD": node.columns} if said.get("mult_style") in ADDER_STYLES else {}
    some = base["mult_style"] in ADDER_STYLES and {"PE", "SIMD"} & said.keys()
    return {**base, **whole, **({"mult_style": "auto"} if some else {}), **said}


def check(graph: Graph, folding: Units, where: str) -> None:
    """Refuse what the kernels cannot do, by the layer's name. Layers that `folding` leaves out pass.

    Raises IcsortError.
    """
    for node in graph.nodes:
        if node.name not in folding:
            continue
        unit = folding[node.name]
        for key, size in kernel_of(node, unit).limits(node).items():
            if size % int(unit[key]):
                raise IcsortError(
                    f"{where}: {node.name} {key} {unit[key]} does not divide {size}; use one of {divisors(size)}"
                )
        if reason := kernel_of(node, unit).refuses(node, unit):
            raise IcsortError(f"{where}: {node.name} mult_style {unit['mult_style']!r}: {reason}")
        for key in (*map(fifo_key, range(len(node.outputs))), *JOIN_FIFOS):
            if int(unit.get(key, FIFO_DEPTH)) < FIFO_DEPTH:
                raise IcsortError(f"{where}: {node.name} {key} {unit[key]} is less than 2, which halves the rate")
        if node.op == "ConvolutionInputGenerator":
            consumer = graph.consumer[node.outputs[0]]
            if consumer.op in ("VVAU", "Pool") and consumer.name in folding:
                taker = folding[consumer.name]
                if taker["parallel_window"] != unit["parallel_window"]:
                    raise IcsortError(f"{where}: {node.name} and {consumer.name} must have one parallel_window")
                if not taker["parallel_window"] and taker["PE"] != unit["SIMD"]:
                    raise IcsortError(f"{where}: {node.name} needs the PE of {consumer.name} as its SIMD")
            if unit["parallel_window"] and unit["SIMD"] != node.elements:
                raise IcsortError(f"{where}: {node.name} sends whole windows; its SIMD must be {node.elements}")


def apply(model: ModelWrapper, folding: Units) -> None:
    """Write PE, SIMD and the mode of window generators into the graph's nodes."""
    for node in model.graph.node:
        attributes, unit = getCustomOp(node), folding[node.name]
        for key in ("PE", "SIMD", "parallel_window"):
            if key in unit and key in attributes.get_nodeattr_types():
                attributes.set_nodeattr(key, unit[key])


def finn_throughput(model: ModelWrapper, part: str, cycles: int) -> Folding:
    """PE and SIMD of the layers that multiply as FINN's own SetFolding chooses them for `cycles` cycles a frame.

    FINN folds for throughput: each layer as narrow as that rate allows. For comparison with folding.optimizer. part:
    FPGA. An MVAU behind a flatten takes no more at a time than a pixel has.
    """
    folded = ModelWrapper(model.model, make_deepcopy=True)
    with quiet():
        folded = folded.transform(SpecializeLayers(part)).transform(SetFolding(cycles))
    chosen: Folding = {}
    specialized = _specialized(folded)
    for node in model.graph.node:
        if node.op_type in MULTIPLIERS:
            get = getCustomOp(specialized[node.output[0]]).get_nodeattr
            simd = int(get("SIMD"))
            if node.op_type == "MVAU":
                simd = gcd(simd, model.get_tensor_shape(node.input[0])[-1])
            chosen[node.name] = {"PE": int(get("PE")), "SIMD": simd}
    return chosen


def estimate(model: ModelWrapper, part: str) -> dict[str, dict[str, int]]:
    """FINN's own resource estimate of each layer of the folded graph: layer -> LUT, DSP, BRAM_18K, URAM.

    FINN estimates its own kernels, not ours: the multipliers in LUTs, the weights in distributed RAM, as ours are
    written.
    """
    estimated = ModelWrapper(model.model, make_deepcopy=True)
    for node in estimated.graph.node:
        if node.op_type in ("MVAU", "VVAU"):
            attributes = getCustomOp(node)
            attributes.set_nodeattr("preferred_impl_style", "hls")
            attributes.set_nodeattr("resType", "lut")
            attributes.set_nodeattr("ram_style", "distributed")
    with quiet():
        estimated = estimated.transform(SpecializeLayers(part))
        results = res_estimation(estimated, part)
    specialized = _specialized(estimated)
    return {
        node.name: {key: round(results[specialized[node.output[0]].name][key]) for key in RESOURCES}
        for node in model.graph.node
    }


def _specialized(model: ModelWrapper) -> dict[str, NodeProto]:
    """Nodes by the tensor that they make: SpecializeLayers names nodes anew and sorts branches in another order."""
    return {node.output[0]: node for node in model.graph.node}


def divisors(number: int) -> list[int]:
    """All of them, ascending."""
    return [d for d in range(1, number + 1) if number % d == 0]
