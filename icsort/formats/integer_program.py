# SPDX-License-Identifier: Apache-2.0
"""A netlist's network as a compiled program in this process: integers in, integers out, equal to its RTL's.

The C++ of `integer_source` is compiled for this machine once and kept by its content, the compiler and what the
compiler says of the processor: a cache that machines share has a program for each kind.
"""

import ctypes
import shutil
import subprocess
import weakref
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from icsort.cache import VARIABLE, cache_entry, is_whole, keep
from icsort.errors import IcsortError
from icsort.formats.integer_source import Elements, source
from icsort.formats.netlist import Netlist

HEADER = Path(__file__).parent / "integer_kernels.h"
COMPILER = "c++"
# -fwrapv: sums may wrap on their way. -march=native is in the key, by the macros that it defines.
OPTIONS = ("-std=c++17", "-O3", "-march=native", "-fwrapv", "-fPIC", "-shared", "-Wall", "-Wno-psabi")
NAME = "network.so"
BATCH = 64  # images that are in memory in 32 bits at once

_INTEGERS = ctypes.POINTER(ctypes.c_int32)


class IntegerProgram:
    """A network, opened: its weights are in memory in the order in which they are used.

    netlist: of a build, with its memory files in the folder `memories`. image: what enters it. Raises IcsortError for
    a netlist that is not covered, memory files that are not whole, no C++ compiler, and a cache that cannot be written.
    """

    def __init__(self, netlist: Netlist, memories: Path, image: Elements) -> None:
        written = source(netlist, memories, image)
        self._input, self._output = written.input, written.output
        library = compile_program(written.text)
        try:
            self._library = ctypes.CDLL(str(library))
        except OSError as error:
            raise IcsortError(f"{library}: cannot be loaded ({error}); set {VARIABLE} to another folder") from None
        self._library.integer_open.restype = ctypes.c_void_p
        self._library.integer_run.argtypes = (ctypes.c_void_p, ctypes.c_int64, _INTEGERS, _INTEGERS)
        self._library.integer_close.argtypes = (ctypes.c_void_p,)
        constants = (_INTEGERS * max(1, len(written.constants)))(*map(_address, written.constants))
        self._network = self._library.integer_open(constants)
        weakref.finalize(self, self._library.integer_close, self._network)

    def run(self, images: NDArray[np.integer]) -> NDArray[np.int64]:
        """What leaves the network, (N, elements), of images whose elements are in stream order: (N, H, W, C)."""
        outputs = np.empty((len(images), self._output), np.int64)
        for begin in range(0, len(images), BATCH):
            taken = np.ascontiguousarray(images[begin : begin + BATCH], np.int32)
            if taken[0].size != self._input:
                raise IcsortError(f"images have {taken[0].size} elements; the network takes {self._input}")
            given = np.empty((len(taken), self._output), np.int32)
            self._library.integer_run(self._network, len(taken), _address(taken), _address(given))
            outputs[begin : begin + BATCH] = given
        return outputs


def compile_program(text: str) -> Path:
    """Shared library of a generated source, compiled once. Raises IcsortError where the compiler is missing or fails,
    or the cache cannot be written."""
    path = shutil.which(COMPILER)
    if path is None:
        raise IcsortError(
            f"{COMPILER} not found, which a build's network is compiled with: on Debian, apt-get install g++; or give "
            "`icsort evaluate` and `icsort classify` the model package, which needs none"
        )
    version = _output([path, "--version"])
    machine = _output([path, "-march=native", "-dM", "-E", "-x", "c++", "-"])
    key = [text.encode(), HEADER.read_bytes(), version, machine, repr(OPTIONS).encode()]
    with cache_entry("integer", key) as folder:
        library = folder / NAME
        if is_whole(library):
            return library
        code, part = folder / "network.cpp", folder / "part.so"
        code.write_text(text, encoding="ascii")
        shutil.copyfile(HEADER, folder / HEADER.name)
        command = [path, *OPTIONS, code.name, "-o", part.name]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace", check=False)
        if done.returncode:
            log = folder / "log"
            log.write_text(done.stderr)
            lines = done.stderr.splitlines() or [f"code {done.returncode}"]
            first = next((line for line in lines if " error: " in line or "fatal" in line), lines[-1])
            raise IcsortError(f"{COMPILER} could not compile the build's network, see {log}: {first}")
        keep(part, library)
    return library


def _output(command: list[str]) -> bytes:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines() or ["nothing"]
        raise IcsortError(f"{' '.join(command)} ended with code {done.returncode}: {said[0]}; give the model package")
    return done.stdout


def _address(array: NDArray[np.int32]) -> "ctypes._Pointer[ctypes.c_int32]":
    return array.ctypes.data_as(_INTEGERS)
