# SPDX-License-Identifier: Apache-2.0
"""`icsort demo` on generated cells, as in a clone without data: the report holds what it must, and it adds up."""

import json
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from icsort.cli.root import app
from icsort.errors import IcsortError
from icsort.output import work_folder
from icsort.sim.flows.demo import FILES, run

pytestmark = pytest.mark.xdist_group("system")


def test_demo(tmp_path: Path) -> None:
    out = tmp_path / "demo"
    shown = CliRunner().invoke(app, ["demo", "--generated", "--epochs", "2", "--json", "--out", str(out)])
    assert shown.exit_code == 0, shown.output
    report = json.loads((out / "report.json").read_text())
    assert json.loads(shown.stdout) == report
    assert report["dataset"] == "generated"
    assert report["cells"] >= 200
    assert report["logits_equal"] == report["logits_compared"] >= 200 * len(report["classes"])
    assert report["features_equal"] == report["features_compared"] == 33 * report["events_sent"]
    assert report["events_received_by_host"] == report["events_sent"] == report["cells"]
    assert report["sorted"] + sum(report["not_sorted_by_cause"].values()) == report["events_sent"]
    latency = report["latency_cycles_last_pixel_to_decision"]
    assert 0 < latency["min"] <= latency["median"] <= latency["max"]
    # A cell that is shorter than the window is over before the network has its window.
    whole = report["latency_cycles_first_pixel_to_decision"]
    assert report["cycles_per_cell"] - 100 < whole["min"] <= whole["median"] <= report["cycles_per_cell"] + 200
    assert 0 < report["accuracy"] <= 1
    assert 0 < report["balanced_accuracy"] <= 1
    assert report["clock_target_mhz"] == 100
    assert len(report["build_id"]) == 16
    page = (out / "report.html").read_text()
    assert page.count("data:image/png;base64,") >= 3
    assert "generated ones" in page
    with Image.open(out / "overview.png") as picture:
        assert min(picture.size) > 1000
    assert report["build_id"] in shown.stderr
    assert str(out / "report.html") in shown.stderr
    for command in report["commands"]:
        assert f"$ {command}\n" in shown.stderr


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
