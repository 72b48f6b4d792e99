# SPDX-License-Identifier: Apache-2.0
"""`icsort demo` on generated cells, as in a clone without data: the report holds what it must, and it adds up."""

import json
from pathlib import Path

import pytest

from icsort.errors import IcsortError
from icsort.output import work_folder
from icsort.sim.flows.demo import FILES, run

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


@pytest.mark.parametrize("name", ["thesis.txt", "run/thesis.txt"])
@pytest.mark.parametrize("force", [False, True])
def test_does_not_replace_other_folders(name: str, force: bool, tmp_path: Path) -> None:
    """A folder of the user's own stays, also one that has a `run` in it."""
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("years of work")
    with pytest.raises(IcsortError, match="is not an earlier result of this command"):
        run(tmp_path, generated=True, epochs=1, force=force)
    assert (tmp_path / name).read_text() == "years of work"


def test_an_earlier_demo_is_replaced_with_force_alone(tmp_path: Path) -> None:
    out = tmp_path / "demo"
    work_folder(out, "demo", FILES)
    (out / "report.html").write_text("earlier")
    with pytest.raises(IcsortError, match="replace it with --force"):
        run(out, generated=True, epochs=1)
    with pytest.raises(IcsortError, match="ended with code 2"):  # of no epochs
        run(out, generated=True, epochs=-1, force=True)
    assert not (out / "report.html").exists()
