# SPDX-License-Identifier: Apache-2.0
"""Divisions foreseen, on movies drawn with random parameters; against networkx, scikit-learn and brute force."""

import json
from pathlib import Path

import networkx
import numpy as np
import pandas as pd
import pytest
import tifffile
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from icsort.errors import IcsortError
from icsort.quant.fate import baselines, fate_page, fit, network, score
from icsort.quant.fate import fate as flow
from icsort.quant.fate.lives import Outcomes, lives, outcomes, windows
from icsort.quant.tracking import simulated
from icsort.quant.tracking.cells import measure
from icsort.quant.tracking.lineage import parents, thinned
from icsort.quant.tracking.track import track
from tests.quant.fate import movies

QUICK = fit.Plan(ahead=4, history=2, epochs=25, members=1)


def drawn(seed: int) -> tuple[object, np.ndarray]:
    made = simulated.simulate(seed % 2**31, frames=14, cells=8, size=(220, 240), divisions=0.06)
    cells = measure(made.images, made.masks)
    return cells, parents(cells, made.tracks, "movie")


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict, flow.Fate]:
    movie, truth = movies.write(tmp_path_factory.mktemp("spotted"), *movies.spotted(7))
    return flow.fate(movie, truth, plan=QUICK)


def test_lives_are_the_chains_of_networkx(seed: int) -> None:
    cells, parent = drawn(seed)
    known = lives(cells, parent)
    graph = networkx.DiGraph()
    graph.add_nodes_from(range(len(cells)))
    graph.add_edges_from((int(before), cell) for cell, before in enumerate(parent) if before >= 0)
    whole = graph.copy()
    for cell in list(graph):
        if graph.out_degree(cell) > 1:
            graph.remove_edges_from(list(graph.out_edges(cell)))
    chains = list(networkx.weakly_connected_components(graph))
    assert len(chains) == known.life.max() + 1
    for chain in chains:
        members = sorted(chain)
        assert len(set(known.life[members])) == 1
        first, last = members[0], members[-1]
        np.testing.assert_array_equal(known.age[members], cells.frame[members] - cells.frame[first])
        assert (known.last[members] == cells.frame[last]).all()
        assert (known.born[members] == (whole.in_degree(first) > 0)).all()
        daughters = [int(cells.frame[child]) for child in whole.successors(last)]
        assert (known.divides[members] == (min(daughters) if len(daughters) > 1 else -1)).all()


def test_a_daughter_that_is_found_late() -> None:
    """The division is in the frame of the first of both; a cell that is away for a frame lives on."""
    masks = np.zeros((4, 20, 20), np.int32)
    masks[[0, 1], 2:6, 2:6], masks[2:, 2:5, 2:5], masks[3, 2:5, 7:10] = 1, 2, 3
    masks[[0, 2], 14:18, 14:18] = 4
    cells = measure(masks.astype(np.uint16), masks)
    table = np.array([[1, 0, 1, 0], [2, 2, 3, 1], [3, 3, 3, 1], [4, 0, 2, 0]])
    known = lives(cells, parents(cells, table, "movie"))
    assert set(known.divides[cells.label == 1]) == {2}
    assert known.age[cells.label == 4].tolist() == [0, 2]
    assert len(set(known.life[cells.label == 4])) == 1
    assert known.born[cells.label == 3].all()


