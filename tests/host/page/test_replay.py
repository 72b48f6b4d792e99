# SPDX-License-Identifier: Apache-2.0
"""A recording on the page, without a board."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from icsort.formats.fcs import FcsFile
from icsort.formats.gate_set import load
from icsort.host.recorder import Recorder
from icsort.host.sorter import Losses
from tests.host.page.conftest import Served
from tests.host.page.test_server import SIDES, until
from tests.host.recordings import event, layout

EVENTS = 3000


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    with Recorder(tmp_path / "monday.fcs", layout(), {}, Losses()) as recorder:
        for number in range(EVENTS):
            recorder.add(event(number))
    return tmp_path / "monday.fcs"


def test_replay(serve: Callable[..., Served], recording: Path, package: Path, tmp_path: Path) -> None:
    served = serve("--replay", str(recording), "--model", str(package), "--gates", str(tmp_path / "gates.toml"))
    browser = served.browser.enter()
    assert browser.post("/set_up")["replay"]
    axis = {"value": "Size (PI)", "scale": {"kind": "linear", "t": 2.0**32, "a": 2.0**32}}
    live = until(
        browser, lambda live: live["events"]["seen"] == EVENTS and live["progress"] == [EVENTS, EVENTS], x=axis, y=axis
    )
    file = FcsFile(recording)
    rows = file.rows(0, EVENTS)
    assert live["classes"] == np.bincount(rows[:, file.column("class")].astype(int), minlength=3).tolist()
    assert live["density"]["events"] == EVENTS
    assert browser.post("/disarm") == {"confirmed": True}
    seen = browser.post("/preview", {"gates": SIDES})
    assert seen["events"] == EVENTS
    done = browser.post("/commit", {"gates": SIDES})
    assert done["serial"] is None
    assert load(tmp_path / "gates.toml").gates[0].name == "large"


def test_what_the_page_needs_is_said(recording: Path, package: Path) -> None:
    for words, said in (
        (("--page", "0"), "--page needs --model"),
        (("--gates", "g.toml"), "give --page PORT"),
        (("--page", "0.0.0.0:80", "--replay", str(recording), "--model", str(package)), "give the one name or address"),
    ):
        done = subprocess.run(
            [sys.executable, "-m", "icsort", "serve", *words], capture_output=True, text=True, check=False
        )
        assert done.returncode == 2
        assert said in done.stderr
        assert done.stderr.count("\n") == 1


def test_without_its_server_the_extra_is_named(recording: Path, package: Path) -> None:
    code = "import sys; sys.modules['uvicorn'] = None; from icsort.cli.root import main; main()"
    words = ["serve", "--page", "0", "--replay", str(recording), "--model", str(package)]
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("icsort: error: uvicorn is not installed: pip install 'icsort[page]'"), done.stderr
