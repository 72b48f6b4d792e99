# SPDX-License-Identifier: Apache-2.0
"""Folds, votes, the gate, early stopping, and a response from cells to its page."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats
from sklearn.metrics import roc_auc_score
from typer.testing import CliRunner

import icsort
from icsort.cli.root import app
from icsort.errors import IcsortError
from icsort.quant.evaluation.metrics import Decisions
from icsort.quant.response import fit
from icsort.quant.response.fit import Plan, answer
from icsort.quant.response.folds import confounds, held_out, validation_part, without_surplus
from icsort.quant.response.inputs import read_inputs
from icsort.quant.response.network import JOINED, ResponseNetwork
from icsort.quant.response.respond import respond
from icsort.quant.response.votes import vote
from icsort.report.page import PAGE_FILE
from tests.quant.cells.files import real, refusal
from tests.quant.response.cells import blobs

QUICK = Plan(epochs=2, patience=2)


def test_no_group_is_on_both_sides(seed: int) -> None:
    random = np.random.default_rng(seed)
    groups = random.integers(0, 30, 400).astype(str)
    labels = random.integers(0, 3, 400)
    folds = held_out(labels, "abc", groups, None, seed % 1000)
    assert np.sort(np.concatenate(folds)).tolist() == list(range(400))
    assert len(folds) == 5
    for test in folds:
        rest = np.setdiff1d(np.arange(400), test)
        assert not set(groups[test]) & set(groups[rest])
        train, validation = validation_part(labels, groups, rest, seed % 1000)
        assert not set(groups[train]) & set(groups[validation])
        assert np.sort(np.concatenate([train, validation])).tolist() == rest.tolist()
        assert len(validation)
    few = np.repeat(["d1", "d2", "d3"], [100, 150, 150])
    assert [set(few[test]) for test in held_out(labels, "abc", few, None, 0)] == [{"d1"}, {"d2"}, {"d3"}]


def test_groups_that_cannot_be_held_out() -> None:
    labels = np.repeat([0, 1, 2], 10)
    assert "groups coincide with classes (a is in g0 alone" in refusal(
        held_out, labels, "abc", np.repeat(["g0", "g1", "g2"], 10), None, 0
    )
    groups = np.tile(["g0", "g1"], 15)
    groups[labels == 1] = "g1"
    assert "the class b is in the group g1 alone" in refusal(held_out, labels, "abc", groups, None, 0)
    assert "all cells are of one group (g)" in refusal(held_out, labels, "abc", np.full(30, "g"), None, 0)
    assert "there are 2 groups" in refusal(held_out, labels, "abc", np.tile(["g0", "g1"], 15), 3, 0)


def test_controls_are_as_many_as_the_largest_treatment(seed: int) -> None:
    labels = np.repeat([0, 1, 2, 3], [50, 30, 20, 5])
    cells = np.random.default_rng(seed).permutation(105)
    kept = without_surplus(labels, cells, [0], seed)
    assert np.bincount(labels[kept]).tolist() == [30, 30, 20, 5]
    assert np.bincount(labels[without_surplus(labels, cells, [0, 1], seed)]).tolist() == [20, 20, 20, 5]
    assert np.bincount(labels[without_surplus(labels, cells, [3], seed)]).tolist() == [50, 30, 20, 5]
    assert set(kept.tolist()) != set(without_surplus(labels, cells, [0], seed + 1).tolist())


def test_votes_are_those_of_scipy_and_pandas(seed: int) -> None:
    random = np.random.default_rng(seed)
    groups = random.integers(0, 60, 300).astype(str)
    truth = random.integers(0, 4, 60)
    labels = truth[groups.astype(int)]
    posterior = random.dirichlet(np.ones(4), 300)
    decisions = Decisions(tuple("abcd"), labels, posterior.argmax(axis=1), posterior, np.zeros(4, np.int64))
    votes = vote(decisions, groups)
    frame = pd.DataFrame(posterior).groupby(groups).mean()
    assert list(votes.names) == list(frame.index)
    np.testing.assert_allclose(votes.mean.posterior, frame.to_numpy())
    for name, majority, mean, label in zip(
        votes.names, votes.majority.best, votes.mean.best, votes.mean.labels, strict=True
    ):
        own = decisions.best[groups == name]
        most = np.bincount(own, minlength=4)
        assert most[majority] == most.max()
        if (most == most.max()).sum() == 1:
            assert majority == stats.mode(own).mode
        else:
            tied = np.flatnonzero(most == most.max())
            assert majority == tied[frame.loc[name].to_numpy()[tied].argmax()]
        assert mean == frame.loc[name].to_numpy().argmax()
        assert label == truth[int(name)]


def test_a_group_of_several_classes_does_not_vote() -> None:
    posterior = np.eye(2)[[0, 1, 1]]
    decisions = Decisions(("a", "b"), np.array([0, 1, 1]), np.array([0, 1, 1]), posterior, np.zeros(2, np.int64))
    votes = vote(decisions, np.array(["w1", "w1", "w2"]))
    assert (votes.names, votes.mixed) == (("w2",), ("w1",))


def test_what_coincides_with_the_class_is_told() -> None:
    labels = np.array([0, 0, 0, 1, 1, 1])
    wells, plates = np.array(["B2", "B2", "B3", "C2", "C2", "C2"]), np.array(["p", "q", "p", "p", "q", "q"])
    well, plate = confounds(labels, ("a", "b"), {"well": wells, "plate": plates})
    assert (well["coincides"], well["with_one_class"], well["share"]) == (True, 3, 1.0)
    assert (plate["coincides"], plate["with_one_class"], plate["share"]) == (False, 0, pytest.approx(4 / 6))


def test_the_gate_weighs_the_joined_features(seed: int) -> None:
    torch.manual_seed(seed)
    network = ResponseNetwork({"image": 2, "mask": 1}, 5, 3, 0.3).eval()
    inputs = {"image": torch.randn(7, 2, 20, 20), "mask": torch.rand(7, 1, 20, 20), "table": torch.randn(7, 5)}
    with torch.no_grad():
        logits, weights = network(inputs)
        joined = torch.cat([network.branches[name](inputs[name]) for name in ("image", "mask", "table")], dim=1)
        expected = network.head(joined * weights.reshape(7, -1))
        assert torch.allclose(logits, expected)
        assert weights.shape == (7, 3, JOINED)
        assert ((weights > 0) & (weights < 1)).all()
        network.gate[-2].bias -= 1e4  # a closed gate: the inputs do not matter
        closed, _ = network(inputs)
        assert torch.allclose(closed, closed[:1].expand_as(closed))


def test_the_network_learns_what_only_its_pictures_tell(seed: int) -> None:
    cells = blobs(200, seed)
    inputs = read_inputs(cells)
    order = np.random.default_rng(seed).permutation(200)
    train, validation, test = np.split(order, [120, 150])
    plan = Plan(epochs=30, patience=30, learning_rate=1e-2)
    found = answer(inputs, ("image",), [(train, validation)], test, plan, seed % 1000)
    assert roc_auc_score(cells.labels[test], found.posterior[:, 1]) > 0.95
    np.testing.assert_allclose(found.posterior.sum(axis=1), 1, rtol=1e-5)
    shape = answer(inputs, ("mask",), [(train, validation)], test, plan, seed % 1000)
    assert roc_auc_score(cells.labels[test], shape.posterior[:, 1]) < 0.85


def test_training_ends_when_nothing_is_gained(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = read_inputs(blobs(80, seed, told_by="nothing"))
    shown = []
    original = fit._shown

    def counted(*arguments: object) -> object:
        shown.append(1)
        return original(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(fit, "_shown", counted)
    cells = np.arange(80)
    found = answer(inputs, ("table",), [(cells[:60], cells[60:70])], cells[70:], Plan(epochs=300, patience=3), 1)
    (epoch,) = found.epochs
    assert len(shown) == epoch + 3


@pytest.mark.full  # processes that import PyTorch
def test_figures_do_not_depend_on_the_processes(seed: int) -> None:
    cells = blobs(48, seed)
    reports = [respond(cells, vote_by="plate+well", plan=QUICK, jobs=jobs, seed=3)[0] for jobs in (1, 2)]
    assert reports[0] == reports[1]


def test_baselines_see_the_size_where_only_the_size_tells(seed: int) -> None:
    report, _ = respond(blobs(80, seed, told_by="size"), controls=["DMSO"], alone=False, plan=QUICK)
    scores = {each["name"]: each["balanced_accuracy"]["value"] for each in report["deciders"]}
    assert scores["area alone"] > 0.9
    assert report["control"]["roc_auc"] > 0.95
    report, _ = respond(blobs(80, seed, told_by="nothing"), controls=["DMSO"], alone=False, plan=QUICK)
    assert abs(report["deciders"][3]["balanced_accuracy"]["value"] - 0.5) < 0.25
    assert report["control"]["roc_auc"] < 0.75


@pytest.fixture
def archive(tmp_path: Path, seed: int) -> Path:
    cells = blobs(64, seed)
    np.savez(tmp_path / "cells.npz", images=np.stack(cells.images))
    assert cells.parameters is not None
    table = cells.parameters.assign(treatment=[cells.classes[label] for label in cells.labels])
    table.to_csv(tmp_path / "cells.csv", index=False)
    return tmp_path / "cells.npz"


def test_the_command(archive: Path, tmp_path: Path) -> None:
    words = ["respond", str(archive), "--label-by", "treatment", "--group-by", "plate", "--vote-by", "plate+well"]
    words += ["--control", "DMSO", "--epochs", "2", "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(app, [*words, "--json"])
    assert done.exit_code == 0, done.output
    report = json.loads((tmp_path / "out" / "response.json").read_text())
    assert json.loads(done.stdout) == report
    assert [each["name"] for each in report["deciders"][:3]] == ["network", "image alone", "table alone"]
    assert {each["name"] for each in report["deciders"][3:]} == {
        "trees on the table",
        "logistic regression on the table",
        "network and logistic regression, mean posterior",
        "area alone",
        "number of cells alone",
    }
    well = next(each for each in report["confounds"] if each["column"] == "well")
    assert well["coincides"]
    page = (tmp_path / "out" / PAGE_FILE).read_text()
    assert "well and class coincide" in page
    for title in ("The network beside simpler means", "Votes", "What the network went by", "Control against treated"):
        assert title in page
    table = pd.read_csv(tmp_path / "out" / "cells.csv")
    confusion = pd.crosstab(table["class"], table["decision"]).reindex(columns=["DMSO", "drug"], fill_value=0)
    assert confusion.to_numpy().tolist() == report["deciders"][0]["confusion"]
    np.testing.assert_allclose(table.filter(like="posterior").sum(axis=1), 1, rtol=1e-5)
    refused = CliRunner().invoke(app, words)
    assert refused.exception is not None
    assert "--force" in str(refused.exception)
    again = icsort.respond(
        archive,
        tmp_path / "again",
        label_by="treatment",
        group_by="plate",
        vote_by="plate+well",
        controls=["DMSO"],
        table=tmp_path / "out" / "features.csv",
        epochs=2,
    )
    assert again["deciders"][0]["confusion"] == report["deciders"][0]["confusion"]


def test_what_the_command_refuses(archive: Path, tmp_path: Path) -> None:
    words = ["respond", str(archive), "--label-by", "treatment", "--out", str(tmp_path / "out")]

    def problem(*more: str) -> str:
        done = CliRunner().invoke(app, [*words, *more])
        assert isinstance(done.exception, IcsortError), done.output
        assert not (tmp_path / "out").exists()
        assert "\n" not in str(done.exception)
        return str(done.exception)

    assert "groups coincide with classes" in problem("--group-by", "well")
    assert "--control water: there is no such class; there are DMSO, drug" in problem("--control", "water")
    assert "--inputs image,smell: give some of image,mask,distance,table" in problem("--inputs", "image,smell")
    assert "--vote-by (day): gives no group" in problem("--group-by", "plate", "--vote-by", "(day)")
    assert "--label-smoothing is 1.5" in problem("--label-smoothing", "1.5")
    assert "holds one class, drug" in problem("--leave-out", "DMSO")
    assert "no class water to leave out" in problem("--leave-out", "water")


def test_every_input_matters_where_it_tells(seed: int) -> None:
    """Posteriors change with each input that is used, and with no other."""
    inputs = read_inputs(blobs(40, seed))
    cells = np.arange(40)
    arguments = ([(cells[:24], cells[24:32])], cells[32:], QUICK, 5)
    whole = answer(inputs, ("image", "table"), *arguments).posterior
    inputs.pictures["mask"][:] = 0
    assert (answer(inputs, ("image", "table"), *arguments).posterior == whole).all()
    inputs.pictures["image"][32:] = inputs.pictures["image"][32:][:, ::-1]
    assert (answer(inputs, ("image", "table"), *arguments).posterior != whole).any()


@pytest.mark.full
def test_real_donors(tmp_path: Path) -> None:
    """Activation of T cells of donors that were held out (docs/respond.md)."""
    folder = real("tcell_activation")
    report = icsort.respond(
        folder / "sample_images.zip",
        tmp_path / "out",
        group_by=r"donor_(\d+)",
        table=folder / "cellprofiler_features.csv",
        measure=True,
        epochs=30,
        jobs=2,
    )
    scores = {each["name"]: each["balanced_accuracy"]["value"] for each in report["deciders"]}
    assert scores["network"] >= 0.9
    assert scores["network"] > scores["area alone"] + 0.15
    assert [fold["groups"] for fold in report["folds"]] == [[f"{donor}"] for donor in range(1, 7)]
