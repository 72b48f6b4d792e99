# SPDX-License-Identifier: Apache-2.0
"""Images that are larger than windows, from the folder to the class: reduced, cropped, normalized, alike everywhere."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from skimage.measure import block_reduce
from typer.testing import CliRunner

from icsort.cli.root import app
from icsort.errors import IcsortError
from icsort.formats import heldout, package
from icsort.formats.acquisition import AS_TAKEN, PreparationSpec
from icsort.hw.compile import compile_package
from icsort.quant.cells.dataset import Dataset
from icsort.quant.cells.find import read_folder
from icsort.quant.cells.readers.shards import write_shards
from icsort.quant.evaluation.classify import classify
from icsort.quant.evaluation.evaluate import evaluate
from icsort.quant.packaging.export import export_package
from icsort.quant.training.recipe import Recipe
from icsort.quant.training.train import train_run
from icsort.sim.bit_true.prepare import learn_quantiles
from tests.conftest import SEED
from tests.quant.cells.files import refusal

pytestmark = pytest.mark.xdist_group("prepared")
SHORT = Recipe(epochs=4, batch=8, turns=1)
PARTS = {"train": np.r_[0:12, 20:32], "validation": np.r_[12:16, 32:36], "test": np.r_[16:20, 36:40]}
SPEC = PreparationSpec(reduce=2, crop=16)


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    """20 cells of each of two classes, 36 x 36 pixels, a large or a small square in the middle, two channels."""
    draw = np.random.default_rng(SEED)
    images = []
    for half in [12] * 20 + [7] * 20:
        image = draw.normal(800, 60, (36, 36, 2))
        image[18 - half : 18 + half, 18 - half : 18 + half] += [900, 300]
        images.append((image * draw.uniform(0.8, 1.2)).clip(0, 65535).astype(np.uint16))
    labels = np.repeat([0, 1], 20)
    return Dataset("some", "some cells", tuple(images), labels, ("large", "small"), ("BF", "DF"))


@pytest.fixture(scope="module")
def by_hand(dataset: Dataset) -> Dataset:
    """Cells as another program reduces and crops them."""
    means = [np.floor(block_reduce(image.astype(float), (2, 2, 1), np.mean) + 0.5) for image in dataset.images]
    return replace(dataset, images=tuple(mean[1:17, 1:17].astype(np.uint16) for mean in means))


def trained(cells: Dataset, out: Path, normalize: str = "none") -> Path:
    run = out.with_name(out.name + "-run")
    train_run(cells, run, SHORT, parts=PARTS, window="image", normalize=normalize, progress=False)
    export_package(run, out, "p")
    return run


@pytest.fixture(scope="module")
def folder(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Packages, `prepared` and `normalized`, the runs that they are of, and shards of the full images, `full`."""
    out = tmp_path_factory.mktemp("prepared")
    trained(dataset.prepared(SPEC), out / "prepared")
    trained(dataset.prepared(SPEC), out / "normalized", "quantile")
    write_shards(out / "full", [dataset])
    return out


def test_images_are_those_of_another_program(dataset: Dataset, by_hand: Dataset, folder: Path) -> None:
    for cells in (dataset, read_folder(folder / "full")):
        prepared = cells.prepared(SPEC)
        assert all(map(np.array_equal, prepared.images, by_hand.images))
        assert prepared.heights.tolist() == [16] * 40
        assert np.array_equal(prepared.identities, dataset.identities)
        assert prepared.prepared(SPEC) is prepared
        turned = prepared.subset([3, 30]).with_channels(("DF", "BF"))
        assert all(np.array_equal(turned.images[k], by_hand.images[i][..., ::-1]) for k, i in enumerate((3, 30)))


def test_a_package_takes_full_images_as_one_of_reduced_ones_takes_these(
    by_hand: Dataset, folder: Path, tmp_path: Path
) -> None:
    trained(by_hand, tmp_path / "by-hand")
    write_shards(tmp_path / "reduced", [by_hand])
    manifest = package.load(folder / "prepared")
    assert manifest.preparation == SPEC
    assert package.load(tmp_path / "by-hand").preparation == AS_TAKEN
    assert manifest.to_json()["preparation"] == {"reduce": 2, "crop": 16}
    tables = []
    for of, data in ((folder / "prepared", folder / "full"), (tmp_path / "by-hand", tmp_path / "reduced")):
        table = tmp_path / f"{of.name}.csv"
        classify(of, data, table)
        tables.append(pd.read_csv(table))
    pd.testing.assert_frame_equal(*tables)
    assert tables[0]["logit large"].nunique() > 10


