# SPDX-License-Identifier: Apache-2.0
"""Classes of cells without labels: against QONNX and a softmax, in pieces, from each kind of source."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
from numpy.typing import NDArray
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx
from scipy.special import softmax

from icsort.errors import IcsortError
from icsort.formats import package as manifest
from icsort.quant.cells.counts import Digitization
from icsort.quant.cells.dataset import Dataset
from icsort.quant.cells.readers import shards
from icsort.quant.cells.readers.shards import write_shards
from icsort.quant.evaluation import classify as module
from icsort.quant.evaluation.classify import classify
from icsort.quant.evaluation.evaluate import Wanted
from icsort.quant.packaging.export import export_package
from icsort.quant.synthetic import demo_cells
from icsort.quant.training.runs import load_run

EMPTY = np.asarray(demo_cells.BACKGROUND, np.uint16)


@pytest.fixture(scope="module")
def images() -> NDArray[np.uint16]:
    """25 cells with 20 empty lines above and below, (25, 80, 40, 3), and one that is empty."""
    cells, _ = demo_cells.generate(per_class=5, seed=11)
    lines = np.broadcast_to(EMPTY, (len(cells), 20, *cells.shape[2:]))
    tall = np.concatenate([lines, cells, lines], axis=1)
    return np.concatenate([tall, np.broadcast_to(EMPTY, (1, *tall.shape[1:]))])


def without_labels(images: NDArray[np.uint16]) -> Dataset:
    labels = np.full(len(images), -1)
    return Dataset("some", "some cells", tuple(images), labels, (), demo_cells.CHANNELS)


def expected_logits(package_folder: Path, image: NDArray[np.uint16]) -> NDArray[np.int64] | None:
    """Integer logits (K,) of one image by the written rules and QONNX; None where no line triggers."""
    package = manifest.load(package_folder)
    rules = package.trigger
    sums = image[..., rules.weights.index(1)].sum(axis=1, dtype=np.int64).tolist()
    begin = next((line for line, total in enumerate(sums) if total >= rules.on), None)
    if begin is None:
        return None
    line = lit = begin
    while line - lit < rules.end_lines:
        line += 1
        lit = line if sums[line] >= rules.off else lit
    first, last = begin - rules.pre_lines, lit + rules.post_lines
    window = image[first : first + package.input.height].astype(float)
    constants = package.preprocess
    scaled = (window - constants.background) * constants.gain / 2.0**constants.shift
    pixels = np.clip(np.floor(scaled + 0.5), 0, 255)
    pixels[last - first + 1 :] = 0
    model = ModelWrapper(str(package_folder / manifest.MODEL_FILE))
    (source,), (sink,) = model.graph.input, model.graph.output
    answer = execute_onnx(model, {source.name: pixels.transpose(2, 0, 1)[None].astype(np.float32)})[sink.name]
    return np.rint(answer[0].astype(float) / package.logits.scale).astype(np.int64)


def test_a_row_a_cell_equal_to_qonnx(package_folder: Path, images: NDArray[np.uint16], tmp_path: Path) -> None:
    package = manifest.load(package_folder)
    tifffile.imwrite(tmp_path / "cells.tif", images.transpose(0, 3, 1, 2), metadata={"axes": "TCYX"}, imagej=True)
    said: list[str] = []
    summary = classify(
        package_folder,
        tmp_path / "cells.tif",
        tmp_path / "classes.csv",
        channels=demo_cells.CHANNELS,
        progress=said.append,
    )
    table = pd.read_csv(tmp_path / "classes.csv", float_precision="round_trip")
    assert table["cell"].tolist() == [f"cells[{index}]" for index in range(26)]
    assert table["triggered"].tolist() == [1] * 25 + [0]
    assert table.iloc[25, 2:].isna().all()
    logits = table[[f"logit {name}" for name in package.classes]].to_numpy()
    posteriors = table[[f"posterior {name}" for name in package.classes]].to_numpy()
    assert expected_logits(package_folder, images[25]) is None
    for row in range(25):
        assert logits[row].tolist() == expected_logits(package_folder, images[row]).tolist()  # type: ignore[union-attr]
        assert table["class"][row] == package.classes[logits[row].argmax()]
    scale = package.logits.scale / package.logits.temperature
    assert np.abs(posteriors[:25] - softmax(logits[:25] * scale, axis=1)).max() < 1e-3
    assert (posteriors[:25] * 65536 == np.rint(posteriors[:25] * 65536)).all()
    assert summary["package"]["model_id"] == package.model_id
    assert (summary["cells"], summary["triggered"], summary["not_triggered"]) == (26, 25, 1)
    assert summary["classes"] == {name: (table["class"] == name).sum() for name in package.classes}
    assert said == ["26 cells"]


def test_large_sets_in_bounded_memory(
    package_folder: Path, images: NDArray[np.uint16], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_shards(tmp_path / "shards", [without_labels(images)])
    summary = classify(package_folder, tmp_path / "shards", tmp_path / "whole.csv")
    read: list[int] = []
    images_of = shards.Shards.images

    def counted(self: shards.Shards, cells: NDArray[np.int64]) -> list[NDArray[np.uint16]]:
        read.append(len(cells))
        return images_of(self, cells)

    monkeypatch.setattr(shards.Shards, "images", counted)
    monkeypatch.setattr(module, "CHUNK", 7)
    assert classify(package_folder, tmp_path / "shards", tmp_path / "chunks.csv") == summary
    assert (tmp_path / "chunks.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
    assert pd.read_csv(tmp_path / "chunks.csv")["cell"].tolist() == [f"cell {index}" for index in range(26)]
    assert [count for count in read if count > 1][-4:] == [7, 7, 7, 5]


def test_channels_by_name_and_labels_that_do_not_matter(
    package_folder: Path, images: NDArray[np.uint16], tmp_path: Path
) -> None:
    write_shards(tmp_path / "plain", [without_labels(images)])
    classify(package_folder, tmp_path / "plain", tmp_path / "plain.csv")
    labels = np.arange(len(images)) % 2
    channels = demo_cells.CHANNELS[::-1]
    turned = Dataset("t", "turned", tuple(images[..., ::-1]), labels, ("Yes", "No"), channels)
    write_shards(tmp_path / "turned", [turned])
    classify(package_folder, tmp_path / "turned", tmp_path / "turned.csv")
    assert (tmp_path / "turned.csv").read_bytes() == (tmp_path / "plain.csv").read_bytes()


def test_cells_of_another_instrument(package_folder: Path, images: NDArray[np.uint16], tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", images.transpose(0, 3, 1, 2), metadata={"axes": "TCYX"}, imagej=True)
    with pytest.raises(IcsortError, match=r"no channel Brightfield, DNA, Darkfield \(there are channel0, channel1"):
        classify(package_folder, tmp_path / "a.tif", tmp_path / "a.csv")
    with pytest.raises(IcsortError, match="has 3 channels but 2 names"):
        classify(package_folder, tmp_path / "a.tif", tmp_path / "a.csv", channels=["Brightfield", "DNA"])
    tifffile.imwrite(tmp_path / "a.tif", images[:, :, 4:].transpose(0, 3, 1, 2), metadata={"axes": "TCYX"}, imagej=True)
    with pytest.raises(IcsortError, match="36 pixels wide, the network's lines have 40"):
        classify(package_folder, tmp_path / "a.tif", tmp_path / "a.csv", channels=demo_cells.CHANNELS)
    assert [path.name for path in tmp_path.iterdir()] == ["a.tif"]


def test_an_image_that_cannot_be_read(package_folder: Path, images: NDArray[np.uint16], tmp_path: Path) -> None:
    (tmp_path / "events").mkdir()
    for index, image in enumerate(images[:4]):
        path = tmp_path / "events" / f"{index}.tif"
        tifffile.imwrite(path, image.transpose(2, 0, 1), photometric="minisblack", metadata={"axes": "CYX"})
    (tmp_path / "events" / "2.tif").write_bytes(b"no image")
    words = (package_folder, tmp_path / "events", tmp_path / "a.csv")
    with pytest.raises(IcsortError, match="1 of 4 images cannot be read"):
        classify(*words, channels=demo_cells.CHANNELS)
    assert [path.name for path in tmp_path.iterdir()] == ["events"]
    summary = classify(*words, channels=demo_cells.CHANNELS, unreadable="skip")
    assert summary["cells"] == 3
    assert "2.tif" in summary["unreadable"][0]
    assert pd.read_csv(tmp_path / "a.csv")["cell"].tolist() == ["0.tif", "1.tif", "3.tif"]


def test_floats_are_digitized_as_those_of_the_training(
    run_folder: Path, package_folder: Path, images: NDArray[np.uint16], tmp_path: Path
) -> None:
    """As the run and the package keep it, by `classify` and by all that reads labelled cells."""
    digitization = Digitization(-0.25, 8192.0)
    shutil.copytree(run_folder, tmp_path / "run")
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert "digitization" not in config["data"]
    config["data"]["digitization"] = {"offset": -0.25, "counts_per_unit": 8192.0}
    (tmp_path / "run" / "config.json").write_text(json.dumps(config))
    export_package(tmp_path / "run", tmp_path / "package")
    package = manifest.load(tmp_path / "package")
    assert Digitization.of(package.data.digitization) == digitization
    assert Wanted.by_package(package, tmp_path / "package").digitization == digitization
    assert Wanted.by_run(load_run(tmp_path / "run")).digitization == digitization
    stack = images.transpose(0, 3, 1, 2)
    kept = {"metadata": {"axes": "TCYX"}}
    tifffile.imwrite(tmp_path / "counts.tif", stack, **kept)
    tifffile.imwrite(tmp_path / "floats.tif", (stack / 8192 - 0.25).astype(np.float32), **kept)
    channels = demo_cells.CHANNELS
    counts = classify(package_folder, tmp_path / "counts.tif", tmp_path / "counts.csv", channels=channels)
    subject, cells = tmp_path / "package", tmp_path / "floats.tif"
    floats = classify(subject, cells, tmp_path / "floats.csv", channels=channels)
    assert counts["triggered"] == floats["triggered"] > 0
    pd.testing.assert_frame_equal(
        *(pd.read_csv(tmp_path / f"{name}.csv").drop(columns="cell") for name in ("counts", "floats"))
    )
    darker = Digitization(-0.25, 1024.0)
    other = classify(subject, cells, tmp_path / "other.csv", channels=channels, digitization=darker)
    assert other["triggered"] < floats["triggered"]  # what a user says counts