def test_what_comes_after_a_part_is_unknown_to_it(seed: int) -> None:
    """The outcomes of the first frames are those of a movie that ends there, and its windows lie in it."""
    cells, parent = drawn(seed)
    end = 5 + seed % 6
    known = lives(cells, parent)
    first = outcomes(cells, known, 0, end)
    few, before = thinned(cells, parent, 1, 0, end)
    alone = outcomes(few, lives(few, before), 0, end)
    np.testing.assert_array_equal(first.time, alone.time)
    np.testing.assert_array_equal(first.divided, alone.divided)
    rest = outcomes(cells, known, end, cells.frames)
    for part, begin, stop in ((first, 0, end), (rest, end, cells.frames)):
        seen = windows(known, part.cells, 3)
        frames = cells.frame[seen[seen >= 0]]
        assert frames.min() >= begin
        assert frames.max() < stop
        np.testing.assert_array_equal(seen[:, -1], part.cells)
        for row, cell in zip(seen, part.cells, strict=True):
            same = np.flatnonzero((known.life == known.life[cell]) & (np.arange(len(cells)) <= cell))
            same = same[cells.frame[same] >= begin][-3:]
            np.testing.assert_array_equal(row[row >= 0], same)
    for ahead in (1, 3):
        certain = [
            bool(d <= ahead) if d >= 0 else None if seen < ahead else False
            for d, seen in zip(np.where(rest.divided, rest.time, -1), rest.time, strict=True)
        ]
        np.testing.assert_array_equal(rest.known(ahead), [answer is not None for answer in certain])
        np.testing.assert_array_equal(rest.within(ahead), [answer is True for answer in certain])


