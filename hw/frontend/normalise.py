# SPDX-License-Identifier: Apache-2.0
"""What exporters leave in a QONNX file and no hardware is needed for, taken away without changing a logit.

Constant expressions, Identity, Dropout, Cast; a symbolic batch; a vector instead of an image; a Softmax or an order of
the classes behind the logits, which the gate works out from them; a weight quantizer that several layers share.
"""

from collections.abc import Iterator

import numpy as np
from onnx import NodeProto, TensorProto, helper, numpy_helper
from qonnx.transformation.fold_constants import FoldConstantsFiltered
from qonnx.transformation.infer_shapes import InferShapes

from icsort.errors import IcsortError
from icsort.hw.frontend.fast_model import FastModel
from icsort.hw.frontend.lint import ELEMENTWISE, MEAN, QUANTIZERS, SHAPE_ONLY, attribute, title
from icsort.hw.frontend.passes import quiet
from icsort.hw.frontend.steps import chain

PASSED_THROUGH = ("Identity", "Dropout", "Cast")
BEHIND_LOGITS = ("Softmax", "LogSoftmax", "ArgMax", "TopK")  # of the classes, in the same order as the logits
WIDEST_LINE = 255  # pixels; the manifest's limit of a window
VECTOR_RANK = 2
QUANT_DOMAIN = "qonnx.custom_op.general"
LINEAR = ("Add", "Sub", "Mul", "Div", "BatchNormalization")


def normalise(model: FastModel) -> FastModel:
    """Rewrite a file's graph in place; names of its layers stay. Returns it.

    Raises IcsortError where the graph is none that an image goes through.
    """
    graph = model.graph
    constants = {tensor.name for tensor in graph.initializer}
    inputs = [info for info in graph.input if info.name not in constants]
    if len(inputs) != 1:
        raise IcsortError(f"the file has {len(inputs)} inputs; one image is covered")
    for info in list(graph.input):
        if info.name in constants:
            graph.input.remove(info)
    _one_at_a_time(model)
    for node in _behind_logits(model):  # each removed before the next is looked for
        _drop_tail(model, node)
    for node in [node for node in graph.node if node.op_type in PASSED_THROUGH]:
        _bypass(model, node)
    model.forget()
    _fold(model)
    _unshare(model)
    _concatenate_pairs(model)
    _image_of_vector(model)
    _copy_pixels(model)
    _mean_before_classes(model)
    _classes_of_a_map(model)
    return model


def _one_at_a_time(model: FastModel) -> None:
    """Batch 1 and float pixels; shapes that say otherwise are found anew."""
    graph = model.graph
    kind = graph.input[0].type.tensor_type
    if kind.shape.dim and not kind.shape.dim[0].dim_value:
        kind.shape.dim[0].dim_value = 1
        computed = {tensor for node in graph.node for tensor in node.output}
        for info in [info for info in graph.value_info if info.name in computed]:
            graph.value_info.remove(info)
        for info in graph.output:
            info.type.tensor_type.ClearField("shape")
    if kind.elem_type == TensorProto.UINT8:
        kind.elem_type = TensorProto.FLOAT
    model.forget()


def _behind_logits(model: FastModel) -> Iterator[NodeProto]:
    """From the outputs on: layers that only rank or rescale the classes."""
    while True:
        outputs = {info.name for info in model.graph.output}
        ends = (node for node in model.graph.node if node.op_type in BEHIND_LOGITS and outputs & set(node.output))
        last = next((node for node in ends if not any(model.find_consumers(name) for name in node.output)), None)
        if last is None:
            return
        yield last


def _drop_tail(model: FastModel, node: NodeProto) -> None:
    graph = model.graph
    kept = [info for info in graph.output if info.name not in node.output and info.name != node.input[0]]
    del graph.output[:]
    graph.output.extend([*kept, helper.make_tensor_value_info(node.input[0], TensorProto.FLOAT, None)])
    for info in [info for info in graph.value_info if info.name == node.input[0]]:
        graph.value_info.remove(info)
    graph.node.remove(node)
    model.forget()


