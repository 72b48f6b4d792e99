# SPDX-License-Identifier: Apache-2.0
"""Evaluation of a package: its integers are those of the QONNX model, its cells the ones that were asked for."""

import base64
import dataclasses
import json
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import tifffile
from typer.testing import CliRunner

from icsort.cli.root import app
from icsort.errors import IcsortError
from icsort.formats import package as manifest
from icsort.formats.integer import BATCH, IntegerNetwork
from icsort.quant.cells.dataset import Dataset, concatenate
from icsort.quant.cells.find import generated_dataset
from icsort.quant.commands.words import parse_merge
from icsort.quant.evaluation.evaluate import Wanted, evaluate, read_cells, unseen
from icsort.quant.networks.architectures import Architecture
from icsort.quant.packaging.export import run_qonnx
from icsort.quant.packaging.untrained import untrained_package
from icsort.quant.training.runs import load_run
from icsort.sim.bit_true.preprocess import preprocess

Images = dict[str, np.ndarray]
CHANNELS = ["Brightfield", "DNA", "Darkfield"]


@pytest.fixture(scope="session")
def stacks(dataset: Dataset) -> Images:
    """The fixture's cells as class stacks (cell, channel, y, x)."""
    images = np.stack(dataset.images).transpose(0, 3, 1, 2)
    return {name: images[dataset.labels == i] for i, name in enumerate(dataset.classes)}


def write(folder: Path, stacks: Images) -> Path:
    folder.mkdir()
    for name, stack in stacks.items():
        tifffile.imwrite(folder / f"{name}.tif", stack, photometric="minisblack")
    return folder


def test_integers_equal_qonnx_on_every_cell(package_folder: Path, dataset: Dataset) -> None:
    network = IntegerNetwork(package_folder)
    package = network.manifest
    numbers = package.preprocess
    pixels = preprocess(np.stack(dataset.images[: BATCH + 7]), numbers.background, numbers.gain, numbers.shift)
    floats = run_qonnx(package_folder / "model.onnx", pixels.transpose(0, 3, 1, 2).astype(np.float32))
    expected = np.rint(floats / package.logits.scale).astype(np.int64)
    found = network.logits(pixels)
    assert np.array_equal(found, expected)
    assert len(np.unique(found, axis=0)) > BATCH  # a dead network would prove nothing
    assert np.array_equal(network.logits(pixels[5:6]), expected[5:6])


@pytest.mark.full
@pytest.mark.parametrize("name", ["mobilenet_v2", "resnet8", "resnet50"])
def test_integers_of_deep_networks_equal_qonnx(name: str, dataset: Dataset, tmp_path: Path, seed: int) -> None:
    architecture = Architecture(name, width_multiplier=0.125, depth_multiplier=0.34, stem="3x3")
    package = untrained_package(architecture, dataset, tmp_path / name, name=name, seed=seed)
    numbers = package.preprocess
    pixels = preprocess(np.stack(dataset.images[::20]), numbers.background, numbers.gain, numbers.shift)
    floats = run_qonnx(tmp_path / name / "model.onnx", pixels.transpose(0, 3, 1, 2).astype(np.float32))
    found = IntegerNetwork(tmp_path / name).logits(pixels)
    assert np.array_equal(found, np.rint(floats.astype(np.float64) / package.logits.scale).astype(np.int64))
    assert len(np.unique(found, axis=0)) > len(pixels) // 2


