# SPDX-License-Identifier: Apache-2.0
"""A report shows every word as it was given, loads nothing from elsewhere, and replaces an earlier one whole."""

import base64
import html.parser
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from icsort.report import figures
from icsort.report.page import PAGE_FILE, Captioned, Page, Section, Tile, percent, with_interval, write

EVIL = '<script>alert("1")</script>&lt;'


class Words(html.parser.HTMLParser):
    """Elements, text and pictures of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.text: list[str] = []
        self.pictures: list[bytes] = []
        self.loaded: list[str] = []
        self.marked = 0

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        for name, value in attributes:
            self.marked += (name, value) == ("class", "marked")
            if name == "alt":
                self.text.append(value or "")
            if name in ("src", "href"):
                kind, _, data = (value or "").partition("base64,")
                (self.pictures.append(base64.b64decode(data)) if data else self.loaded.append(kind))

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def evil_page(picture: str) -> Page:
    section = Section(EVIL, EVIL, [picture], [EVIL], [[EVIL], [EVIL]], marked=[1], foot=[EVIL], commands=[EVIL],
                      gallery=[Captioned(picture, EVIL)])  # fmt: skip
    return Page(EVIL, EVIL, [section], [Tile(EVIL, EVIL, "good")], [EVIL])


def test_every_word_is_text(tmp_path: Path) -> None:
    """A class, a file, a network may be called what it likes."""
    picture = figures.png(figures.confusion(np.eye(2, dtype=np.int64), ["<script>", "$a_$"], "decision"))
    write(tmp_path, evil_page(picture), "figures.json", {"class": EVIL})
    page = Words()
    page.feed((tmp_path / PAGE_FILE).read_text(encoding="utf-8"))
    assert "script" not in page.elements
    # Title twice, lead, notice, two of the tile, two of the section, picture, head, two rows, foot, command, two of the
    # gallery.
    assert page.text.count(EVIL) == 16
    assert page.loaded == []
    assert page.marked == 1
    assert [data[:4] for data in page.pictures] == [b"\x89PNG"] * 2
    assert json.loads((tmp_path / "figures.json").read_text()) == {"class": EVIL}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["figures.json", PAGE_FILE]


def test_report_that_cannot_be_made_leaves_the_earlier_one(tmp_path: Path) -> None:
    write(tmp_path, Page("first", "", []), "figures.json", {})
    before = (tmp_path / PAGE_FILE).read_text()
    with pytest.raises(ValueError, match="JSON"):
        write(tmp_path, Page("second", "", []), "figures.json", {"x": float("nan")})
    assert (tmp_path / PAGE_FILE).read_text() == before


def test_confusion_shows_cells_and_colours_shares() -> None:
    counts = np.array([[30, 10, 0], [0, 0, 0], [1, 0, 3]])
    axes = figures.confusion(counts, ["a", "b", "c"], "decision").axes[0]
    np.testing.assert_allclose(axes.images[0].get_array(), [[0.75, 0.25, 0], [0, 0, 0], [0.25, 0, 0.75]])
    assert [text.get_text() for text in axes.texts] == ["30", "10", "", "", "", "", "1", "", "3"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("decision", "true class")


def test_numbers_of_logarithmic_axes_are_numbers() -> None:
    axes = Figure().subplots()
    axes.plot([0.03, 2e5], [3, 7])
    figures.logarithmic(axes, "x", "y")
    axes.figure.draw_without_rendering()
    for axis in (axes.xaxis, axes.yaxis):
        shown = [text.get_text() for text in axis.get_ticklabels(which="both")]
        assert any(shown)
        assert not [text for text in shown if "$" in text]
    assert "1,000" in [text.get_text() for text in axes.get_xticklabels()]


NAMES = """
import sys
from pathlib import Path
from icsort.quant.cells.inspection import plot_classes
plot_classes({"$a_$": 30, "$b": 4}, 10, Path(sys.argv[1]))
"""


def test_a_picture_alone_reads_no_name_as_a_formula(tmp_path: Path) -> None:
    """Whichever module draws first."""
    subprocess.run([sys.executable, "-c", NAMES, tmp_path / "classes.png"], check=True)
    assert (tmp_path / "classes.png").read_bytes().startswith(b"\x89PNG")


def test_pictures_are_drawn_by_one_module() -> None:
    repository = Path(__file__).parents[3]
    for folder in ("host", "hw", "quant", "sim"):
        for path in (repository / folder).rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            if "from matplotlib" in text or "import matplotlib" in text:
                assert "icsort.report.figures import" in text, path
                assert "pyplot" not in text, path
                assert "savefig" not in text, path


def test_composite_keeps_dark_dark_and_tells_channels_apart() -> None:
    assert figures.composite(np.zeros((2, 3, 4), np.uint8)).max() == 0
    bright = figures.composite(np.eye(4, dtype=np.uint8)[np.newaxis] * 255)[0]
    assert np.ptp(bright[0]) == 0
    distances = np.linalg.norm(bright[:, None] - bright, axis=-1)
    assert distances[~np.eye(4, dtype=bool)].min() > 0.4


def test_shares_as_people_read_them() -> None:
    assert (percent(0.1234), percent(None)) == ("12.3 %", "–")
    assert with_interval({"value": 0.5, "low": 0.25, "high": 0.756}) == "50.0 % (25.0 to 75.6)"
    assert with_interval({"value": None}) == "–"
