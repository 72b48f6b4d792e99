# SPDX-License-Identifier: Apache-2.0
"""`icsort benchmark`: every step of every network, and a network that fails among others."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from icsort.cli.root import app
from icsort.errors import IcsortError
from icsort.formats.acquisition import InputSpec
from icsort.sim.flows.benchmark import NETWORKS, load_networks
from icsort.sim.simulate.images import generated_images, real_images

SMALL = {
    "name": "small",
    "model": ["--arch", "student", "--classes", "3", "--input", "2x16x16"],
    "board": "virtual",
    "rate": 1000,
    "images": 3,
}
FAILING = {**SMALL, "name": "failing", "model": ["--arch", "none"]}


def benchmark(folder: Path, *networks: dict[str, Any]) -> tuple[int, list[dict[str, Any]]]:
    """Exit code and benchmark.json of a run over these networks."""
    (folder / "networks.json").write_text(json.dumps(networks))
    words = ["benchmark", "--list", str(folder / "networks.json"), "--out", str(folder / "out"), "--stalls", "2"]
    code = CliRunner().invoke(app, words, catch_exceptions=False).exit_code
    return code, json.loads((folder / "out" / "benchmark.json").read_text())


@pytest.mark.full
def test_all_figures_of_a_network(tmp_path: Path) -> None:
    code, (failing, small) = benchmark(tmp_path, FAILING, SMALL)
    assert code == 1
    assert set(failing) == {"name", "error"}
    assert small["logits_compared"] == small["logits_equal"] == 3 * 3 * 3
    assert small["seeds"] == [0, 1]
    assert small["cells_per_second"] == small["clock_target_mhz"] * 1e6 / small["interval"]["simulated"]
    assert 0 < small["resources"]["LUT"] <= small["budget"]["LUT"]
    assert [command.split()[1] for command in small["commands"]] == ["model", "compile", "simulate"]
    assert (tmp_path / "out" / "small" / "simulation" / "layers.png").is_file()


def test_a_network_that_fails_is_a_result(tmp_path: Path) -> None:
    code, (failing,) = benchmark(tmp_path, FAILING)
    assert code == 1
    assert "icsort model --arch none" in failing["error"]


def test_lists(tmp_path: Path) -> None:
    """The list that comes along can be read, a name chooses from it, and what is no list is refused."""
    assert [network.name for network in load_networks(NETWORKS, ["student"])] == ["student"]
    assert all(network.images > 1 for network in load_networks(NETWORKS, []))  # the interval takes two
    with pytest.raises(IcsortError, match="no network 'teacher'; it has student"):
        load_networks(NETWORKS, ["teacher"])
    with pytest.raises(IcsortError, match="does not exist"):
        load_networks(tmp_path / "none.json", [])
    (tmp_path / "list.json").write_text('[{"name": "x"}]')
    with pytest.raises(IcsortError, match="no list of networks"):
        load_networks(tmp_path / "list.json", [])


def test_images_of_any_shape(seed: int) -> None:
    """Generated or real: the shape asked for, no channel and no image like another, most of the range in use."""
    shape = InputSpec(height=50, width=30, channels=5)
    for images in (generated_images(shape, 4, seed), real_images(shape, 4, seed)):
        if images is None:
            pytest.skip("the Jurkat cells are not at hand")
        assert images.dtype == "uint8"
        assert images.shape == (4, 50, 30, 5)
        assert len({image.tobytes() for image in images}) == 4
        assert images.max() > 60


def test_out_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").write_text("keep")
    with pytest.raises(IcsortError, match="is not an earlier result of this command"):
        CliRunner().invoke(app, ["benchmark", "--out", str(tmp_path / "out"), "--force"], catch_exceptions=False)
    assert (tmp_path / "out" / "notes.txt").read_text() == "keep"
