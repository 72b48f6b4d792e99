# SPDX-License-Identifier: Apache-2.0
"""QONNX's ModelWrapper without its quadratic searches, for networks of hundreds of layers and millions of weights.

FINN's and QONNX's passes run on it as they are. What they ask of the model is answered from indexes instead of
linear searches and copies of weights; the few passes that are run after every other one (`FASTER`) are replaced by
equal ones that do nothing where nothing is to be done.
"""

import ast
import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from finn.transformation.streamline.absorb import Absorb1BitMulIntoConv, Absorb1BitMulIntoMatMul
from onnx import GraphProto, ModelProto, TensorProto, ValueInfoProto, numpy_helper
from qonnx.core.datatype import BaseDataType, DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp, is_custom_op
from qonnx.transformation.base import Transformation
from qonnx.transformation.general import (
    GiveReadableTensorNames,
    GiveUniqueParameterTensors,
    RemoveStaticGraphInputs,
    RemoveUnusedTensors,
    SortCommutativeInputsInitializerLast,
    SortGraph,
)
from qonnx.transformation.infer_shapes import InferShapes

SMALL = 64  # constants of up to so many elements may decide shapes; larger ones are weights and thresholds
data_type = functools.cache(DataType.__getitem__)


class _Index:
    """Entries of a repeated field by name, indexed anew when the field no longer fits: passes also change it directly.

    An entry that was renamed where it stands is noticed by its old name, by its new one only after `forget`.
    """

    def __init__(self, entries: Any, key: str = "name") -> None:
        self.entries, self.key = entries, key
        self.forget()

    def forget(self) -> None:
        self.positions: dict[str, int] = {}
        self.length = -1

    def find(self, name: str) -> Any:
        if not self._fits(name):
            self.positions = {}
            for i, entry in enumerate(self.entries):
                self.positions.setdefault(getattr(entry, self.key), i)
            self.length = len(self.entries)
        position = self.positions.get(name)
        return None if position is None else self.entries[position]

    def _fits(self, name: str) -> bool:
        """Whether the index still speaks of the entries: one removed and one appended leave the length as it was."""
        if self.length != len(self.entries):
            return False
        if name in self.positions:
            return bool(getattr(self.entries[self.positions[name]], self.key) == name)
        return not self.length or getattr(self.entries[-1], self.key) in self.positions