def test_cells_are_known_in_full_and_as_the_run_kept_them(folder: Path) -> None:
    for name in ("prepared", "normalized"):
        run = folder / f"{name}-run"
        in_full, _ = evaluate(folder / name, folder / "full", runs=[run])
        kept, _ = evaluate(folder / name, run / "heldout.npz", runs=[run])
        assert in_full["data"]["left_out"] == {"trained_on": 24, "validation": 8}
        assert in_full["confusion"] == kept["confusion"]
        assert in_full["comparison"] == kept["comparison"]
        assert in_full["data"]["cells"] == 8


def test_normalization_learns_of_the_training_part_alone(dataset: Dataset, folder: Path) -> None:
    manifest = package.load(folder / "normalized")
    training = [dataset.prepared(SPEC).images[index] for index in PARTS["train"]]
    assert manifest.preparation.quantiles == learn_quantiles(training)
    assert manifest.preparation.quantiles != learn_quantiles(dataset.prepared(SPEC).images)
    kept = heldout.load(folder / "normalized-run" / "heldout.npz").images
    levels = np.percentile(np.stack(kept)[..., 0], 50, axis=(1, 2))
    plain = np.percentile(
        np.stack(heldout.load(folder / "prepared-run" / "heldout.npz").images)[..., 0], 50, axis=(1, 2)
    )
    assert np.ptp(levels) < 0.1 * np.ptp(plain)  # the lamp is no more to be seen


