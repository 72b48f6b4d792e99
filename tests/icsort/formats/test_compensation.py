# SPDX-License-Identifier: Apache-2.0
"""Spillover matrices from tables and FCS files, and the integers that a package has of them."""

from pathlib import Path

import numpy as np
import pytest

from icsort.errors import IcsortError
from icsort.formats import compensation
from icsort.formats.acquisition import LineSpec
from icsort.formats.compensation import Spillover
from icsort.formats.fcs import FcsWriter, Parameter
from icsort.sim.bit_true.features import MATRIX_BITS
from tests.host.recordings import example

TABLE = "Brightfield,PI\n1,0.25\n0.1,1\n"


def written(folder: Path, text: str) -> Path:
    path = folder / "spillover.csv"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    "text",
    [
        TABLE,
        "\ufeff" + TABLE.replace("\n", "\r\n"),
        TABLE.replace(",", ";"),
        ",Brightfield,PI\nBrightfield,1,0.25\nPI,0.1,1\n",
        "\tBrightfield\tPI\n\nBrightfield\t 1\t0.25\nPI\t0.1\t1.0",
    ],
)
def test_tables_as_programs_write_them(tmp_path: Path, text: str) -> None:
    loaded = compensation.load(written(tmp_path, text))
    assert loaded.names == ("Brightfield", "PI")
    np.testing.assert_array_equal(loaded.values, [[1, 0.25], [0.1, 1]])


@pytest.mark.parametrize("keyword", ["$SPILLOVER", "SPILL"])
def test_fcs_files(tmp_path: Path, keyword: str) -> None:
    path = tmp_path / "controls.fcs"
    FcsWriter(path, [Parameter("PI", 100)], {keyword: "2,Brightfield,PI,1,0.25,0.1,1"}, {}).close()
    loaded = compensation.load(path)
    assert loaded.names == ("Brightfield", "PI")
    np.testing.assert_array_equal(loaded.values, [[1, 0.25], [0.1, 1]])


def test_what_dyes_give_in_all_channels_is_taken_back(seed: int) -> None:
    """Light of dyes, spilled by a matrix and measured, comes back from the integers that the hardware has."""
    random = np.random.default_rng(seed)
    light = random.uniform(0, 10_000, (100, 2))
    spill = np.eye(2) + random.uniform(0, 0.4, (2, 2)) * (1 - np.eye(2))
    spec = compensation.compensate(Spillover(("PI", "Brightfield"), spill), example(), {})
    measured = light @ spill  # in the matrix's order of channels
    of_package = measured[:, ::-1]
    back = of_package @ np.asarray(spec.compensation).T / 2**MATRIX_BITS
    assert np.abs(back - light[:, ::-1]).max() <= 2 * measured.max() / 2 ** (MATRIX_BITS + 1)


def test_channels_that_are_not_named_stay_as_measured() -> None:
    spec = compensation.compensate(Spillover(("A",), np.asarray([[1.0005]])), example(), {"A": "PI"})
    assert spec.compensation == ((2**MATRIX_BITS, 0), (0, round(2**MATRIX_BITS / 1.0005)))
    assert (spec.background, spec.threshold) == (
        example().feature_settings.background,
        example().feature_settings.threshold,
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("Brightfield,PI\n1,0.25\n", "2 channels need 2 rows of as many numbers; it has 1 x 2"),
        ("Brightfield,PI\n1,0.25\n0.1\n", "it has 2 x 1 x 2"),
        ("Brightfield,PI\n1,nan\n0.1,1\n", "nan is in the matrix"),
        ("Brightfield,PI\n1,1e999\n0.1,1\n", "1e999 is in the matrix"),
        ("Brightfield,PI\n1,x\n0.1,1\n", "'x' is no number"),
        ("PI,PI\n1,0\n0,1\n", "names the channel PI twice"),
        (",Brightfield,PI\nPI,1,0\nBrightfield,0,1\n", "its rows are PI, Brightfield, its columns Brightfield, PI"),
        ("", "no spillover matrix"),
    ],
)
def test_no_matrix(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(IcsortError) as caught:
        compensation.load(written(tmp_path, text))
    assert says in str(caught.value)


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(IcsortError, match="cannot be read"):
        compensation.load(tmp_path / "none.csv")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\xff\xfe")
    with pytest.raises(IcsortError, match="neither an FCS file nor a table"):
        compensation.load(tmp_path / "picture.png")
    for number, text in enumerate(("0", "2,A,B,1,0,0", "x,A")):
        path = tmp_path / f"{number}.fcs"
        FcsWriter(path, [Parameter("PI", 100)], {"$SPILLOVER": text}, {}).close()
        with pytest.raises(IcsortError, match="is not a number of channels, their names"):
            compensation.load(path)
    FcsWriter(tmp_path / "without.fcs", [Parameter("PI", 100)], {}, {}).close()
    with pytest.raises(IcsortError, match=r"has no \$SPILLOVER"):
        compensation.load(tmp_path / "without.fcs")


@pytest.mark.parametrize(
    ("names", "values", "renamed", "says"),
    [
        (
            ("FITC-A", "PI"),
            [[1, 0], [0, 1]],
            {},
            "FITC-A is none of the package's: Brightfield, PI; say which with --rename",
        ),
        (("A", "PI"), [[1, 0], [0, 1]], {"A": "PI"}, "two of its channels are PI"),
        (("PI",), [[1]], {"A": "PI"}, "--rename A: the matrix has no such channel; it has PI"),
        (("Brightfield", "PI"), [[1, 0.5], [2, 1]], {}, "has no inverse, or hardly one"),
        (("Brightfield", "PI"), [[1, 0.95], [0.95, 1]], {}, "the hardware up to 8"),
        (("PI",), [[0]], {}, "says 0 of PI for its own dye, which must be 1"),
        (("Brightfield", "PI"), [[100, 10], [10, 100]], {}, "says 100 of Brightfield for its own dye, which must be 1"),
        (("Brightfield", "A"), [[1, 0.1], [0.1, 1.01]], {"A": "PI"}, "says 1.01 of A for its own dye, which must be 1"),
    ],
)
def test_matrices_that_do_not_fit(
    names: tuple[str, ...], values: list[list[float]], renamed: dict[str, str], says: str
) -> None:
    with pytest.raises(IcsortError) as caught:
        compensation.compensate(Spillover(names, np.asarray(values, float)), example(), renamed)
    assert says in str(caught.value)


def test_packages_without_features_take_none() -> None:
    wide = example().model_copy(update={"line": LineSpec(width=300)})
    with pytest.raises(IcsortError, match="compensation is of features"):
        compensation.compensate(Spillover(("PI",), np.eye(1)), wide, {})
