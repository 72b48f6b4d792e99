# SPDX-License-Identifier: Apache-2.0
"""The stain of a whole field: no pixel of the training reaches the test, tiles leave no seam, figures, refusals."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter
from scipy.stats import pearsonr
from skimage.metrics import structural_similarity
from typer.testing import CliRunner

import icsort
from icsort.cli.root import app
from icsort.errors import IcsortError
from icsort.quant.stain import field as module
from icsort.quant.stain.field import (
    GAP,
    REACH,
    DrawnField,
    Field,
    draw_field,
    draw_in_tiles,
    field_figures,
    read_field,
    regions,
    starts,
)
from icsort.quant.stain.image import UNet
from tests.quant.cells.files import real

HEIGHT, WIDTH, TILE = 72, 190, 60
SHORT = {"tile": TILE, "epochs": 2, "progress": False}


def made(seed: int, width: int) -> Field:
    """Smooth light in two channels, and a stain where both are bright, which no linear filter gives."""
    random = np.random.default_rng(seed)
    light = np.stack([gaussian_filter(random.normal(size=(HEIGHT, width)), 2) for _ in range(2)])
    light /= light.std()
    stain = 10_000 + 4000 * np.maximum(light, 0).prod(axis=0)
    planes = np.stack([*(30_000 + 5000 * light), stain])
    return Field("field of a test", ("a", "b", "DNA"), planes.clip(0, 65535).astype(np.uint16))


@pytest.fixture
def field(seed: int) -> Field:
    return made(seed, WIDTH)


def test_the_network_sees_no_further_than_its_reach(seed: int) -> None:
    """By the gradient of single pixels, at every place of the poolings' grid."""
    torch.manual_seed(seed)
    network = UNet(1).eval()
    size, seen = 4 * REACH, 0
    for at in range(2 * REACH, 2 * REACH + 4):
        x = torch.randn(1, 1, size, size, requires_grad=True)
        network(x)[0, 0, at, at].backward()
        assert x.grad is not None
        rows, columns = np.nonzero(x.grad[0, 0].numpy())
        seen = max(seen, int(np.abs(rows - at).max()), int(np.abs(columns - at).max()))
    assert 0 < seen <= REACH < GAP


def test_no_pixel_of_the_training_reaches_the_test(field: Field, seed: int) -> None:
    """Other pixels right of the gap change no weight; other pixels left of it change nothing that is scored but by
    weights, which are held here."""
    drawn = draw_field(field, ("a", "b"), "DNA", seed=seed, **SHORT)
    noise = np.random.default_rng(seed).integers(0, 65535, field.planes.shape, dtype=np.uint16)
    other = Field(field.origin, field.channels, field.planes.copy())
    other.planes[:, :, drawn.trained :] = noise[:, :, drawn.trained :]
    same = draw_field(other, ("a", "b"), "DNA", seed=seed, **SHORT)
    untouched = np.s_[:, : drawn.trained - REACH]
    assert np.array_equal(drawn.unet[untouched], same.unet[untouched])
    assert np.array_equal(drawn.linear[:, : drawn.trained - 5], same.linear[:, : drawn.trained - 5])
    torch.manual_seed(seed)
    network = UNet(3).eval()
    shown = field.planes.astype(np.float32) / 65535
    changed = shown.copy()
    changed[:, :, : drawn.trained] = 0
    for one, two in zip(
        *(draw_in_tiles(network, planes, TILE)[:, drawn.tested :] for planes in (shown, changed)), strict=True
    ):
        assert np.array_equal(one, two)
    assert drawn.tested - drawn.trained == GAP


class Here(torch.nn.Module):
    """Stands for a network: its input, and what is drawn differs from tile to tile, and at their edges."""

    def __init__(self, edges: bool) -> None:
        super().__init__()
        self.edges, self.count = edges, 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        drawn = x[:, :1].clone()
        if self.edges:
            inner = torch.zeros_like(drawn)
            inner[..., REACH:-REACH, REACH:-REACH] = drawn[..., REACH:-REACH, REACH:-REACH]
            return inner
        self.count += 1
        return drawn + (self.count % 2)