def test_own_training_cells_are_left_out(
    package_folder: Path, run_folder: Path, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = manifest.load(package_folder)
    monkeypatch.setattr("icsort.quant.evaluation.evaluate.read_folder", lambda *_, **__: dataset)
    found, _ = evaluate(package_folder, Path("cells"))
    heldout, _ = evaluate(package_folder, run_folder / "heldout.npz")
    assert "left out: 160 that it was trained on, 20 that chose its epoch" in found["data"]["part"]
    assert found["data"]["left_out"] == {"trained_on": 160, "validation": 20}
    assert found["data"]["hash"] == heldout["data"]["hash"]
    assert found["confusion"] == heldout["confusion"]
    assert found["accuracy"]["value"] == pytest.approx(package.accuracy.accuracy)
    assert found["balanced_accuracy"]["value"] == pytest.approx(package.accuracy.balanced_accuracy)


def test_training_cells_are_left_out_whatever_they_are_called(
    package_folder: Path, run_folder: Path, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some of the cells, in another order and of other names, among new ones, with a class too small to learn."""
    split = json.loads((run_folder / "split.json").read_text())
    tested = {dataset.images[i].tobytes() for i in split["test"]}
    new = generated_dataset(per_class=3, seed=99)
    rare = dataclasses.replace(new.subset([0, 1]), labels=np.array([5, 5]), classes=(*dataset.classes, "Rare"))
    known = dataclasses.replace(dataset.subset(np.arange(len(dataset.images))[::-2]), classes=rare.classes)
    every = concatenate([dataclasses.replace(new, classes=rare.classes), known, rare])
    monkeypatch.setattr("icsort.quant.evaluation.evaluate.read_folder", lambda *_, **__: every)
    cells = read_cells(Path("cells"), Wanted.by_package(manifest.load(package_folder), package_folder))
    expected = {image.tobytes() for image in new.images} | (tested & {image.tobytes() for image in known.images})
    assert {image.tobytes() for image in cells.dataset.images} == expected
    assert sum(cells.left_out.values()) == len(known.images) - len(expected) + len(new.images)
    strangers = dataclasses.replace(every.subset([*range(15), len(every.images) - 1]))
    monkeypatch.setattr("icsort.quant.evaluation.evaluate.read_folder", lambda *_, **__: strangers)
    with pytest.raises(IcsortError, match="not know the class Rare"):  # only its own data may hold others
        read_cells(Path("cells"), Wanted.by_package(manifest.load(package_folder), package_folder))


def test_cells_of_another_choice_of_channels_are_the_same_cells(dataset: Dataset, run_folder: Path) -> None:
    run = load_run(run_folder)
    wanted = Wanted.by_run(run)
    chosen = dataset.with_channels(("Darkfield", "DNA", "Brightfield")).with_channels(wanted.channels)
    assert unseen(chosen, wanted).dataset.sha256() == unseen(dataset, wanted).dataset.sha256()


def test_nothing_is_left_to_score(package_folder: Path, dataset: Dataset, run_folder: Path) -> None:
    taught = dataset.subset(json.loads((run_folder / "split.json").read_text())["train"])
    wanted = Wanted.by_package(manifest.load(package_folder), package_folder)
    with pytest.raises(IcsortError, match="has seen all 160 cells"):
        unseen(taught, wanted)
    with pytest.raises(IcsortError, match=r"cells\.npz: cannot be read"):
        Wanted.by_package(manifest.load(package_folder), run_folder.parent)


def test_channels_are_found_by_name(package_folder: Path, stacks: Images, tmp_path: Path) -> None:
    package = Wanted.by_package(manifest.load(package_folder), package_folder)
    straight = read_cells(write(tmp_path / "a", few(stacks)), package, CHANNELS)
    turned = {name: stack[:, [2, 0, 1]] for name, stack in few(stacks).items()}
    cells = read_cells(write(tmp_path / "b", turned), package, ["Darkfield", "Brightfield", "DNA"])
    assert cells.dataset.sha256() == straight.dataset.sha256()
    assert (cells.background.lines == straight.background.lines).all()
    more = {name: np.concatenate([stack, stack[:, :1]], axis=1) for name, stack in few(stacks).items()}
    assert read_cells(write(tmp_path / "c", more), package, [*CHANNELS, "Other"]).dataset.channels == tuple(CHANNELS)
    with pytest.raises(IcsortError, match=r"no channel DNA.*--channels"):
        read_cells(tmp_path / "a", package, ["Brightfield", "GFP", "Darkfield"])


def test_classes_are_found_by_name(package_folder: Path, stacks: Images, tmp_path: Path) -> None:
    package = Wanted.by_package(manifest.load(package_folder), package_folder)
    fewer = {name: stack for name, stack in few(stacks).items() if name != "Large"}
    found, decisions = evaluate(package_folder, write(tmp_path / "fewer", fewer), channels=CHANNELS)
    large = found["classes"][package.classes.index("Large")]
    assert (large["cells"], large["roc_auc"]) == (0, None)
    assert decisions.names == package.classes
    with pytest.raises(IcsortError, match="not know the class Platelet"):
        read_cells(write(tmp_path / "other", {**fewer, "Platelet": fewer["Small"]}), package, CHANNELS)
    narrow = write(tmp_path / "narrow", {name: stack[..., :38] for name, stack in fewer.items()})
    with pytest.raises(IcsortError, match="38 pixels wide"):
        read_cells(narrow, package, CHANNELS)
    dark = write(tmp_path / "dark", {name: np.full_like(stack, 30) for name, stack in fewer.items()})
    with pytest.raises(IcsortError, match="no cell triggers"):
        evaluate(package_folder, dark, channels=CHANNELS)


def test_merged_classes_are_one_gate(package_folder: Path, run_folder: Path) -> None:
    plain, single = evaluate(package_folder, run_folder / "heldout.npz")
    found, decisions = evaluate(package_folder, run_folder / "heldout.npz", merged={"Big": ["Large", "Mitotic"]})
    assert decisions.names == ("Small", "Big", "Granular", "Binucleate")
    table = np.array(plain["confusion"])
    into = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1], [0, 1, 0, 0]])
    assert np.array_equal(np.array(found["confusion"]), into.T @ table @ into)
    assert decisions.posterior[:, 1] == pytest.approx(single.posterior[:, [1, 4]].sum(axis=1), abs=2**-15)
    with pytest.raises(IcsortError, match="Platelet"):
        evaluate(package_folder, run_folder / "heldout.npz", merged={"Big": ["Platelet"]})


def test_words_of_merge() -> None:
    assert parse_merge(["I=G1+S", "M = A + B"]) == {"I": ["G1", "S"], "M": ["A", "B"]}
    for wrong in (["G1+S"], ["=G1"], ["I=G1+"], ["I=G1", "J=G1"], ["I=G1", "I=S"]):
        with pytest.raises(IcsortError, match="--merge"):
            parse_merge(wrong)


class Pictures(HTMLParser):
    """Embedded pictures and whatever the page would load from elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.embedded: list[bytes] = []
        self.loaded: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if tag == "img" and name == "src" and value and value.startswith("data:image/png;base64,"):
                self.embedded.append(base64.b64decode(value.partition(",")[2]))
            elif name in ("src", "href"):
                self.loaded.append(str(value))


def test_command_writes_one_page_and_the_same_figures_as_json(
    package_folder: Path, run_folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "evaluation"
    words = ["evaluate", package_folder, "--data", run_folder / "heldout.npz", "--run", run_folder, "--out", out]
    result = CliRunner().invoke(app, [*map(str, words), "--json"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert json.loads((out / "evaluation.json").read_text()) == found
    integer, trained = found["comparison"]
    assert trained["name"] == run_folder.name
    assert integer["accuracy"]["value"] == found["accuracy"]["value"]
    text = (out / "report.html").read_text()
    page = Pictures()
    page.feed(text)
    assert page.loaded == []
    assert len(page.embedded) == 4
    assert all(picture.startswith(b"\x89PNG") for picture in page.embedded)
    assert found["package"]["model_id"] in text
    assert f"{100 * found['accuracy']['value']:.1f} %" in text


def test_bad_input_leaves_nothing(package_folder: Path, run_folder: Path, tmp_path: Path) -> None:
    older = tmp_path / "older"
    shutil.copytree(package_folder, older)
    text = (older / "manifest.json").read_text()
    (older / "manifest.json").write_text(text.replace('"version": 2', '"version": 3', 1))
    broken = tmp_path / "heldout.npz"
    broken.write_bytes((run_folder / "heldout.npz").read_bytes()[:500])
    for package, data, match in (
        (older, run_folder / "heldout.npz", "version is 3, and this icsort reads version 2"),
        (package_folder, broken, "is not the heldout.npz"),
        (package_folder, tmp_path / "nowhere", "no such folder"),
    ):
        words = ["evaluate", str(package), "--data", str(data), "--out", str(tmp_path / "out")]
        with pytest.raises(IcsortError, match=match) as caught:
            CliRunner().invoke(app, words, catch_exceptions=False)
        assert "\n" not in str(caught.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["heldout.npz", "older"]


def few(stacks: Images) -> Images:
    """Other cells than those of the training: not all of them."""
    return {name: stack[:8] for name, stack in stacks.items()}
