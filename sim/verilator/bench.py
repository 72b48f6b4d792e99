# SPDX-License-Identifier: Apache-2.0
"""Compile one RTL module with Verilator and run a cocotb bench on it: what every RTL test calls."""

import os
import subprocess
import sys
import uuid
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import cocotb_tools.runner
from cocotb_tools.check_results import get_results

from icsort.cache import cache_entry
from icsort.errors import IcsortError
from icsort.sim.verilator import verilate

REPOSITORY = Path(__file__).resolve().parents[2]
RTL = REPOSITORY / "hw" / "rtl"
# Illegal parameters stop the build; other warnings are for `make lint`.
VERILATOR_OPTIONS = [
    "-Wall",
    "-Wno-fatal",
    "-Werror-USERERROR",
    "-Werror-USERFATAL",
    "--assert",
    "--coverage-user",
    "-O3",
]
# Environment variable: the folder in which each simulation leaves how often it met each `cover property`.
COVERAGE_FOLDER = "ICSORT_COVERAGE_FOLDER"
OPTIMIZATION = "-O1"
# Slow files run once: the table of a whole network's signals takes g++ seconds at -O0 and many minutes at -O1.
COMPILER_OPTIONS = f"OPT_GLOBAL={OPTIMIZATION} OPT_SLOW=-O0"
HEADERS = "".join(f'#include "{name}.h"\n' for name in ("verilated", "verilated_cov", "verilated_dpi"))
# As in the makefiles that Verilator writes for benches; where they differ, g++ warns and reads the headers themselves.
SWITCHES = {"COVERAGE": 1, "SC": 0, "TIMING": 0, "TRACE": 0, "TRACE_FST": 0, "TRACE_VCD": 0, "TRACE_SAIF": 0}


def run_bench(
    top: str,
    bench: str,
    sources: Sequence[Path],
    *,
    seed: int,
    parameters: Mapping[str, int | str] | None = None,
    environment: Mapping[str, str] | None = None,
    testcase: str | None = None,
) -> None:
    """Build `top` from `sources` with `parameters`, run the cocotb tests of module `bench`, fail where one fails.

    The compiled model is cached by the content of the sources. `seed` seeds Python's `random` inside the bench and is
    printed by cocotb; `environment` hands values to the bench (`os.environ`).

    Raises AssertionError where a cocotb test failed or none ran.
    """
    parameters = dict(parameters or {})
    key = [
        top.encode(),
        version("verilator").encode(),
        version("cocotb").encode(),
        f"{REPOSITORY} {sys.prefix}".encode(),  # Verilator's makefiles name files of both
        repr((sorted(parameters.items()), VERILATOR_OPTIONS, COMPILER_OPTIONS)).encode(),
    ]
    key += [path.read_bytes() for path in sources]
    saved = dict(os.environ)
    os.environ.update(verilate.environment())
    os.environ.pop("PYTEST_CURRENT_TEST", None)  # where cocotb sees it, it exits before the message below
    try:
        os.environ["MAKEFLAGS"] += f" {COMPILER_OPTIONS} {_fast_option(_precompiled_headers())}"
        runner = cocotb_tools.runner.get_runner("verilator")
        with cache_entry("bench", key) as build:  # two tests may want the same model at once
            if not verilate.is_make_safe(build):
                raise IcsortError(f"{build}: make cannot work there; set ICSORT_CACHE to a plain path")
            runner.build(
                sources=list(sources),
                hdl_toplevel=top,
                parameters={
                    name: f'"{value}"' if isinstance(value, str) else value for name, value in parameters.items()
                },
                build_dir=build,
                build_args=VERILATOR_OPTIONS,
                timescale=("1ns", "1ps"),
            )
        folder = os.environ.get(COVERAGE_FOLDER)
        coverage = Path(folder) / f"{uuid.uuid4()}.dat" if folder else os.devnull
        results = runner.test(
            hdl_toplevel=top,
            test_module=bench,
            testcase=testcase,
            seed=seed,
            build_dir=build,
            test_dir=build,
            plusargs=[f"+verilator+coverage+file+{coverage}"],
            results_xml=str(build / f"results-{os.getpid()}.xml"),
            extra_env={"PYTHONPATH": str(REPOSITORY), **(environment or {})},
        )
    finally:
        os.environ.clear()
        os.environ.update(saved)
    ran, failed = get_results(results)
    assert ran > 0, f"{bench}: no cocotb test ran"
    assert failed == 0, f"{bench}: {failed} of {ran} cocotb tests failed (seed {seed}, {parameters})"


def _fast_option(header: Path) -> str:
    """For MAKEFLAGS. A large model, compiled in parallel, precompiles headers of its own, and g++ takes only one."""
    words = f"{OPTIMIZATION} $$(if $$(filter 0,$$(VM_PARALLEL_BUILDS)),-include {header} -Winvalid-pch)"
    return "OPT_FAST=" + words.replace(" ", "\\ ")


def _precompiled_headers() -> Path:
    """Verilator's headers beside their compiled form: to parse them is most of a small model's compilation."""
    include = Path(os.environ["VERILATOR_ROOT"]) / "include"
    command = ["ccache", "c++", OPTIMIZATION, "-I.", f"-I{include}", f"-I{include}/vltstd", "-DVERILATOR=1"]
    command += [f"-DVM_{switch}={value}" for switch, value in SWITCHES.items()]
    compiler = subprocess.run(["c++", "--version"], capture_output=True, check=True).stdout
    key = [version("verilator").encode(), compiler, HEADERS.encode(), repr(command).encode()]
    with cache_entry("bench-headers", key) as folder:
        header, compiled = folder / "runtime.h", folder / "runtime.h.gch"
        if not compiled.exists():
            header.write_text(HEADERS)
            part = folder / "part.gch"
            environment = {**os.environ, "CCACHE_SLOPPINESS": "pch_defines,time_macros"}  # else it keeps no such file
            subprocess.run([*command, "-x", "c++-header", header, "-o", part], env=environment, check=True)
            part.rename(compiled)
    return header