class FastModel(ModelWrapper):  # type: ignore[misc]  # qonnx has no types
    """A ModelWrapper whose look-ups do not search. Transformations change it in place; they make no copies.

    Names of tensors may be changed through its methods only.
    """

    def __init__(self, model: ModelProto) -> None:
        self._model_proto = model
        self.fix_float64 = False
        graph = model.graph
        self._infos = [_Index(field) for field in (graph.input, graph.output, graph.value_info)]
        self._initializers = _Index(graph.initializer)
        self._annotations = _Index(graph.quantization_annotation, "tensor_name")
        self._arrays: dict[str, tuple[TensorProto, npt.NDArray[Any]]] = {}
        self.temporary_fix_oldstyle_domain()
        self.check_all_tensor_shapes_specified(fix_missing_init_shape=True)

    def __deepcopy__(self, memo: dict[int, Any]) -> "FastModel":
        """Itself: passes copy the model before each step in case they fail, and here a failure ends it all."""
        return self

    def transform(self, transformation: Transformation, *_: Any, cleanup: bool = True, **__: Any) -> "FastModel":
        """Apply a transformation until it changes nothing, then tidy up. In place; returns itself."""
        faster = FASTER.get(type(transformation))
        if faster:
            faster(self)
        else:
            while transformation.apply(self)[1]:
                pass
        if cleanup:
            self.cleanup()
        return self

    def cleanup(self) -> "FastModel":
        """What ModelWrapper.cleanup does."""
        for transformation in TIDY:
            self.transform(transformation, cleanup=False)
        return self

    def get_tensor_valueinfo(self, tensor_name: str) -> ValueInfoProto | None:
        """The shape entry of a tensor: of an input, an output or one between."""
        found = (index.find(tensor_name) for index in self._infos)
        return next((info for info in found if info is not None), None)

    def get_tensor_shape(self, tensor_name: str, fix_missing_init_shape: bool = False) -> list[int] | None:
        """The shape of a tensor; of a constant even where the file does not say it."""
        info = self.get_tensor_valueinfo(tensor_name)
        if info is not None:
            return [dimension.dim_value for dimension in info.type.tensor_type.shape.dim]
        tensor = self._initializers.find(tensor_name)
        if tensor is None:
            return None
        if fix_missing_init_shape:
            self.set_tensor_shape(tensor_name, tensor.dims, tensor.data_type)
        return list(tensor.dims)

    def set_tensor_shape(self, tensor_name: str, tensor_shape: Sequence[int], dtype: int | None = None) -> None:
        """Set the shape of a tensor, known or new."""
        old = self.get_tensor_valueinfo(tensor_name)
        if dtype is None:
            dtype = TensorProto.FLOAT if old is None else old.type.tensor_type.elem_type
        new = onnx.helper.make_tensor_value_info(tensor_name, dtype, list(tensor_shape))
        if old is None:
            self.graph.value_info.append(new)
        else:
            old.CopyFrom(new)

    def get_initializer(self, tensor_name: str, return_dtype: bool = False) -> Any:
        """The value of a constant, or None. Not a copy: read only."""
        tensor = self._initializers.find(tensor_name)
        if tensor is None:
            return (None, None) if return_dtype else None
        known, array = self._arrays.get(tensor_name, (None, None))
        if known is not tensor:
            array = numpy_helper.to_array(tensor)
            array.flags.writeable = False  # it is kept: a pass that wrote to it would change what the next one reads
            self._arrays[tensor_name] = tensor, array
        return (array, tensor.data_type) if return_dtype else array

    def set_initializer(self, tensor_name: str, tensor_value: npt.NDArray[Any]) -> None:
        """Set the value of a constant, known or new, and its shape."""
        new = numpy_helper.from_array(np.asarray(tensor_value), tensor_name)
        old = self._initializers.find(tensor_name)
        if old is None:
            self.graph.initializer.append(new)
        else:
            old.CopyFrom(new)
        self._arrays.pop(tensor_name, None)
        self.set_tensor_shape(tensor_name, new.dims, new.data_type)

    def del_initializer(self, initializer_name: str) -> None:
        """Make a tensor no constant any more."""
        super().del_initializer(initializer_name)
        self._initializers.forget()

    def get_tensor_datatype(self, tensor_name: str) -> BaseDataType:
        """The type of a tensor's values, FLOAT32 unless it was set."""
        found = self._annotation(tensor_name, "finn_datatype")
        if found:
            return data_type(found)
        info = self.get_tensor_valueinfo(tensor_name)
        tensor = self._initializers.find(tensor_name) if info is None else None
        stored = info.type.tensor_type.elem_type if info is not None else tensor.data_type if tensor is not None else 0
        return data_type("FLOAT16" if stored == TensorProto.FLOAT16 else "FLOAT32")

    def set_tensor_datatype(self, tensor_name: str, datatype: BaseDataType | None) -> None:
        """Set the type of a tensor's values; None: forget what was set."""
        self._annotate(tensor_name, "finn_datatype", None if datatype is None else datatype.name)

    def get_tensor_layout(self, tensor_name: str) -> list[str] | None:
        """The names of a tensor's dimensions, as ["N", "H", "W", "C"], or None."""
        found = self._annotation(tensor_name, "tensor_layout")
        return ast.literal_eval(found) if found else None

    def set_tensor_layout(self, tensor_name: str, data_layout: list[str]) -> None:
        """Set the names of a tensor's dimensions."""
        self._annotate(tensor_name, "tensor_layout", str(data_layout))

    def _annotation(self, tensor: str, key: str) -> str | None:
        annotation = self._annotations.find(tensor)
        entries = annotation.quant_parameter_tensor_names if annotation else ()
        return next((entry.value for entry in entries if entry.key == key), None)

    def _annotate(self, tensor: str, key: str, value: str | None) -> None:
        annotation = self._annotations.find(tensor)
        if annotation is None:
            if value is None:
                return
            annotation = self.graph.quantization_annotation.add(tensor_name=tensor)
        entries = annotation.quant_parameter_tensor_names
        for i, entry in enumerate(entries):
            if entry.key == key:
                if value is None:
                    del entries[i]
                else:
                    entry.value = value
                return
        if value is not None:
            entries.add(key=key, value=value)

    def rename_tensors(self, names: dict[str, str]) -> None:
        """Rename all tensors at once: old name -> new name."""
        graph = self.graph
        for entry in (*graph.input, *graph.output, *graph.value_info, *graph.initializer):
            entry.name = names.get(entry.name, entry.name)
        for annotation in graph.quantization_annotation:
            annotation.tensor_name = names.get(annotation.tensor_name, annotation.tensor_name)
        for node in graph.node:
            for tensors in (node.input, node.output):
                for i, name in enumerate(tensors):
                    if name in names:
                        tensors[i] = names[name]
        self.forget()
        self._arrays = {names.get(name, name): entry for name, entry in self._arrays.items()}

    def forget(self) -> None:
        """Call after entries of the graph were removed or renamed otherwise than by methods of this class."""
        for index in (*self._infos, self._initializers, self._annotations):
            index.forget()

    def rename_tensor(self, old_name: str, new_name: str) -> None:
        """Rename one tensor."""
        self.rename_tensors({old_name: new_name})


