# SPDX-License-Identifier: Apache-2.0
"""Figures of predicted totals against NumPy and scikit-learn; a package of values says what its network says."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx
from sklearn.linear_model import LinearRegression
from sklearn.metrics import root_mean_squared_error

from icsort.errors import IcsortError
from icsort.formats import heldout
from icsort.formats import package as manifest
from icsort.formats.integer import IntegerNetwork
from icsort.quant.acquire.cut import cut_cells
from icsort.quant.cells.dataset import Dataset
from icsort.quant.cells.readers.shards import write_shards
from icsort.quant.evaluation.classify import classify
from icsort.quant.evaluation.evaluate import evaluate
from icsort.quant.stain.cells import stain_totals
from icsort.quant.stain.number import BINS, Predicted, correlation, figures
from icsort.quant.training.runs import load_run
from icsort.sim.simulate.lines import load_cells
from tests.quant.stain.conftest import INPUTS, STAIN


def predicted(seed: int, cells: int = 203) -> Predicted:
    random = np.random.default_rng(seed)
    measured = random.normal(2e5, 5e4, cells)
    said = 0.8 * measured + random.normal(4e4, 2e4, cells)
    return Predicted(random.permutation(300)[:cells], random.integers(0, 3, cells), measured, said, 7)


def test_figures(seed: int) -> None:
    found = predicted(seed)
    members = np.zeros(300, np.bool_)
    members[::2] = True
    told = figures(found, {"even": members, "none": np.zeros(300, np.bool_)})
    assert (told["cells"], told["not_triggered"]) == (203, 7)
    assert told["pearson"]["r"] == pytest.approx(np.corrcoef(found.measured, found.predicted)[0, 1])
    for fold, entry in enumerate(told["folds"]):
        inside = found.fold == fold
        assert entry["r"] == pytest.approx(np.corrcoef(found.measured[inside], found.predicted[inside])[0, 1])
        assert entry["low"] < entry["r"] < entry["high"]
    inside = found.cells % 2 == 0
    assert list(told["within"]) == ["even"]
    within = np.corrcoef(found.measured[inside], found.predicted[inside])[0, 1]
    assert told["within"]["even"]["r"] == pytest.approx(within)
    assert told["rmse"] == pytest.approx(root_mean_squared_error(found.measured, found.predicted))
    line = LinearRegression().fit(found.predicted[:, None], found.measured)
    assert told["calibration"]["slope"] == pytest.approx(line.coef_[0])
    assert told["calibration"]["intercept"] == pytest.approx(line.intercept_)


def test_bins_are_tenths_by_what_was_predicted(seed: int) -> None:
    found = predicted(seed)
    table = pd.DataFrame({"measured": found.measured, "predicted": found.predicted}).sort_values("predicted")
    told = figures(found, {})["calibration"]["bins"]
    assert sum(entry["cells"] for entry in told) == len(table)
    begin = 0
    for entry in told:
        part = table.iloc[begin : begin + entry["cells"]]
        begin += entry["cells"]
        assert abs(entry["cells"] - len(table) / BINS) < 1
        assert entry["predicted"] == pytest.approx(part.predicted.mean())
        assert entry["measured"] == pytest.approx(part.measured.mean())
        assert entry["error"] == pytest.approx(part.measured.sem())


def test_what_does_not_vary_or_is_too_little_has_no_correlation() -> None:
    assert correlation(np.arange(30.0), np.ones(30))["r"] is None
    assert correlation(np.arange(5.0), np.arange(5.0))["r"] is None


def test_the_package_s_integers_are_the_network_s_values(value_run: Path, value_package: Path, cells: Dataset) -> None:
    """Integers times the unit, the QONNX file as qonnx executes it, and the trained network."""
    run, network = load_run(value_run), IntegerNetwork(value_package)
    package = network.manifest
    assert (package.classes, package.channels) == ((STAIN,), INPUTS)
    assert package.accuracy is None
    assert package.fit is not None
    assert package.fit.pearson == pytest.approx(run.metrics["test"]["pearson"])
    pixels = run.heldout_pixels
    with torch.no_grad():
        trained = run.model(pixels)[:, 0].double().numpy() * run.config.values[0].scale
    integers = network.logits(pixels.numpy().astype(np.uint8).transpose(0, 2, 3, 1))[:, 0]
    assert integers * package.unit_values[0] == pytest.approx(trained, rel=1e-4)
    graph = ModelWrapper(str(value_package / manifest.MODEL_FILE))
    for image, integer in zip(pixels[:3].numpy(), integers, strict=False):
        output = execute_onnx(graph, {graph.graph.input[0].name: image[None]})[graph.graph.output[0].name]
        assert round(float(output.item()) / package.logits.scale) == integer
    taught = json.loads((value_run / "split.json").read_text())["train"]
    assert run.config.values[0].scale == pytest.approx(np.std(stain_totals(cells, STAIN)[taught]))


def test_the_table_of_new_cells_has_the_value(value_package: Path, cells: Dataset, tmp_path: Path) -> None:
    write_shards(tmp_path / "cells", [cells.with_channels(INPUTS).subset(range(12))])
    summary = classify(value_package, tmp_path / "cells", tmp_path / "table.csv")
    table, network = pd.read_csv(tmp_path / "table.csv"), IntegerNetwork(value_package)
    assert list(table.columns) == ["cell", "triggered", "class", STAIN]
    assert table["class"].isna().all()
    assert (summary["triggered"], summary["classes"]) == (table.triggered.sum(), {})
    package = network.manifest
    background = heldout.load(value_package.parent / "run" / "heldout.npz").background
    cut = cut_cells(cells.with_channels(INPUTS).images[:12], package, background)
    values = network.logits(package.pixels(cut.windows))[:, 0] * package.unit_values[0]
    assert table[STAIN][cut.cells].to_numpy() == pytest.approx(values)


def test_held_out_cells_of_a_value_have_no_label(value_run: Path, value_package: Path) -> None:
    package = manifest.load(value_package)
    stored = load_cells(value_run / "heldout.npz", package)
    assert stored.classes == (STAIN,)
    assert (stored.labels == -1).all()
    assert len(set(heldout.load(value_run / "heldout.npz").labels.tolist())) == 5
    with pytest.raises(IcsortError, match="has the channels"):
        load_cells(value_run / "heldout.npz", replace_channels(package))


def replace_channels(package: manifest.Manifest) -> manifest.Manifest:
    rest = {name: getattr(package, name) for name in manifest.Manifest.model_fields if name != "model_id"}
    return manifest.Manifest(**(rest | {"channels": ("a", "b")}))


def test_what_asks_for_classes_refuses_values(value_package: Path, value_run: Path) -> None:
    with pytest.raises(IcsortError, match=f"predicts {STAIN}, no classes"):
        evaluate(value_package, value_run / "heldout.npz")
