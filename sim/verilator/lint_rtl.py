# SPDX-License-Identifier: Apache-2.0
"""Verilator's lint over every RTL module, each as its own top; part of `make lint`."""

import os
import subprocess
import sys
from pathlib import Path

from icsort.sim.verilator import verilate

RTL = Path(__file__).resolve().parents[2] / "hw" / "rtl"
# They hold the generated network; the tests lint it in a whole build.
NOT_ALONE = {"icsort_axi_top", "icsort_core", "icsort_top"}


def main() -> int:
    """Exit code 0 where every module passes `verilator --lint-only -Wall`, 1 with the warnings where one does not."""
    sources = sorted(RTL.rglob("*.sv"))
    environment = {**os.environ, **verilate.environment()}
    packages = [str(source) for source in sources if source.stem.endswith("_pkg")]
    folders = [word for folder in sorted({source.parent for source in sources}) for word in ("-y", str(folder))]
    failed = []
    for source in sources:
        if source.stem.endswith("_pkg") or source.stem in NOT_ALONE:
            continue
        command = [
            "verilator",
            "--lint-only",
            "--quiet",
            "-Wall",
            *packages,
            *folders,
            "--top-module",
            source.stem,
            str(source),
        ]
        if subprocess.run(command, env=environment, check=False).returncode:
            failed.append(source.name)
    print(f"{len(sources)} RTL files" + (f", with warnings: {', '.join(failed)}" if failed else " without a warning"))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