@pytest.mark.parametrize("tile", [50, 60, 72])
def test_tiles_are_blended_without_seams(field: Field, tile: int) -> None:
    shown = np.zeros((1, HEIGHT, WIDTH), np.float32)
    network: Any = Here(edges=False)
    steps = draw_in_tiles(network, shown, tile)
    assert 0 <= steps.min() < steps.max() <= 1
    if tile == 72:  # one tile high
        assert np.ptp(steps, axis=0).max() == 0
    slope = max(np.abs(np.diff(steps, axis=axis)).max(initial=0) for axis in (0, 1))
    assert slope <= {50: 0.8, 60: 0.2, 72: 0.1}[tile]  # a seam would be 1
    network = Here(edges=True)
    light = field.planes[:1].astype(np.float32)
    inside = np.s_[REACH:-REACH, REACH:-REACH]
    assert draw_in_tiles(network, light, tile)[inside] == pytest.approx(light[0][inside])


def test_tiles_cover_a_length() -> None:
    for length, tile, step in ((100, 30, 7), (30, 30, 7), (31, 30, 15)):
        found = starts(length, tile, step)
        assert (found[0], found[-1]) == (0, length - tile)
        assert all(0 < other - one <= step for one, other in pairwise(found))


def test_the_training_learns_what_a_filter_cannot(seed: int) -> None:
    figures = field_figures(draw_field(made(seed, 300), ("a", "b"), "DNA", seed=seed, **{**SHORT, "epochs": 40}))
    assert figures["unet"]["r"] > figures["linear"]["r"] + 0.2
    assert figures["unet"]["rmse"] < min(figures["linear"]["rmse"], figures["deviation"]) / 1.5


def test_figures_are_of_the_tested_part(seed: int) -> None:
    random = np.random.default_rng(seed)
    measured = random.normal(1000, 100, (30, 60)).astype(np.float32)
    unet = (measured + random.normal(0, 50, measured.shape)).astype(np.float32)
    unet[:, :40] = 0
    found = field_figures(DrawnField(measured, unet, np.zeros_like(measured), 20, 40))
    parts = measured[:, 40:], unet[:, 40:]
    assert found["unet"]["r"] == pytest.approx(pearsonr(*(part.ravel() for part in parts)).statistic)
    low, high = np.quantile(parts[0], (0.001, 0.999))
    assert found["unet"]["ssim"] == pytest.approx(structural_similarity(*parts, data_range=high - low))
    assert found["unet"]["rmse"] == pytest.approx(np.sqrt(np.square(parts[0] - parts[1]).mean()))
    assert found["linear"]["r"] is None
    assert found["pixels"] == 600


@pytest.fixture
def folder(field: Field, tmp_path: Path) -> Path:
    out = tmp_path / "field"
    out.mkdir()
    for name, plane in zip(field.channels[1:], field.planes[1:], strict=True):
        Image.fromarray(plane).save(out / f"{name}.png")
    tifffile.imwrite(out / "a.tif", field.planes[0])
    (out / "notes.txt").write_text("mine")
    return out


def run(*words: object) -> str:
    result = CliRunner().invoke(app, ["stain", *map(str, words)], catch_exceptions=False)
    return result.stdout


def test_the_command(folder: Path, field: Field, tmp_path: Path) -> None:
    read = read_field(folder)
    assert read.channels == ("DNA", "a", "b")
    assert all(np.array_equal(read.plane(name), field.plane(name)) for name in field.channels)
    assert read.passed_over == ("notes.txt: no picture",)
    out = tmp_path / "out"
    words = [folder, "--field", "--from", "a,b", "--to", "DNA", "--tile", TILE, "--image-epochs", 1, "--out", out]
    figures = json.loads(run(*words, "--json"))
    assert json.loads((out / "stain.json").read_text()) == figures
    drawn = {name: tifffile.imread(out / f"{name}.tif") for name in ("predicted", "residual", "linear")}
    assert all(plane.shape == (HEIGHT, WIDTH) for plane in drawn.values())
    assert drawn["predicted"] - drawn["residual"] == pytest.approx(field.plane("DNA"), abs=0.01)
    tested = np.s_[:, figures["tested_columns"][0] :]
    for key, name in (("unet", "predicted"), ("linear", "linear")):
        r = pearsonr(drawn[name][tested].ravel(), field.plane("DNA")[tested].ravel().astype(float)).statistic
        assert figures["test"][key]["r"] == pytest.approx(r, abs=1e-4)
    for name in ("predicted", "residual"):
        assert Image.open(out / f"{name}.png").size == (WIDTH, HEIGHT)
    page = (out / "report.html").read_text()
    assert f"{figures['test']['unet']['r']:.3f}" in page
    assert page.count("data:image/png") == 3
    with pytest.raises(IcsortError, match="exists already"):
        run(*words)


