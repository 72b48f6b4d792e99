# SPDX-License-Identifier: Apache-2.0
"""The network of a build as instances and the streams between them: key "netlist" of build.json.

Who wants to know what is in the RTL reads this; the generated SystemVerilog is written from it and never read.
"""

from collections.abc import Iterator
from functools import cached_property
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

FIFO, CONVERTER = "fifo", "width_converter"  # what stands between layers


class Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class MemoryFile(Part):
    """parameter: that names it to the instance. file: in the build's folder mem."""

    parameter: str
    file: str


class Instance(Part):
    """One kernel.

    name: in the RTL, behind "u_". module: of hw/rtl/kernels. generated: whether a module that is called as the
    instance, rtl/kernels/NAME.sv, stands around that one and binds its parameters. parameters: all but the memory's.
    memory: what the RTL reads; of a generated one, what stands in its RTL, for who reads the netlist.
    inputs: port -> stream. outputs: streams, all on port m_axis. layer, source: FINN's layer whose work it does, and
    the layer of the user's file that this came from; empty for what stands between layers.
    """

    name: str
    module: str
    parameters: dict[str, int | str]
    memory: MemoryFile | None = None
    generated: bool = False
    inputs: dict[str, str]
    outputs: tuple[str, ...]
    layer: str = ""
    source: str = ""


class Netlist(Part):
    """input, output: streams that enter and leave. streams: name -> bits in a beat. instances: in stream order."""

    version: Literal[1] = 1
    input: str
    output: str
    streams: dict[str, int]
    instances: tuple[Instance, ...]

    def to_json(self) -> dict[str, Any]:
        """As in build.json, without what is empty."""
        return {"version": self.version, **self.model_dump(mode="json", exclude_defaults=True)}

    @cached_property
    def producer(self) -> dict[str, Instance]:
        """Stream -> the instance that gives it; `input` has none."""
        return {stream: instance for instance in self.instances for stream in instance.outputs}

    @cached_property
    def consumer(self) -> dict[str, Instance]:
        """Stream -> the instance that takes it; `output` has none."""
        return {stream: instance for instance in self.instances for stream in instance.inputs.values()}

    @property
    def layers(self) -> Iterator[Instance]:
        """Instances that do the work of a layer."""
        return (instance for instance in self.instances if instance.layer)

    @property
    def between(self) -> Iterator[Instance]:
        """FIFOs and width converters."""
        return (instance for instance in self.instances if not instance.layer)

    def fifos_behind(self, instance: Instance) -> list[Instance]:
        """The FIFO behind each output of a layer."""
        fifos = []
        for stream in instance.outputs:
            after = self.consumer[stream]
            while after.module == CONVERTER:
                after = self.consumer[after.outputs[0]]
            fifos.append(after)
        return fifos

    def join_fifos(self, instance: Instance) -> list[Instance]:
        """FIFOs in front of the inputs of a join, in the order of the inputs; none for other layers."""
        fifos = [self.producer[stream] for stream in instance.inputs.values() if stream in self.producer]
        return [fifo for fifo in fifos if fifo.module == FIFO] if len(instance.inputs) > 1 else []
