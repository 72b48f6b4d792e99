# SPDX-License-Identifier: Apache-2.0
"""Simulated movies with random parameters, followed; against traccuracy, networkx, pandas and scikit-image."""

import itertools
import json
from pathlib import Path

import networkx
import numpy as np
import pandas as pd
import pytest
import tifffile
from skimage.measure import regionprops_table

from icsort.errors import IcsortError
from icsort.quant.tracking import assign, cost, lineage, movie, pairs, results, segment, simulated
from icsort.quant.tracking import track as flow
from icsort.quant.tracking.cells import Cells, measure
from icsort.quant.tracking.score import score


def drawn(seed: int, **options: float) -> tuple[simulated.Movie, Cells, np.ndarray]:
    made = simulated.simulate(seed % 2**31, frames=12, cells=9, size=(220, 240), **options)
    cells = measure(made.images, made.masks)
    return made, cells, lineage.parents(cells, made.tracks, "movie")


def write_movie(folder: Path, made: simulated.Movie) -> tuple[Path, Path]:
    """Frames and truth as the challenge has them."""
    for name, frames, kind in (("01", made.images, "t"), ("TRA", made.masks, "man_track")):
        (folder / name).mkdir(parents=True)
        for index, frame in enumerate(frames):
            tifffile.imwrite(folder / name / f"{kind}{index:03}.tif", frame)
    np.savetxt(folder / "TRA" / "man_track.txt", made.tracks, "%d")
    return folder / "01", folder / "TRA"


def test_cells_are_those_of_scikit_image(seed: int) -> None:
    made, cells, _ = drawn(seed)
    for frame in range(cells.frames):
        index = cells.at(frame)
        properties = ("label", "area", "centroid", "eccentricity")
        table = regionprops_table(made.masks[frame].astype(np.int32), properties=properties)
        np.testing.assert_array_equal(cells.label[index], table["label"])
        np.testing.assert_array_equal(
            cells.position[index], np.column_stack([table["centroid-0"], table["centroid-1"]])
        )
        np.testing.assert_array_equal(cells.measures[index, 0], table["area"])
    assert np.isfinite(cells.measures).all()


@pytest.mark.parametrize("draw", range(3))
def test_the_cost_that_comes_along_follows_movies_that_did_not_teach_it(seed: int, draw: int) -> None:
    """Movies of seeds that no training draws (those begin with thousands)."""
    made, cells, parent = drawn(500 + (seed + draw) % 400, divisions=0.03)
    found = assign.link(cells, cost.cost_named("simulated"), 0)
    values = score((cells, parent, made.masks.astype(np.int32)), (cells, found, made.masks.astype(np.int32)))
    assert values["DET"] == 1
    assert values["LNK"] > 0.93, values


def test_a_perfect_lineage_scores_one_and_a_wrong_link_less(seed: int) -> None:
    made, cells, parent = drawn(seed)
    masks = made.masks.astype(np.int32)
    perfect = score((cells, parent, masks), (cells, parent, masks))
    assert perfect["TRA"] == perfect["LNK"] == perfect["DET"] == 1
    assert perfect["divisions"] == perfect["divisions_found"] == int((np.bincount(parent[parent >= 0]) > 1).sum())
    linked = np.flatnonzero(parent >= 0)
    broken = parent.copy()
    broken[np.random.default_rng(seed).choice(linked)] = -1
    worse = score((cells, parent, masks), (cells, broken, masks))
    assert worse["links_missed"] == 1
    assert worse["LNK"] < 1