def test_bad_input_is_one_line(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    Image.fromarray(np.zeros((HEIGHT, WIDTH), np.uint8)).save(folder / "black.png")
    half = np.zeros((HEIGHT, WIDTH), np.uint8)
    half[:, -20:] = 9
    Image.fromarray(half).save(folder / "half.png")
    Image.fromarray(np.zeros((HEIGHT, WIDTH - 1), np.uint8)).save(tmp_path / "small.png")
    both, cells = ("--from", "a,b"), tmp_path
    for words, said in (
        ((folder, *both, "--to", "DAPI"), "no plane DAPI; there are DNA, a, b, black, half"),
        ((folder, "--from", "a,c", "--to", "DNA"), "no plane c"),
        ((folder, *both, "--to", "a"), "--to a is in --from as well"),
        ((folder, "--from", "a,a", "--to", "DNA"), "name each plane once"),
        ((folder, *both, "--to", "black", "--tile", 60), "black is 0 in all pixels of the training part"),
        ((folder, *both, "--to", "half", "--tile", 60), "half is 0 in all pixels of the training part"),
        ((folder, "--from", "a,black", "--to", "DNA", "--tile", 60), "black is 0 in all pixels"),
        ((folder, *both, "--to", "DNA"), r"--tile 128: is larger than the part .* 110 x 72 of 190 x 72 pixels"),
        ((folder, *both, "--to", "DNA", "--tile", 48), "--tile 48: the network sees 24 pixels around each"),
        ((folder, *both, "--to", "DNA", "--tile", 60, "--test-share", 0), "give a share of the field between 0 and 1"),
        ((folder, *both, "--to", "DNA", "--tile", 60, "--test-share", 0.03), "tests 6 of 190 columns"),
        ((folder, *both, "--to", "DNA", "--merge", "x=y+z"), "--merge is of cells"),
        ((folder, *both, "--to", "DNA", "--jobs", 2), "--jobs is of cells"),
        ((folder, *both, "--to", "DNA", "--reduce", 2), "--reduce is of cells"),
        ((folder, *both, "--to", "DNA", "--weight-bits", 3), "--weight-bits is of cells"),
        ((folder / "none", *both, "--to", "DNA"), "no such folder"),
        ((cells, *both, "--to", "DNA"), "holds 1 pictures"),
    ):
        with pytest.raises(IcsortError, match=said):
            run(*words, "--field", "--out", out)
        assert not out.exists()
    with pytest.raises(IcsortError, match="--tile and --test-share are of a field"):
        run(folder, *both, "--to", "DNA", "--tile", 60, "--out", out)
    (tmp_path / "small.png").rename(folder / "small.png")
    with pytest.raises(IcsortError, match=r"small\.png: 189 x 72 pixels, and DNA\.png has 190 x 72"):
        run(folder, *both, "--to", "DNA", "--field", "--out", out)
    (folder / "small.png").unlink()
    Image.fromarray(np.zeros((HEIGHT, WIDTH, 3), np.uint8)).save(folder / "colour.png")
    with pytest.raises(IcsortError, match="has 3 channels; of a field each picture is one channel"):
        read_field(folder)
    (folder / "colour.png").unlink()
    Image.fromarray(np.zeros((HEIGHT, WIDTH), np.uint8)).save(folder / "a.png")
    with pytest.raises(IcsortError, match="two pictures are called a"):
        read_field(folder)


def test_regions() -> None:
    assert regions((1024, 1024), 128, 0.25) == (768 - GAP, 768)
    assert module.TEST_SHARE == 0.25


@pytest.mark.full
@pytest.mark.timeout(1800)
def test_neurons(tmp_path: Path) -> None:
    """A real field: the U-Net draws nuclei better than the linear filter, on a part that it has not seen."""
    folder = real("isl_sample")
    planes = [f"phase_z{z}" for z in (4, 5, 6, 7, 8)]
    figures = icsort.stain_field(folder, tmp_path / "out", inputs=planes, to="target_DAPI")
    assert figures["test"]["unet"]["r"] > figures["test"]["linear"]["r"] + 0.1
    assert figures["test"]["unet"]["ssim"] > figures["test"]["linear"]["ssim"]