def test_no_build_is_made_of_a_package_that_normalizes(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(IcsortError, match=r"normalizes each image by its quantiles.*train without --normalize"):
        compile_package(folder / "normalized", tmp_path / "build")
    assert not (tmp_path / "build").exists()


def test_shards_of_prepared_cells_keep_what_was_done_and_who_they_are(dataset: Dataset, tmp_path: Path) -> None:
    quantiles = learn_quantiles(dataset.prepared(SPEC).images)
    prepared = dataset.prepared(SPEC.model_copy(update={"quantiles": quantiles}))
    write_shards(tmp_path / "shards", [prepared])
    stored = read_folder(tmp_path / "shards")
    assert stored.preparation == prepared.preparation
    assert np.array_equal(stored.identities, dataset.identities)
    turned = stored.with_channels(("DF", "BF"))
    assert turned.preparation.quantiles == quantiles[::-1]


def test_what_cannot_be_prepared_is_refused(dataset: Dataset, folder: Path, tmp_path: Path) -> None:
    prepared = dataset.prepared(SPEC)
    assert "reduced 2 x 2, cropped to 16 x 16, where the network's are reduced 3 x 3" in refusal(prepared.reduced, 3)
    assert "some cells: an image has 36 x 36 pixels, and none when reduced by 64" in refusal(dataset.reduced, 64)
    assert "fewer than 19 x 19; give a smaller --crop" in refusal(dataset.reduced, 2, 19)
    with pytest.raises(IcsortError, match="give one of none, quantile"):
        train_run(dataset, tmp_path / "run", SHORT, parts=PARTS, normalize="mean", progress=False)
    other = replace(dataset, images=tuple(image[:, :-9] for image in dataset.images))
    write_shards(tmp_path / "narrow", [other.reduced(2)])
    narrow = tmp_path / "narrow"
    with pytest.raises(IcsortError, match=r"fewer than 16 x 16"):
        classify(folder / "prepared", narrow, tmp_path / "table.csv")
    with pytest.raises(IcsortError, match=r"images are reduced 2 x 2, cropped to 16 x 16, normalized by quantiles"):
        evaluate(folder / "prepared", folder / "full", runs=[folder / "normalized-run"])
    assert not (tmp_path / "table.csv").exists()


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("([A-Z])-", "gives no group for 40 of 40 cells (first a/"),
        ("^([ab])/", "class a lies in 1 group: at least 3"),
    ],
)
def test_fields_by_name_that_are_none(dataset: Dataset, tmp_path: Path, rule: str, words: str) -> None:
    data = tmp_path / "data"
    for index, image in enumerate(dataset.images):
        name = "ab"[dataset.labels[index]]
        (data / name).mkdir(parents=True, exist_ok=True)
        Image.fromarray((image[..., 0] // 16).clip(0, 255).astype(np.uint8)).save(data / name / f"{index:06}-1.jpg")
    arguments = ["train", "--data", str(data), "--group-by", rule, "--min-class", "10", "--out", str(tmp_path / "run")]
    for more in ([], ["--folds", "3"]):
        result = CliRunner().invoke(app, [*arguments, *more])
        assert isinstance(result.exception, IcsortError)
        assert words in str(result.exception)
        assert not (tmp_path / "run").exists()


def test_images_of_two_widths_are_refused(tmp_path: Path, seed: int) -> None:
    for index, width in enumerate([24, 24, 25]):
        (tmp_path / "a").mkdir(exist_ok=True)
        pixels = np.random.default_rng(seed).integers(0, 256, (24, width)).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / "a" / f"{index}.jpg")
    arguments = ["train", "--data", str(tmp_path), "--reduce", "2", "--out", str(tmp_path / "run"), "--json"]
    result = CliRunner().invoke(app, arguments)
    assert isinstance(result.exception, IcsortError)
    assert "2.jpg: is 25 pixels wide" in str(result.exception)


def test_the_commands_reduce(folder: Path, tmp_path: Path) -> None:
    """`icsort train --reduce --crop` makes the package's line as wide; classify needs no option."""
    arguments = ["train", "--data", str(folder / "full"), "--reduce", "2", "--crop", "16", "--window", "image"]
    arguments += ["--min-class", "10", "--epochs", "1", "--turns", "1", "--out", str(tmp_path / "run")]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["preparation"] == {"reduce": 2, "crop": 16}
    assert (config["line"]["width"], config["input"]["height"]) == (16, 16)
    assert heldout.load(tmp_path / "run" / "heldout.npz").images[0].shape == (16, 16, 2)


def test_discovered_cells_are_reduced_and_known(folder: Path, tmp_path: Path) -> None:
    """What `icsort discover` found in reduced images sorts full ones, and knows those that it was trained on."""
    arguments = [
        "discover",
        str(folder / "full"),
        "--reduce",
        "2",
        "--crop",
        "16",
        "--window",
        "image",
        "--epochs",
        "1",
    ]
    arguments += ["--clusters", "2", "--rounds", "0", "--seeds", "1", "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert package.load(tmp_path / "out" / "package").preparation == SPEC
    report, _ = evaluate(tmp_path / "out" / "package", tmp_path / "out" / "cells")
    assert report["data"]["left_out"]["trained_on"] + report["data"]["left_out"]["validation"] > 30
    classify(tmp_path / "out" / "package", folder / "full", tmp_path / "table.csv")
    assert len(pd.read_csv(tmp_path / "table.csv")) == 40


@pytest.mark.full
def test_a_stain_of_reduced_cells(dataset: Dataset, tmp_path: Path) -> None:
    images = tuple(image for turn in range(3) for image in (np.rot90(cell, turn) for cell in dataset.images))
    write_shards(tmp_path / "cells", [replace(dataset, images=images, labels=np.tile(dataset.labels, 3))])
    arguments = ["stain", str(tmp_path / "cells"), "--from", "BF", "--to", "DF", "--reduce", "2", "--crop", "16"]
    arguments += ["--folds", "3", "--float-epochs", "1", "--epochs", "1", "--no-image", "--window", "image"]
    result = CliRunner().invoke(app, [*arguments, "--out", str(tmp_path / "out")])
    assert result.exit_code == 0, result.output
    of_package = tmp_path / "out" / "quantized" / "package-1"
    assert package.load(of_package).preparation == SPEC
    classify(of_package, tmp_path / "cells", tmp_path / "table.csv")
    assert pd.read_csv(tmp_path / "table.csv")["DF"].nunique() > 10


@pytest.mark.full
def test_a_build_tells_what_its_lines_are_made_of(folder: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["compile", str(folder / "prepared"), "--out", str(tmp_path / "build")])
    assert result.exit_code == 0, result.output
    assert "images are reduced 2 x 2, cropped to 16 x 16, which the hardware does not do" in " ".join(
        result.output.split()
    )