def test_assignment_is_the_cheapest(seed: int) -> None:
    """None of all ways to link a few cells, tried one by one, costs less."""
    rng = np.random.default_rng(seed)
    for _ in range(20):
        n, m = rng.integers(1, 4, 2)
        first, second = np.nonzero(rng.random((n, m)) < 0.8)
        once, again, shadow = -np.log(rng.random(len(first))), -np.log(rng.random(len(first))), rng.random() * 2
        here, there = set(first.tolist()), set(second.tolist())

        def total(taken: list[int], twice: list[int]) -> float:
            alone = len(here) - len(taken) + len(there) - len(taken) - len(twice)  # noqa: B023
            return float(once[taken].sum() + again[twice].sum() + shadow * alone)  # noqa: B023

        best = np.inf
        for uses in itertools.product(range(3), repeat=len(first)):
            taken, twice = ([k for k, use in enumerate(uses) if use == kind] for kind in (1, 2))
            legal = len(set(second[taken + twice])) == len(taken + twice)
            if legal and len(set(first[taken])) == len(taken) and len(set(first[twice])) == len(twice):
                best = min(best, total(taken, twice))
        chosen = assign._assigned(first, second, np.exp(-once), shadow, np.exp(-again))
        assert total(*(part.tolist() for part in chosen)) == pytest.approx(best)


def test_a_division_and_a_gap_are_found() -> None:
    """A cell that divides evenly, and one that is gone for a frame."""

    def discs(*at: tuple[float, float, float]) -> np.ndarray:
        y, x = np.mgrid[:160, :160]
        mask = np.zeros((160, 160), np.int32)
        for number, (row, column, radius) in enumerate(at, 1):
            mask[(y - row) ** 2 + (x - column) ** 2 < radius**2] = number
        return mask

    one, two = (50.0, 50.0, 14.0), (120.0, 110.0, 13.0)
    apart = ((50.0, 38.0, 10.0), (50.0, 63.0, 10.0))
    masks = np.stack([discs(one, two), discs(one, two), discs(*apart), discs(*apart, two), discs(*apart, two)])
    images = (100 + 900 * (masks > 0)).astype(np.uint16)
    cells = measure(images, masks)
    for kind in (cost.Motion(), cost.cost_named("simulated")):
        parent = assign.link(cells, kind, 2)
        np.testing.assert_array_equal(parent, [-1, -1, 0, 1, 2, 2, 4, 5, 3, 6, 7, 8])
        assert (assign.link(cells, kind, 0)[8]) == -1
        table = lineage.tracks(cells, parent).table
        np.testing.assert_array_equal(table, [[1, 0, 1, 0], [2, 0, 1, 0], [3, 2, 4, 1], [4, 2, 4, 1], [5, 3, 4, 2]])


def test_thinned_truth_is_the_ancestor_that_is_left(seed: int) -> None:
    _, cells, parent = drawn(seed)
    graph = networkx.DiGraph((int(before), cell) for cell, before in enumerate(parent) if before >= 0)
    for step in (2, 3):
        few, thin = lineage.thinned(cells, parent, step, begin=1)
        _, kept = cells.taken(step, 1)
        for index, cell in enumerate(kept):
            above = networkx.ancestors(graph, cell) if cell in graph else set()
            there = [int(other) for other in kept if other in above]
            assert (kept[thin[index]] if thin[index] >= 0 else -1) == max(
                there, key=lambda o: cells.frame[o], default=-1
            )
        assert few.frames == len(range(1, cells.frames, step))


def test_what_is_written_is_read_back_by_others(seed: int, tmp_path: Path) -> None:
    from traccuracy.loaders import load_ctc_data

    made, cells, parent = drawn(seed)
    tracks = lineage.tracks(cells, parent)
    assert results.write(tmp_path, made.masks.astype(np.int32), cells, parent, tracks) == []
    folder = tmp_path / results.CHALLENGE
    graph = load_ctc_data(str(folder), str(folder / "res_track.txt")).graph  # checks the format
    frame = np.array([graph.nodes[node]["t"] for node in graph])
    assert len(graph) == len(cells)
    assert graph.number_of_edges() == (parent >= 0).sum()
    np.testing.assert_array_equal(np.sort(frame), cells.frame)
    assert sum(graph.out_degree(node) > 1 for node in graph) == (np.bincount(parent[parent >= 0]) > 1).sum()
    table = pd.read_csv(tmp_path / results.TABLE)
    assert sorted(table.cell) == list(range(len(cells)))
    np.testing.assert_array_equal(table.sort_values("cell").track, tracks.number)
    above = {int(child): parents for child, parents in json.loads((tmp_path / results.GRAPH).read_text()).items()}
    assert above == {int(row[0]): [int(row[3])] for row in tracks.table if row[3]}
    geff = pytest.importorskip("geff")
    read, _ = geff.read(tmp_path / results.GEFF)
    assert set(read.edges) == {(int(before), cell) for cell, before in enumerate(parent) if before >= 0}
    assert [read.nodes[cell]["t"] for cell in range(len(cells))] == cells.frame.tolist()


