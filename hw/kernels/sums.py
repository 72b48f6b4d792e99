# SPDX-License-Identifier: Apache-2.0
"""How wide sums are: a threshold above all of them means never, and needs a bit more than FINN typed."""

from typing import TYPE_CHECKING

import numpy as np

from icsort.hw.kernels.finn import Integers, NotCoveredError, datatype, integers

if TYPE_CHECKING:
    from onnx import NodeProto
    from qonnx.core.modelwrapper import ModelWrapper

WIDENED = ("MVAU", "VVAU", "ElementwiseAdd")  # FINN layers whose kernels can give wider results than FINN typed


def result_bits(model: "ModelWrapper", proto: "NodeProto") -> int:
    """Bits of the sums that a layer of WIDENED gives: as the Thresholding behind it wants them, if one is there."""
    consumer = model.find_consumers(proto.output[0])
    if len(consumer) == 1 and consumer[0].op_type == "Thresholding":
        return threshold_input(model, consumer[0])[0]
    return _result(model, proto)[0]


def operand(model: "ModelWrapper", tensor: str) -> tuple[int, bool]:
    """Bits and sign of a stream's elements, before a threshold asks for more."""
    producer = model.find_producer(tensor)
    if producer is not None and producer.op_type in WIDENED:
        return _result(model, producer)
    data = datatype(model, tensor)
    return int(data.bitwidth()), bool(data.signed())


def threshold_input(model: "ModelWrapper", proto: "NodeProto") -> tuple[int, bool]:
    """Bits and sign of a Thresholding's input: its own, and one bit more if a threshold lies above all its values."""
    bits, signed = operand(model, proto.input[0])
    if reachable(model, proto).max() < 1 << (bits - signed):
        return bits, signed
    producer = model.find_producer(proto.input[0])
    if producer is None or producer.op_type not in WIDENED:
        raise NotCoveredError("a threshold above the range of the input is covered behind sums only")
    return bits + 1, signed


def reachable(model: "ModelWrapper", proto: "NodeProto") -> Integers:
    """Thresholds (channels or 1, steps), those at the end left out that no value reaches in any channel.

    Behind sums they stay, one bit wider: that many steps are what the activation's type has.
    """
    thresholds = integers(model, proto.input[1])
    producer = model.find_producer(proto.input[0])
    if producer is not None and producer.op_type in WIDENED:
        return thresholds
    reached = (thresholds <= datatype(model, proto.input[0]).max()).any(axis=0)
    steps = int(np.flatnonzero(reached).max(initial=-1)) + 1
    if not steps:
        raise NotCoveredError("gives one value only, whatever comes")
    return thresholds[:, :steps]


def _result(model: "ModelWrapper", proto: "NodeProto") -> tuple[int, bool]:
    """Bits and sign of the sums that a layer of WIDENED gives, before a threshold asks for more."""
    data = datatype(model, proto.output[0])
    if proto.op_type == "ElementwiseAdd":
        return int(data.bitwidth()), bool(data.signed())
    return int(data.bitwidth()) + (0 if data.signed() else 1), True
