# SPDX-License-Identifier: Apache-2.0
"""`icsort demo` on generated cells, as in a clone without data: the report holds what it must, and it adds up."""

import json
from pathlib import Path

import pytest

from icsort.errors import IcsortError
from icsort.sim.flows.demo import run

pytestmark = pytest.mark.xdist_group("demo")


def test_demo(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "demo"
    run(out, generated=True, epochs=2)
    report = json.loads((out / "report.json").read_text())
    assert report["dataset"] == "generated"
    assert report["cells"] >= 200
    assert report["logits_equal"] == report["logits_compared"] >= 200 * len(report["classes"])
    assert report["events_received_by_host"] == report["events_sent"] == report["cells"]
    assert report["sorted"] + sum(report["not_sorted_by_cause"].values()) == report["events_sent"]
    latency = report["latency_cycles_last_pixel_to_decision"]
    assert 0 < latency["min"] <= latency["median"] <= latency["max"] <= 100
    assert report["latency_cycles_first_pixel_to_decision"]["min"] > report["cycles_per_cell"] - 100
    assert 0 < report["accuracy"] <= 1
    assert 0 < report["balanced_accuracy"] <= 1
    assert report["clock_target_mhz"] == 100
    assert len(report["build_id"]) == 16
    page = (out / "report.html").read_text()
    assert page.count("data:image/png;base64,") >= 3
    assert "generated ones" in page
    printed = capfd.readouterr().out
    assert report["build_id"] in printed
    assert str(out / "report.html") in printed


def test_does_not_replace_other_folders(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(IcsortError, match="not a demo's folder"):
        run(tmp_path, generated=True, epochs=1)
    assert (tmp_path / "thesis.txt").exists()
