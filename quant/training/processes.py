# SPDX-License-Identifier: Apache-2.0
"""The processes that train one network together (torchrun), and the device of each."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, distributed

from icsort.errors import IcsortError
from icsort.quant.networks.architectures import Network

DEVICES = ("auto", "cpu", "cuda")


@dataclass(frozen=True)
class Processes:
    """`count` processes, of which this is number `rank` (from 0), on `device`."""

    count: int
    rank: int
    device: torch.device

    @property
    def first(self) -> bool:
        """Whether this process writes the results."""
        return self.rank == 0

    def place(self, model: Network) -> Network:
        """The network on this process's device, in the memory order that convolutions are fastest in."""
        placed: Network = model.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        return placed

    def to_device(self, tensor: Tensor) -> Tensor:
        """The tensor on this process's device."""
        return tensor.to(self.device)

    def gather(self, tensor: Tensor) -> list[Tensor]:
        """The tensors of all processes, in order of rank; all processes must call."""
        if self.count == 1:
            return [tensor]
        gathered: list[Tensor] = [torch.empty_like(tensor)] * self.count
        distributed.all_gather_object(gathered, tensor)
        return gathered


@contextmanager
def processes(device: str = "auto") -> Iterator[Processes]:
    """This process alone, or as one of those that torchrun started (gloo on CPU, NCCL on GPU).

    device: "cpu", "cuda", or "auto" for a GPU where there is one. Raises IcsortError for a GPU that is not there.
    """
    if device not in DEVICES:
        raise IcsortError(f"there is no device {device!r}: choose one of {', '.join(DEVICES)}")
    if device == "cuda" and not torch.cuda.is_available():
        raise IcsortError("torch sees no GPU here; leave --device out, or install a torch that has CUDA")
    kind = "cuda" if device != "cpu" and torch.cuda.is_available() else "cpu"
    if "WORLD_SIZE" not in os.environ:
        yield Processes(1, 0, torch.device(kind))
        return
    distributed.init_process_group("nccl" if kind == "cuda" else "gloo")
    try:
        local = torch.device(f"cuda:{os.environ['LOCAL_RANK']}" if kind == "cuda" else "cpu")
        if kind == "cuda":
            torch.cuda.set_device(local)
        yield Processes(distributed.get_world_size(), distributed.get_rank(), local)
        distributed.barrier()  # leave together: one that ends while another still talks may leave it waiting
    finally:
        distributed.destroy_process_group()
