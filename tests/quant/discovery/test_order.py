# SPDX-License-Identifier: Apache-2.0
"""Cells in one order: along a curve of random shape, against its own parameter; and what is refused."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from icsort.errors import IcsortError
from icsort.quant.cells.find import Dataset, generated_dataset
from icsort.quant.discovery.discover import Plan, discover, read_cells
from icsort.quant.discovery.features import cell_features
from icsort.quant.discovery.order import order, order_report, root_cells
from tests.quant.cells.files import real

PHASES = ("G1", "S", "G2", "Prophase", "Metaphase", "Anaphase", "Telophase")


@pytest.fixture(scope="module")
def cells() -> Dataset:
    return generated_dataset(per_class=15, seed=8)


def test_a_bent_curve_is_followed_from_the_root(seed: int) -> None:
    """An arc of five quarters of a circle and a wave, in 20 dimensions, where the first component folds it."""
    rng = np.random.default_rng(seed)
    along = rng.permutation(np.linspace(0, 1, 400))
    curve = np.column_stack([np.cos(1.6 * np.pi * along), np.sin(1.6 * np.pi * along), 0.3 * np.sin(9 * along)])
    values = curve @ rng.normal(size=(3, 20)) + rng.normal(0, 0.02, (400, 20))
    for root, sign in ((along < 0.1, 1), (along > 0.9, -1)):
        found = order(values, root, 0)
        assert sign * spearmanr(found.place, along).statistic > 0.99
        np.testing.assert_allclose(np.sort(found.place), np.linspace(0, 1, 400), atol=0.004)  # but ties
        assert found.parts == 1
        assert abs(spearmanr(found.line, along).statistic) < 0.97
    far = np.where(along < 0.5, 0, 100)[:, np.newaxis] + values
    assert order(far, along < 0.1, 0).parts == 2


def test_roots_are_groups_classes_and_features(cells: Dataset) -> None:
    features = cell_features(cells.images, cells.channels)
    values = features.descriptors[:, 2]
    chosen, kind = root_cells(features.names[2], cells, features)
    assert kind == "feature"
    assert values[chosen].max() <= values[~chosen].min()
    assert chosen.sum() == pytest.approx(0.1 * len(values), abs=1)
    chosen, kind = root_cells(cells.classes[1], cells, features)
    assert kind == "class"
    np.testing.assert_array_equal(chosen, cells.labels == 1)
    grouped = replace(cells, groups=np.array(["a", "b"])[np.arange(len(cells.images)) % 2])
    chosen, kind = root_cells("b", grouped, features)
    assert (kind, chosen.tolist()) == ("group", (np.arange(len(cells.images)) % 2 == 1).tolist())
    with pytest.raises(IcsortError, match="all cells are of it"):
        root_cells("a", replace(cells, groups=np.full(len(cells.images), "a")), features)
    with pytest.raises(IcsortError, match="no group, class or feature of these cells; there are"):
        root_cells("G9", cells, features)


def test_labels_are_scored_and_not_looked_at(cells: Dataset, seed: int) -> None:
    """The same order whatever the labels are; its correlations are SciPy's of the phases' numbers."""
    features = cell_features(cells.images, cells.channels)
    root, kind = root_cells(features.names[0], cells, features)
    found = order(features.rings, root, 0)
    phases = cells.classes[::-1][:3]
    labels = np.random.default_rng(seed).integers(-1, len(cells.classes), len(cells.images))
    given = replace(cells, labels=labels)
    report = order_report(found, (features.names[0], kind), given, features, cells.channels, phases)
    frame = pd.DataFrame({"place": found.place, "phase": pd.Series(labels).map({p: i for i, p in enumerate([
        len(cells.classes) - 1, len(cells.classes) - 2, len(cells.classes) - 3])})}).dropna()  # fmt: skip
    assert report["phases"]["cells"] == len(frame)
    own = report["phases"]["by"][0]
    assert own["spearman"] == pytest.approx(frame.corr("spearman").iloc[0, 1])
    assert own["kendall"] == pytest.approx(frame.corr("kendall").iloc[0, 1])
    values = dict(zip(features.names, features.descriptors.T, strict=True))
    for entry in report["features"]:
        assert entry["spearman"] == pytest.approx(spearmanr(found.place, values[entry["feature"]]).statistic)
    medians = {entry["name"]: entry["median"] for entry in report["classes"]}
    for label, name in enumerate(cells.classes):
        assert medians[name] == pytest.approx(np.median(found.place[labels == label]))


def test_what_gives_no_order_is_refused_before_the_work(cells: Dataset, tmp_path: Path) -> None:
    light = f"{cells.channels[0]} light"
    for options, said in (
        ({"phases": ("G1", "S")}, "--phases is of an order of the cells; give its --root"),
        ({"order_by": ("DNA",)}, "--order-by is of an order"),
        ({"root": "light"}, "--root light: is no group"),
        ({"root": light, "phases": cells.classes[:1]}, "give two classes of the data or more"),
        ({"root": light, "phases": cells.classes[:1] * 2}, "each once"),
        ({"root": light, "order_by": ("Blue",)}, "no channel Blue"),
    ):
        with pytest.raises(IcsortError, match=said):
            discover(cells, tmp_path, Plan(2, seeds=1, rounds=0, **options))


@pytest.mark.full
@pytest.mark.parametrize(("by", "least"), [((), 0.9), (("Brightfield", "Darkfield"), 0.8)])
def test_jurkat_cells_are_in_the_order_of_their_phases(by: tuple[str, ...], least: float, tmp_path: Path) -> None:
    plan = Plan(5, seeds=1, rounds=0, root="PI light", order_by=by, phases=PHASES)
    report, _ = discover(read_cells(real("jurkat_cell_cycle")), tmp_path, plan)
    by_name = {entry["name"]: entry for entry in report["order"]["phases"]["by"]}
    assert by_name["this order"]["spearman"] >= least
    dna = next(entry for entry in report["order"]["features"] if entry["feature"] == "PI light")
    assert dna["spearman"] >= 0.8
    if by:
        assert by_name["this order"]["spearman"] > by_name["first principal component"]["spearman"] + 0.3