def test_the_loss_is_that_of_a_table_of_cell_frames(seed: int) -> None:
    """Singer and Willett: a row for each frame at risk, scored by scikit-learn."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (30, 6))
    time, divided = rng.integers(0, 9, 30), rng.random(30) < 0.5
    time[divided] += 1
    time[0], divided[0] = 3, True
    events, hazards = [], []
    for row in range(30):
        for frame in range(1, 7):
            if frame <= time[row]:
                events.append(bool(divided[row] and frame == time[row]))
                hazards.append(1 / (1 + np.exp(-logits[row, frame - 1])))
    loss = network.survival_loss(torch.tensor(logits), torch.tensor(time), torch.tensor(divided))
    assert float(loss) == pytest.approx(log_loss(events, hazards, labels=[False, True]), rel=1e-5)
    survival = np.cumprod(1 / (1 + np.exp(logits)), axis=1)
    np.testing.assert_allclose(network.risks(torch.tensor(logits)).numpy(), 1 - survival, atol=1e-9)


def test_areas_are_those_of_scikit_learn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values, positive = rng.integers(0, 12, 60) / 3, rng.random(60) < 0.4  # with ties
    positive[:2] = True, False
    weights = rng.integers(0, 4, (20, 60)).astype(float)
    weights[0], weights[1] = 1, ~positive
    areas = score.weighted_areas(values, positive, weights)
    assert np.isnan(areas[1])
    for area, weight in zip(areas, weights, strict=True):
        if not np.isnan(area):
            assert area == pytest.approx(roc_auc_score(positive, values, sample_weight=weight))


def test_horizons_leave_out_what_nobody_knows(seed: int) -> None:
    rng = np.random.default_rng(seed)
    cells = 80
    some = Outcomes(np.arange(cells), rng.integers(1, 8, cells), rng.random(cells) < 0.5)
    values, life = rng.random((cells, 5)), np.arange(cells) // 4
    for entry in score.horizons(values, some, life, 0):
        ahead = entry["ahead"]
        truth = {row: True for row in range(cells) if some.divided[row] and some.time[row] <= ahead}
        truth |= {row: False for row in range(cells) if some.time[row] > ahead - (not some.divided[row])}
        rows = sorted(truth)
        assert entry["auc"] == pytest.approx(roc_auc_score([truth[row] for row in rows], values[rows, ahead - 1]))
        assert entry["low"] < entry["auc"] < entry["high"]
        assert (entry["sequences"], entry["unknown"]) == (len(rows), cells - len(rows))
    none = Outcomes(np.arange(3), np.array([9, 9, 9]), np.zeros(3, np.bool_))
    assert score.horizons(values[:3], none, life[:3], 0)[0]["auc"] is None


def test_times_and_their_errors(seed: int) -> None:
    rng = np.random.default_rng(seed)
    time = rng.integers(1, 12, 50)
    everyone = Outcomes(np.arange(50), time, np.ones(50, np.bool_))
    typical = score.typical_risk(everyone, 6)
    np.testing.assert_allclose(typical, [(time <= ahead).mean() for ahead in range(1, 7)])
    assert score.expected_time(typical[np.newaxis])[0] == pytest.approx(np.minimum(time, 6).mean())
    sure = np.array([[0.0, 1, 1], [0, 0, 0], [1, 1, 1], [0, 0, 0]])  # 2, 3 or more, 1, 3 or more
    kinds = Outcomes(np.arange(4), np.array([3, 8, 2, 1]), np.array([True, False, False, True]))
    errors = score.time_errors(sure, kinds, 2.0)
    assert errors["cells"] == {"dividing": 2, "later": 1, "known": 3, "censored": 1}
    assert errors["error"] == {"dividing": 1.5, "later": 0.0, "known": 1.0, "censored": 1.0}
    assert errors["error_of_one_time"] == {"dividing": 1.0, "later": 1.0, "known": 1.0, "censored": 0.0}


def test_pictures_show_the_cell_alone() -> None:
    images, masks, _ = movies.spotted(3, frames=3)
    cells = measure(images, masks)
    shown = fit.pictures(images, masks, cells, 14.0)
    other = images.copy()
    other[(masks > 0) & (masks != 5)] += 500
    again = fit.pictures(other, masks, cells, 14.0)
    np.testing.assert_allclose(again[cells.label == 5], shown[cells.label == 5], atol=1e-4)
    assert (again[cells.label == 6, 0].max(axis=(1, 2)) > shown[cells.label == 6, 0].max(axis=(1, 2)) + 400).all()
    scale = (2 * round(fit.FIELD * 7) + 1) / fit.SIDE
    np.testing.assert_allclose(shown[:, 1].sum(axis=(1, 2)) * scale**2, cells.measures[:, 0], rtol=0.05)


def test_a_sign_before_division_is_foreseen(result: tuple[dict, flow.Fate]) -> None:
    figures, _ = result
    by_name = {each["name"]: each["horizons"] for each in figures["deciders"]}
    sign = movies.SIGN - 1
    assert by_name[flow.NETWORK][sign]["auc"] > 0.95, by_name[flow.NETWORK]
    assert by_name[baselines.SHAPE][sign]["auc"] > by_name[baselines.AGE][sign]["auc"]
    errors = figures["time"]
    assert errors["error"]["dividing"] < errors["error_of_one_time"]["dividing"]
    assert figures["cells"]["learned"]["dividing"] + figures["cells"]["tested"]["dividing"] == movies.PLACES // 2
    assert figures["age"]["born_dividing"] == 0
    assert any("were born in the movie" in notice for notice in fate_page.notices(figures))


def test_without_a_sign_nothing_is_foreseen(tmp_path: Path) -> None:
    movie, truth = movies.write(tmp_path, *movies.spotted(11, signs=False))
    figures, _ = flow.fate(movie, truth, plan=QUICK)
    unborn = next(each["unborn"] for each in figures["deciders"] if each["is_network"])[movies.SIGN - 1]
    assert unborn["auc"] < 0.85
    assert unborn["low"] < 0.65


def test_the_second_part_does_not_teach(tmp_path: Path, result: tuple[dict, flow.Fate]) -> None:
    """Other images from the split on: the same cells and lives, and the same risks where the pictures are the same."""
    images, masks, tracks = movies.spotted(7)
    images[13:] = images[13:, ::-1, ::-1]
    movie, truth = movies.write(tmp_path, images, masks, tracks)
    _, other = flow.fate(movie, truth, plan=QUICK)
    first = result[1].cells.frame[result[1].tested.cells] == 12
    np.testing.assert_allclose(other.risk[first], result[1].risk[first], atol=1e-6)
    assert np.abs(other.risk[~first] - result[1].risk[~first]).max() > 0.1


def test_page_and_table(tmp_path: Path, result: tuple[dict, flow.Fate]) -> None:
    figures, found = result
    fate_page.write(tmp_path, figures, found)
    assert json.loads((tmp_path / flow.FATE_FILE).read_text()) == figures
    page = (tmp_path / "report.html").read_text()
    assert page.count("<figcaption>") > 6
    assert "divided in 1 frames" in page
    table = pd.read_csv(tmp_path / flow.TABLE_FILE)
    assert len(table) == figures["cells"]["tested"]["sequences"]
    assert (table["frame"] >= figures["split"]).all()
    assert (table["divides_in"].isna() ^ table["seen_without"].isna()).all()
    risks = table[[f"risk_{ahead}" for ahead in range(1, 5)]].to_numpy()
    assert (np.diff(risks, axis=1) >= 0).all()


def test_the_folder_of_icsort_track_is_taken(tmp_path: Path, result: tuple[dict, flow.Fate]) -> None:
    movie, truth = movies.write(tmp_path, *movies.spotted(7))
    tracked = track(movie, tmp_path / "tracks", masks=truth, cost="motion")
    figures, found = flow.fate(movie, tmp_path / "tracks", plan=fit.Plan(3, 2, 1, 1))
    assert len(found.cells) == tracked["cells"]
    divided = len(np.unique(found.lives.life[found.lives.divides >= 0]))
    assert divided == tracked["divisions"]
    assert figures["cells"]["tested"]["sequences"] == result[0]["cells"]["tested"]["sequences"]
    alone, _ = flow.fate(movie, plan=fit.Plan(3, 2, 1, 1))
    assert any("icsort found" in notice for notice in fate_page.notices(alone))


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("one frame", "movie of one frame"),
        ("no cell", "masks hold no cell"),
        ("no division", "no cell of the tracks divides"),
        ("half without", "move --split"),
        ("no tracks", "holds no tracks"),
        ("split", "both parts need at least two"),
        ("ahead", "fewer"),
    ],
)
def test_bad_input_is_refused_in_a_line(fault: str, said: str, tmp_path: Path) -> None:
    images, masks, tracks = movies.spotted(5, frames=10)
    if fault == "one frame":
        images, masks = images[:1], masks[:1]
    elif fault == "no cell":
        masks[:] = 0
    elif fault == "no division":
        kept = np.isin(masks, tracks[tracks[:, 3] == 0, 0])
        masks, tracks = masks * kept, tracks[tracks[:, 3] == 0]
    movie, truth = movies.write(tmp_path, images, masks, tracks)
    if fault == "no tracks":
        truth = movie
    elif fault == "no cell":
        tifffile.imwrite(truth / "man_track000.tif", masks[0])
    split = {"half without": 2, "split": 9}.get(fault)
    plan = fit.Plan(ahead=5, epochs=1) if fault == "ahead" else fit.Plan(ahead=1, epochs=1)
    with pytest.raises(IcsortError, match=said) as refused:
        flow.fate(movie, truth, split=split, plan=plan)
    assert "\n" not in str(refused.value)


def test_plans_that_cannot_train() -> None:
    with pytest.raises(IcsortError, match="--members is 0"):
        fit.Plan(members=0)


def test_the_regression_learns_from_what_is_known(seed: int) -> None:
    """As scikit-learn's pipeline on those whose outcome is known by hand; a horizon of one kind gives that kind."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(60, 2))
    taught = Outcomes(np.arange(40), rng.integers(2, 6, 40), rng.random(40) < 0.5)
    tested = Outcomes(np.arange(40, 60), np.ones(20, np.int64), np.zeros(20, np.bool_))
    found = baselines.logistic(values, taught, tested, 3)
    rows = [row for row in range(40) if taught.divided[row] or taught.time[row] >= 3]
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    model.fit(values[rows], [bool(taught.divided[row] and taught.time[row] <= 3) for row in rows])
    np.testing.assert_allclose(found[:, 2], model.predict_proba(values[40:])[:, 1])
    assert (found[:, 0] == 0).all()
