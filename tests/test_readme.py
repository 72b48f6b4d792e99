# SPDX-License-Identifier: Apache-2.0
"""Every command in the README works, in the order in which it stands there, on images as a user has them."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import tifffile

from icsort.quant.synthetic import demo_cells as cells

REPOSITORY = Path(__file__).parent.parent
README = (REPOSITORY / "README.md").read_text()
BLOCKS = re.findall(r"^```sh\n(.*?)^```", README, flags=re.DOTALL | re.MULTILINE)


def test_make_targets() -> None:
    """`make demo` is `icsort demo`, which tests/sim/flows/test_demo.py runs; `make test` is what runs now."""
    named = re.findall(r"^    make (\S+)", README, flags=re.MULTILINE)
    assert named == ["demo", "test"]
    for target, part in (("demo", "icsort demo"), ("test", "python -m pytest")):
        planned = subprocess.run(["make", "-n", target], cwd=REPOSITORY, capture_output=True, text=True, check=True)
        assert part in planned.stdout


@pytest.mark.xdist_group("system")
def test_commands(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    images, labels = cells.generate(per_class=100)
    for index, name in enumerate(cells.CLASSES):
        stack = images[labels == index].transpose(0, 3, 1, 2)
        tifffile.imwrite(tmp_path / "images" / f"{name}.tif", stack, photometric="minisblack")
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    background = []
    # Where tests run as a shell's background job, the board would ignore what ends it here.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        for block in BLOCKS:
            for line in block.splitlines():
                command = line.removesuffix(" &")
                # The test's cells are few: fewer events come than the README waits for; how well they are sorted is
                # not asked here.
                command = command.replace("--count 100", "--count 10")
                command = command.replace("icsort train", "icsort train --epochs 4")
                if line.endswith(" &"):
                    background.append(subprocess.Popen(command.split(), cwd=tmp_path, env=environment))
                    deadline = time.monotonic() + 300
                    while not (tmp_path / "out" / "board").exists() and time.monotonic() < deadline:
                        time.sleep(0.2)
                    continue
                done = subprocess.run(
                    command.split(), cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
                )
                assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
    finally:
        for process in background:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=60)
    assert all(process.returncode == 0 for process in background)
    assert (tmp_path / "out" / "events.jsonl").read_text().count("\n") == 10
