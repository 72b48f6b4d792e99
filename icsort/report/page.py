# SPDX-License-Identifier: Apache-2.0
"""A report: one HTML page that needs nothing else, for people, and the same figures as JSON, for machines."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2

PAGE_FILE = "report.html"
TEMPLATE = Path(__file__).with_name("page.html")


@dataclass(frozen=True)
class Tile:
    """One figure at the top of the page. tone: "good", "bad" or nothing."""

    value: str
    label: str
    tone: str = ""


@dataclass(frozen=True)
class Captioned:
    """A small picture (base64 PNG) among others, and words below it."""

    picture: str
    caption: str


@dataclass(frozen=True)
class Section:
    """A part of the page: what is shown and what it means, pictures (base64 PNG), a table, commands in order, and a
    gallery.

    marked: rows that stand out, by their index. foot: the row of the sum.
    """

    title: str
    text: str
    pictures: Sequence[str] = ()
    head: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    marked: Collection[int] = ()
    foot: Sequence[str] = ()
    commands: Sequence[str] = ()
    gallery: Sequence[Captioned] = ()


@dataclass(frozen=True)
class Page:
    """All of a report for people."""

    title: str
    lead: str
    sections: Sequence[Section]
    figures: Sequence[Tile] = ()
    notices: Sequence[str] = ()


def write(folder: Path, page: Page, json_file: str, figures: dict[str, Any]) -> None:
    """Write report.html and the JSON file into a folder; a report.html that is there is replaced whole."""
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    text = environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(vars(page))
    for name, content in ((json_file, json.dumps(figures, indent=1, allow_nan=False) + "\n"), (PAGE_FILE, text)):
        partial = folder / f".{name}.partial"
        partial.write_text(content, encoding="utf-8")
        partial.replace(folder / name)


def percent(share: float | None) -> str:
    """A share as people read it; a dash where there was nothing to count."""
    return "–" if share is None else f"{100 * share:.1f} %"


def with_interval(share: dict[str, Any]) -> str:
    """A share of icsort.quant.evaluation.metrics with its interval."""
    if share["value"] is None:
        return "–"
    return f"{100 * share['value']:.1f} % ({100 * share['low']:.1f} to {100 * share['high']:.1f})"