def _bypass(model: FastModel, node: NodeProto) -> None:
    """The node's input in its output's place."""
    if node.op_type == "Cast" and attribute(node, "to", [TensorProto.FLOAT])[0] != TensorProto.FLOAT:
        kind = TensorProto.DataType.Name(attribute(node, "to", [0])[0]).lower()
        if model.get_initializer(node.input[0]) is None:
            raise IcsortError(f"layer {title(node)}: a cast to {kind} is not covered; let the network compute in float")
        return  # of a constant: folded
    source, result = node.input[0], node.output[0]
    outputs = [info for info in model.graph.output if info.name == result]
    producer = model.find_producer(source)
    if outputs and producer is not None and not any(info.name == source for info in model.graph.output):
        for other in model.graph.node:  # the graph's output keeps its name
            for names in (other.input, other.output):
                for i, name in enumerate(names):
                    if name == source:
                        names[i] = result
    else:
        for other in model.find_consumers(result):
            for i, name in enumerate(other.input):
                if name == result:
                    other.input[i] = source
    model.graph.node.remove(node)


def _infer_shapes(model: FastModel, anew: bool = False) -> None:
    """Shapes of all tensors. anew: also of those that the graph gives one, after a change of it."""
    if anew:
        computed = {tensor for node in model.graph.node for tensor in node.output}
        for info in [info for info in model.graph.value_info if info.name in computed]:
            model.graph.value_info.remove(info)
        model.graph.output[0].type.tensor_type.ClearField("shape")
        model.forget()
    model.transform(InferShapes(), cleanup=False)


def _fold(model: FastModel) -> None:
    """Constant expressions, as the shapes that exporters compute, to constants."""
    try:
        for node in [node for node in model.graph.node if node.op_type == "Constant"]:
            value = helper.get_attribute_value(node.attribute[0])
            array = numpy_helper.to_array(value) if isinstance(value, TensorProto) else np.array(value)
            model.set_initializer(node.output[0], array.astype(np.float32) if array.dtype == np.float64 else array)
            model.graph.node.remove(node)
        _infer_shapes(model)
        for node in [node for node in model.graph.node if node.op_type == "Shape"]:
            shape = model.get_tensor_shape(node.input[0])
            if shape and all(shape):
                model.graph.node.remove(node)
                model.set_initializer(node.output[0], np.array(shape, np.int64))
        if any(not _computed(model, node) for node in model.graph.node):
            with quiet():
                while FoldConstantsFiltered(lambda _, node: node.op_type not in QUANTIZERS).apply(model)[1]:
                    pass
            model.forget()
    except Exception as error:  # onnx, onnxruntime and qonnx each raise their own
        line = (str(error).splitlines() or [type(error).__name__])[0]
        raise IcsortError(f"the ONNX file contradicts itself ({line}); export the model again") from None


def _computed(model: FastModel, node: NodeProto) -> bool:
    """Whether a node depends on the image, or is a quantizer of weights."""
    return node.op_type in QUANTIZERS or any(name and model.get_initializer(name) is None for name in node.input)


def _unshare(model: FastModel) -> None:
    """A weight quantizer for each layer that takes its values."""
    for node in [node for node in model.graph.node if node.op_type in QUANTIZERS]:
        if model.get_initializer(node.input[0]) is None:
            continue
        at = list(model.graph.node).index(node)
        for index, user in enumerate(model.find_consumers(node.output[0])[1:], start=1):
            copy = NodeProto()
            copy.CopyFrom(node)
            copy.name, copy.output[0] = f"{node.name}_{index}", f"{node.output[0]}_{index}"
            for i, name in enumerate(user.input):
                if name == node.output[0]:
                    user.input[i] = copy.output[0]
            model.graph.node.insert(at, copy)
            shape = model.get_tensor_shape(node.output[0])
            if shape is not None:
                model.set_tensor_shape(copy.output[0], shape)


