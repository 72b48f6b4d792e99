# SPDX-License-Identifier: Apache-2.0
"""The kernels: a module for each of hw/rtl/kernels, and an entry here."""

from math import prod
from typing import TYPE_CHECKING

from icsort.errors import IcsortError
from icsort.hw.kernels.channel_add import ChannelAdd
from icsort.hw.kernels.constant_mvau import ConstantMvau
from icsort.hw.kernels.fifo import Fifo
from icsort.hw.kernels.finn import NotCoveredError, datatype, shape
from icsort.hw.kernels.fmpad import Fmpad
from icsort.hw.kernels.global_acc_pool import GlobalAccPool
from icsort.hw.kernels.kernel import Kernel, LayerKernel, Node, Unit
from icsort.hw.kernels.label_select import LabelSelect
from icsort.hw.kernels.max_pool import MaxPool
from icsort.hw.kernels.max_pool_folded import MaxPoolFolded
from icsort.hw.kernels.mvau import Mvau
from icsort.hw.kernels.sliding_window import SlidingWindow
from icsort.hw.kernels.sliding_window_folded import SlidingWindowFolded
from icsort.hw.kernels.stream_add import StreamAdd
from icsort.hw.kernels.stream_concat import StreamConcat
from icsort.hw.kernels.stream_fork import StreamFork
from icsort.hw.kernels.threshold import Threshold
from icsort.hw.kernels.vvau import Vvau
from icsort.hw.kernels.width_converter import WidthConverter

if TYPE_CHECKING:
    from onnx import NodeProto
    from qonnx.core.modelwrapper import ModelWrapper

KERNELS: dict[str, Kernel] = {
    kernel.name: kernel
    for kernel in (
        Mvau(),
        ConstantMvau(),
        Vvau(),
        Threshold(),
        SlidingWindow(),
        SlidingWindowFolded(),
        Fmpad(),
        MaxPool(),
        MaxPoolFolded(),
        GlobalAccPool(),
        LabelSelect(),
        StreamFork(),
        StreamAdd(),
        StreamConcat(),
        ChannelAdd(),
        WidthConverter(),
        Fifo(),
    )
}
LAYER_KERNELS = tuple(kernel for kernel in KERNELS.values() if isinstance(kernel, LayerKernel))
_BY_OP = {kernel.op: tuple(other for other in LAYER_KERNELS if other.op == kernel.op) for kernel in LAYER_KERNELS}


def read_node(model: "ModelWrapper", proto: "NodeProto", source: str = "") -> Node:
    """A node of FINN's hardware graph. source: the layer of the user's file. Raises IcsortError, by its name, for one
    that no kernel covers."""
    where = f"layer '{source or proto.name}' (FINN's {proto.name})"
    kernel = _reader(model, proto)
    if kernel is None:
        covered = dict.fromkeys(kernel.finn_op for kernel in LAYER_KERNELS)
        raise IcsortError(f"{where}: {proto.op_type} is not covered; there are kernels for {', '.join(covered)}")
    sizes = shape(model, proto.input[0])
    height, width = (sizes[1], sizes[2]) if len(sizes) == 4 else (1, prod(sizes[:-1]))
    inputs = kernel.streams(proto)
    node = Node(
        name=proto.name,
        op=kernel.op,
        source=source or proto.name,
        inputs=inputs,
        outputs=tuple(proto.output),
        height=height,
        width=width,
        elements=sizes[-1],
        in_bits=tuple(int(datatype(model, tensor).bitwidth()) for tensor in inputs),
        out_bits=int(datatype(model, proto.output[0]).bitwidth()),
    )
    try:
        return kernel.read(model, proto, node)
    except NotCoveredError as reason:
        raise IcsortError(f"{where}: {reason}") from None


def streams(model: "ModelWrapper", proto: "NodeProto") -> tuple[str, ...]:
    """A node's inputs that stream; of one that no kernel covers, the first."""
    kernel = _reader(model, proto)
    return kernel.streams(proto) if kernel else tuple(proto.input[:1])


def kernel_of(node: Node, unit: Unit) -> LayerKernel:
    """The kernel that does a layer folded as `unit` says."""
    return next(kernel for kernel in _BY_OP[node.op] if kernel.folds(unit))


def _reader(model: "ModelWrapper", proto: "NodeProto") -> LayerKernel | None:
    able = (kernel for kernel in LAYER_KERNELS if kernel.finn_op == proto.op_type and kernel.implements(model, proto))
    return next(able, None)