def _readable_names(model: FastModel) -> None:
    """Names as GiveReadableTensorNames gives them, in one sweep."""
    names: dict[str, str] = {}
    for node in model.graph.node:
        names |= {tensor: f"{node.name}_out{i}" for i, tensor in enumerate(node.output)}
        constants = [tensor for tensor in node.input if model.get_initializer(tensor) is not None]
        names |= {tensor: f"{node.name}_param{i}" for i, tensor in enumerate(constants)}
    for title, tensors in (("global_in", model.graph.input), ("global_out", model.graph.output)):
        names |= {tensor.name: title if i == 0 else f"{title}_{i}" for i, tensor in enumerate(tensors)}
    model.rename_tensors(names)


def _infer_shapes(model: FastModel) -> None:
    """Shapes of tensors that have none, by ONNX's own inference, which is spared the weights."""
    graph = model.graph
    known = [info for info in (*graph.input, *graph.output, *graph.value_info) if _has_shape(info)]
    shaped = {info.name for info in known}
    missing = {tensor for node in graph.node for tensor in node.output if tensor not in shaped}
    if not missing:
        return
    boundary = {info.name for info in (*graph.input, *graph.output)}
    light = GraphProto(name=graph.name, input=graph.input, output=graph.output)
    light.value_info.extend(info for info in known if info.name not in boundary)
    light.initializer.extend(tensor for tensor in graph.initializer if np.prod(tensor.dims, dtype=int) <= SMALL)
    for node in graph.node:
        custom = is_custom_op(node.domain)
        light.node.append(getCustomOp(node).make_shape_compatible_op(model) if custom else node)
    proto = onnx.helper.make_model(light, opset_imports=model.model.opset_import, ir_version=model.model.ir_version)
    inferred = onnx.shape_inference.infer_shapes(proto).graph
    for info in (*inferred.value_info, *inferred.output):
        if info.name in missing:
            old = model.get_tensor_valueinfo(info.name)
            if old is None:
                graph.value_info.append(info)
            else:
                old.CopyFrom(info)


def _has_shape(info: ValueInfoProto) -> bool:
    kind = info.type.tensor_type
    return bool(kind.HasField("shape")) and all(dimension.HasField("dim_value") for dimension in kind.shape.dim)


def _remove_unused(model: FastModel) -> None:
    graph = model.graph
    used = {tensor for node in graph.node for tensor in (*node.input, *node.output)}
    for entries, key in (
        (graph.initializer, "name"),
        (graph.value_info, "name"),
        (graph.quantization_annotation, "tensor_name"),
    ):
        for i in reversed(range(len(entries))):
            if getattr(entries[i], key) not in used:
                del entries[i]
    model.forget()


def _unique_parameters(model: FastModel) -> None:
    seen: set[str] = set()
    for node in model.graph.node:
        for i, tensor in enumerate(node.input):
            value = model.get_initializer(tensor)
            if value is not None and tensor in seen:
                copy = model.make_new_valueinfo_name()
                model.set_initializer(copy, value)
                model.set_tensor_datatype(copy, model.get_tensor_datatype(tensor))
                node.input[i] = copy
            seen.add(tensor)


def _sort(model: FastModel) -> None:
    """Sort by SortGraph unless each node stands behind all that it needs."""
    graph = model.graph
    known = {"", *(info.name for info in graph.input), *(tensor.name for tensor in graph.initializer)}
    for node in graph.node:
        if not known.issuperset(node.input):
            SortGraph().apply(model)
            return
        known.update(node.output)


def _absorb_signs(model: FastModel, product: str) -> None:
    """Factors of 1 and -1 behind a product into its weights, where the weights' type has room for them."""
    for node in list(model.graph.node):
        factors = model.find_consumer(node.output[0]) if node.op_type == product else None
        if factors is None or factors.op_type != "Mul" or model.is_fork_node(node):
            continue
        weights, signs = (model.get_initializer(one.input[1]) for one in (node, factors))
        if weights is None or signs is None or model.get_tensor_datatype(factors.input[1]).bitwidth() != 1:
            continue
        if product == "Conv":
            if sum(size > 1 for size in signs.shape) > 1:
                continue
            signs = signs.reshape(-1, 1, 1, 1)
        signed, kind = weights * signs, model.get_tensor_datatype(node.input[1])
        if all(kind.allowed(value) for value in np.unique(signed)):
            model.set_initializer(node.input[1], signed)
            node.output[0] = factors.output[0]
            model.graph.node.remove(factors)


FASTER: dict[type[Transformation], Callable[[FastModel], None]] = {
    GiveReadableTensorNames: _readable_names,
    InferShapes: _infer_shapes,
    RemoveUnusedTensors: _remove_unused,
    GiveUniqueParameterTensors: _unique_parameters,
    SortGraph: _sort,
    Absorb1BitMulIntoMatMul: functools.partial(_absorb_signs, product="MatMul"),
    Absorb1BitMulIntoConv: functools.partial(_absorb_signs, product="Conv"),
}
TIDY = (
    RemoveUnusedTensors(),
    RemoveStaticGraphInputs(),
    SortGraph(),
    SortCommutativeInputsInitializerLast(),
    GiveUniqueParameterTensors(),
)