def _concatenate_pairs(model: FastModel) -> None:
    """A Concat of many branches as Concats of two, all of its name: the kernel joins two streams."""
    for node in [node for node in model.graph.node if node.op_type == "Concat"]:
        if len(node.input) == 1:
            _bypass(model, node)
            model.forget()
        while len(node.input) > 2:
            joined = f"{node.output[0]}_{len(node.input)}"
            pair = helper.make_node("Concat", node.input[:2], [joined], name=node.name)
            pair.attribute.extend(node.attribute)
            model.graph.node.insert(list(model.graph.node).index(node), pair)
            rest = node.input[2:]
            del node.input[:]
            node.input.extend([joined, *rest])
            _infer_shapes(model)


def image_shape(numbers: int) -> tuple[int, int]:
    """Lines and pixels a line of an image of one channel for a vector: the widest lines that the window may have.

    Raises IcsortError where there are none.
    """
    width = max(width for width in range(1, WIDEST_LINE + 1) if numbers % width == 0)
    if numbers // width > WIDEST_LINE:
        raise IcsortError(f"a vector of {numbers} numbers is no image of at most {WIDEST_LINE} x {WIDEST_LINE} pixels")
    return numbers // width, width


def _image_of_vector(model: FastModel) -> None:
    """In front of a network of vectors: an image of one channel, line by line."""
    graph = model.graph
    name = graph.input[0].name
    shape = model.get_tensor_shape(name)
    if shape is None or len(shape) != VECTOR_RANK:
        return
    image, target = f"{name}_image", f"{name}_shape"
    model.set_initializer(target, np.array([1, shape[1]], np.int64))
    info = graph.input[0]
    graph.value_info.append(info)
    graph.input.remove(info)
    graph.input.append(helper.make_tensor_value_info(image, TensorProto.FLOAT, [1, 1, *image_shape(shape[1])]))
    graph.node.insert(0, helper.make_node("Reshape", [image, target], [name], name="image_to_vector"))
    model.forget()


def _copy_pixels(model: FastModel) -> None:
    """A depthwise 1 x 1 convolution with weights of 1 where pixels are normalised a channel, then quantized.

    A level that one channel reaches and another does not needs a threshold above all pixels, which hardware has behind
    sums only.
    """
    image = model.graph.input[0].name
    for quantizer in [node for node in model.graph.node if node.op_type == "Quant"]:
        root, nodes = chain(model, quantizer)
        shape = model.get_tensor_shape(root)
        constants = [model.get_initializer(name) for node in nodes for name in node.input]
        if root != image or shape is None or not any(value is not None and value.size > 1 for value in constants):
            continue
        name, channels = "pixels", shape[1]
        values = {"weight": np.ones((channels, 1, 1, 1)), "scale": 1.0, "zero": 0.0, "bits": 2.0}
        for key, value in values.items():
            model.set_initializer(f"{name}_{key}", np.asarray(value, np.float32))
        inputs = [f"{name}_{key}" for key in values]
        weights = helper.make_node(
            "Quant", inputs, [f"{name}_quantized"], name=f"{name}_weight_quant", domain=QUANT_DOMAIN,
            signed=1, narrow=1, rounding_mode="ROUND",
        )  # fmt: skip
        copy = helper.make_node(
            "Conv", [image, f"{name}_quantized"], [f"{name}_copy"], name=name,
            kernel_shape=[1, 1], group=channels, strides=[1, 1], pads=[0] * 4, dilations=[1, 1],
        )  # fmt: skip
        first = nodes[0]
        for i, tensor in enumerate(first.input):
            if tensor == image:
                first.input[i] = f"{name}_copy"
        at = list(model.graph.node).index(first)
        for offset, node in enumerate((weights, copy)):
            model.graph.node.insert(at + offset, node)
        _infer_shapes(model)
        return


def _above(model: FastModel, tensor: str, kinds: tuple[str, ...]) -> list[NodeProto]:
    """Nodes of these kinds with one computed input, from the one that makes the tensor upwards."""
    nodes: list[NodeProto] = []
    while (node := model.find_producer(tensor)) is not None and node.op_type in kinds:
        computed = [name for name in node.input if name and model.get_initializer(name) is None]
        if len(computed) != 1 or len(model.find_consumers(node.output[0])) > 1:
            break
        nodes.append(node)
        tensor = computed[0]
    return nodes


