# SPDX-License-Identifier: Apache-2.0
"""A run's report: one HTML page that needs nothing else, for people, and the same figures as JSON, for machines."""

import base64
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jinja2
from matplotlib.figure import Figure

PAGE_FILE = "report.html"
TEMPLATE = Path(__file__).with_name("page.html")


@dataclass(frozen=True)
class Tile:
    """One figure at the top of the page. tone: "good", "bad" or nothing."""

    value: str
    label: str
    tone: str = ""


@dataclass(frozen=True)
class Section:
    """A part of the page: what is shown and what it means, pictures (base64 PNG), and a table."""

    title: str
    text: str
    pictures: Sequence[str] = ()
    head: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()


@dataclass(frozen=True)
class Page:
    """All of a report for people."""

    title: str
    lead: str
    figures: Sequence[Tile]
    sections: Sequence[Section]
    notices: Sequence[str] = field(default=())


def png(figure: Figure) -> str:
    """A figure as base64 PNG."""
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=110, bbox_inches="tight")
    return base64.b64encode(buffer.getvalue()).decode()


def write(folder: Path, page: Page, json_file: str, figures: dict[str, Any]) -> None:
    """Write report.html and the JSON file into a folder."""
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    (folder / PAGE_FILE).write_text(template.render(vars(page)), encoding="utf-8")
    (folder / json_file).write_text(json.dumps(figures, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def percent(share: float | None) -> str:
    """A share as people read it; a dash where there was nothing to count."""
    return "–" if share is None else f"{100 * share:.1f} %"


def with_interval(share: dict[str, Any]) -> str:
    """A share of icsort.quant.evaluation.metrics with its interval."""
    if share["value"] is None:
        return "–"
    return f"{100 * share['value']:.1f} % ({100 * share['low']:.1f} to {100 * share['high']:.1f})"