def test_a_cost_is_kept_whole(seed: int, tmp_path: Path) -> None:
    _, cells, parent = drawn(seed, divisions=0.1)
    features, classes = cost.examples(cells, parent)
    assert set(classes) == {cost.SAME, cost.DIFFERENT, cost.CHILD}
    learned = cost.fit(features, classes, seed % 1000)
    values = learned.probabilities(features)
    np.testing.assert_allclose(values.sum(axis=1), 1)
    assert (values.argmax(axis=1) == classes).mean() > 0.9
    cost.save(learned, tmp_path / "cost.json")
    np.testing.assert_allclose(cost.load(tmp_path / "cost.json").probabilities(features), values, atol=1e-3)
    text = (tmp_path / "cost.json").read_text()
    for wrong in (text[:-30], text.replace("icsort-track-cost", "other"), text.replace('"distance"', '"way"'), "{}"):
        (tmp_path / "wrong.json").write_text(wrong)
        with pytest.raises(IcsortError, match=r"wrong\.json: is no cost"):
            cost.load(tmp_path / "wrong.json")
    with pytest.raises(IcsortError, match="cannot be read"):
        cost.cost_named(str(tmp_path / "none.json"))


def test_features_do_not_depend_on_scale_and_brightness(seed: int) -> None:
    """Twice as large and three times as bright: geometry and ratios stay."""
    made, cells, parent = drawn(seed)
    large = np.repeat(np.repeat(made.masks, 2, axis=1), 2, axis=2)
    bright = np.repeat(np.repeat(made.images.astype(np.int64) * 3, 2, axis=1), 2, axis=2)
    twice = measure(bright, large)
    here, there = cells.at(3), cells.at(4)
    found = [
        pairs.pairs(c, pairs.history(c, parent, here), here, there, 1, (c.diameter, pairs.typical_step(c)))
        for c in (cells, twice)
    ]
    np.testing.assert_array_equal(found[0].first, found[1].first)
    steady = [k for k, name in enumerate(pairs.FEATURES) if name not in ("appearance", "eccentricity difference")]
    np.testing.assert_allclose(found[0].features[:, steady], found[1].features[:, steady], atol=0.08)


def test_bright_nuclei_are_found(seed: int) -> None:
    made, cells, parent = drawn(seed, radius=18.0)
    masks = segment.segment(made.images)
    found = measure(made.images, masks)
    empty = np.full(len(found), -1)
    values = score((cells, parent, made.masks.astype(np.int32)), (found, empty, masks))
    assert values["DET"] > 0.8, values
    with pytest.raises(IcsortError, match="no cell stands out"):
        segment.segment(np.full((2, 64, 64), 7, np.uint8))


def test_flow_trains_follows_and_refuses(seed: int, tmp_path: Path) -> None:
    made, _, parent = drawn(seed)
    frames, truth = write_movie(tmp_path / "movie", made)
    taught = flow.train_cost(frames, truth, tmp_path / "cost.json", seed=3, simulated=2)
    assert taught["links"] == (parent >= 0).sum()
    report = flow.track(
        frames, tmp_path / "out", masks=truth, truth=truth, cost=str(tmp_path / "cost.json"), compare=True
    )
    assert [row["DET"] for row in report["scores"]] == [1, 1, 1]
    assert report["skipped"] == []
    page = (tmp_path / "out" / "report.html").read_text()
    assert "laptrack" in page
    assert json.loads((tmp_path / "out" / flow.TRACKING_FILE).read_text()) == report
    with pytest.raises(IcsortError, match="--force"):
        flow.track(frames, tmp_path / "out", masks=truth)
    with pytest.raises(IcsortError, match="leaves no cell"):
        flow.track(frames, tmp_path / "out2", masks=truth, border=115)
    assert not (tmp_path / "out2").exists()