def behind_last(model: FastModel) -> tuple[list[NodeProto], NodeProto | None]:
    """What stands behind the last product or mean, from the logits upwards, and that layer."""
    output = model.graph.output[0].name
    nodes = _above(model, output, (*ELEMENTWISE, *SHAPE_ONLY))
    first = nodes[-1].input if nodes else [output]
    return nodes, next((node for name in first if (node := model.find_producer(name)) is not None), None)


def _mean_before_classes(model: FastModel) -> None:
    """The mean of what a last 1 x 1 convolution gives is what it gives of the mean: fewer products."""
    _, mean = behind_last(model)
    if mean is None or mean.op_type not in MEAN:
        return
    between = _above(model, mean.input[0], ELEMENTWISE)
    conv = model.find_producer(between[-1].input[0] if between else mean.input[0])
    if conv is None or conv.op_type != "Conv" or any(node.op_type not in LINEAR for node in between):
        return
    shape = model.get_tensor_shape(conv.input[1])
    if (
        shape is None
        or shape[2:] != [1, 1]
        or {*attribute(conv, "strides", [1])} != {1}
        or any(attribute(conv, "pads", [0]))
        or attribute(conv, "group", [1])[0] != 1
        or len(model.find_consumers(conv.output[0])) > 1
    ):
        return
    result, last = mean.output[0], (between[0] if between else conv)
    pooled = f"{conv.name or conv.output[0]}_pooled"
    mean.input[0], conv.input[0] = conv.input[0], pooled
    mean.output[0], last.output[0] = pooled, result
    for attr in [attr for attr in mean.attribute if attr.name == "keepdims"]:
        mean.attribute.remove(attr)  # rows and columns of one pixel: the convolution needs them
    moved = NodeProto()
    moved.CopyFrom(mean)
    model.graph.node.remove(mean)
    model.graph.node.insert(list(model.graph.node).index(conv), moved)
    _infer_shapes(model, anew=True)


def _classes_of_a_map(model: FastModel) -> None:
    """A last convolution over the whole of its map is a linear layer of all its numbers."""
    nodes, conv = behind_last(model)
    if conv is None or conv.op_type != "Conv" or attribute(conv, "group", [1])[0] != 1:
        return
    quantizer = model.find_producer(conv.input[1])
    weights = model.get_initializer(conv.input[1] if quantizer is None else quantizer.input[0])
    shape = model.get_tensor_shape(conv.input[0])
    if weights is None or shape is None or list(weights.shape[1:]) != shape[1:] or any(attribute(conv, "pads", [0])):
        return
    flat, result = f"{conv.name or conv.output[0]}_flat", model.graph.output[0].name
    users = [(conv, 1)] if quantizer is None else [(quantizer, 0), (quantizer, 1)]
    for user, index in users:
        value = model.get_initializer(user.input[index])
        if value is not None and value.ndim > 2:
            model.set_initializer(f"{user.input[index]}_flat", value.reshape(value.shape[0], -1))
            user.input[index] += "_flat"
    for node in nodes:
        for i, name in enumerate(node.input):
            value = model.get_initializer(name) if node.op_type in ELEMENTWISE else None
            if value is not None and value.ndim > 1:
                model.set_initializer(f"{name}_flat", value.reshape(-1))
                node.input[i] = f"{name}_flat"
    tensor = conv.output[0]
    for node in reversed(nodes):  # downwards; what only reshapes goes
        node.input[0 if model.get_initializer(node.input[0]) is None else 1] = tensor
        if node.op_type in SHAPE_ONLY:
            model.graph.node.remove(node)
        else:
            tensor = node.output[0]
    for node in model.graph.node:
        for i, name in enumerate(node.output):
            if name == tensor:
                node.output[i] = result
    del conv.attribute[:]
    conv.op_type = "Gemm"
    conv.attribute.append(helper.make_attribute("transB", 1))
    flatten = helper.make_node("Flatten", [conv.input[0]], [flat], axis=1, name=flat)
    model.graph.node.insert(list(model.graph.node).index(conv), flatten)
    conv.input[0] = flat
    _infer_shapes(model, anew=True)