def test_without_the_extra_tracks_are_there_and_what_is_missing_is_said(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, _, _ = drawn(seed)
    frames, truth = write_movie(tmp_path / "movie", made)
    for name in ("traccuracy", "geff", "laptrack"):
        monkeypatch.setitem(__import__("sys").modules, name, None)
    report = flow.track(frames, tmp_path / "out", masks=truth, truth=truth, compare=True, cost="motion")
    assert report["scores"] == []
    assert len(report["skipped"]) == 2
    assert all("icsort[track]" in line for line in report["skipped"])
    assert (tmp_path / "out" / "challenge" / "res_track.txt").exists()


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("one frame", "movie of one frame"),
        ("no cell", "masks hold no cell"),
        ("sizes", "of one size"),
        ("truncated", "t001.tif"),
        ("nan", "NaN"),
        ("masks of another", "give the masks of this movie"),
        ("float masks", "whole numbers"),
        ("truth of another", "give the truth of this movie"),
        ("no table", "man_track.txt: cannot be read"),
        ("damaged table", "four whole numbers"),
        ("no folder", "no such file or folder"),
        ("no tiff", "holds no TIFF"),
    ],
)
def test_bad_input_is_refused_in_a_line(fault: str, said: str, seed: int, tmp_path: Path) -> None:
    made = simulated.simulate(seed % 1000, frames=3, cells=5, size=(120, 120))
    frames, truth = write_movie(tmp_path / "movie", made)
    if fault == "one frame":
        for path in sorted(frames.iterdir())[1:]:
            path.unlink()
    elif fault == "no cell":
        for path in truth.glob("*.tif"):
            tifffile.imwrite(path, np.zeros((120, 120), np.uint16))
    elif fault == "sizes":
        tifffile.imwrite(frames / "t002.tif", made.images[2][:-1])
    elif fault == "truncated":
        (frames / "t001.tif").write_bytes((frames / "t001.tif").read_bytes()[:5000])
    elif fault == "nan":
        for path in frames.iterdir():
            tifffile.imwrite(path, np.full((120, 120), np.nan, np.float32))
    elif fault == "masks of another":
        (truth / "man_track002.tif").unlink()
    elif fault == "float masks":
        for path in truth.glob("*.tif"):
            tifffile.imwrite(path, np.ones((120, 120), np.float32))
    elif fault == "truth of another":
        np.savetxt(truth / "man_track.txt", made.tracks[1:], "%d")
    elif fault == "no table":
        (truth / "man_track.txt").unlink()
    elif fault == "damaged table":
        (truth / "man_track.txt").write_text("1 0 x 0\n")
    elif fault == "no folder":
        frames = tmp_path / "nowhere"
    else:
        frames = tmp_path / "movie"
    with pytest.raises(IcsortError, match=said) as refused:
        flow.track(frames, tmp_path / "out", masks=truth, truth=truth)
    assert "\n" not in str(refused.value)
    assert [path.name for path in tmp_path.iterdir()] == ["movie"]


def test_frames_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    frames = np.arange(12 * 64, dtype=np.uint16).reshape(12, 8, 8)
    for index, frame in enumerate(frames):
        tifffile.imwrite(tmp_path / f"f{index}.tif", frame)
    np.testing.assert_array_equal(movie.read_movie(tmp_path), frames)
    tifffile.imwrite(tmp_path / "stack.tiff", frames, photometric="minisblack")
    np.testing.assert_array_equal(movie.read_movie(tmp_path / "stack.tiff"), frames)
