# SPDX-License-Identifier: Apache-2.0
"""The page in a real browser, headless: Debian's chromium, driven by Playwright, where both are here.

ICSORT_PAGE_SHOTS: folder in which pictures of the page are kept. ICSORT_AXE: axe.min.js of axe-core, which then looks
at the page as well.
"""

import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from icsort.formats.gate_set import load, of_classes
from icsort.formats.package import Manifest
from icsort.host.recorder import Recorder
from icsort.host.session import connect
from icsort.host.sorter import Losses
from tests.host.fake_board import FakeBoard
from tests.host.page.cells import CELLS, CellBoard
from tests.host.page.conftest import Served
from tests.host.recordings import event, layout

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not here: pip install playwright")
CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not here: apt-get install chromium")
DESKTOP = {"width": 1400, "height": 1000}
TABLET = {"width": 768, "height": 1024}
WAIT_MS = 20_000


@pytest.fixture
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def opened(browser: Any) -> Callable[..., Any]:
    """Opens an address as a page of its own; an error of a script, or something that is not allowed, fails the test."""

    def open_page(url: str, size: dict[str, int], scheme: str = "light") -> Any:
        page = browser.new_context(viewport=size, color_scheme=scheme, has_touch=size is TABLET).new_page()
        page.set_default_timeout(WAIT_MS)
        page.wrong = []
        page.on("pageerror", lambda error: page.wrong.append(str(error)))
        page.on("console", lambda said: page.wrong.append(said.text) if "Security" in said.text else None)
        page.goto(url)
        return page

    return open_page


def number(text: str) -> int:
    """The first number of a text; 0 where there is none."""
    found = re.search(r"\d[\d,]*", text)
    return int(found[0].replace(",", "")) if found else 0


def share(text: str) -> float:
    """Percent of a text; 0 where there is none."""
    found = re.search(r"([\d.]+) %", text)
    return float(found[1]) if found else 0.0


def until(holds: Callable[[], bool]) -> None:
    """Waits for that; Playwright's own way to wait for an expression needs what the page's policy forbids."""
    limit = time.monotonic() + WAIT_MS / 1000
    while not holds():
        assert time.monotonic() < limit, "it never came true"
        time.sleep(0.1)


def shot(page: Any, name: str) -> None:
    if folder := os.environ.get("ICSORT_PAGE_SHOTS"):
        page.evaluate("scrollTo(0, 0)")
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


def audit(page: Any) -> None:
    """No findings of axe-core."""
    if path := os.environ.get("ICSORT_AXE"):
        page.evaluate(Path(path).read_text())  # as a debugger does: the page's own policy allows no other script
        found = page.evaluate("axe.run().then(({violations}) => violations)")
        assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in found] == []


def test_draw_a_polygon_commit_it_and_count(
    serve: Callable[..., Served], opened: Callable[..., Any], board: FakeBoard, package: Path, tmp_path: Path,
    model: Manifest, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(sys, "argv", ["icsort", "arm"])  # whom the page is told of
    file = tmp_path / "gates.toml"
    with CellBoard(board, model):
        served = serve(*("--port", board.port, "--model", str(package), "--gates", str(file), "--image-every", "200"))
        page = opened(served.browser.url, DESKTOP)
        assert "token" not in page.url
        page.locator("#state", has_text="Disarmed").wait_for()
        until(lambda: number(page.inner_text("#density-events").partition("last")[2]) > 2 * CELLS)
        # A polygon by mouse around what is large, its fourth corner by keyboard.
        page.click("#draw-polygon")
        box = page.locator("#density").bounding_box()

        def at(x: float, y: float) -> tuple[float, float]:
            return box["x"] + 58 + x * (box["width"] - 72), box["y"] + 12 + (1 - y) * (box["height"] - 58)

        page.locator("#density").scroll_into_view_if_needed()
        box = page.locator("#density").bounding_box()
        for corner in ((0.45, 0.45), (0.98, 0.45), (0.98, 0.98), (0.45, 0.9)):
            page.mouse.click(*at(*corner))
        page.keyboard.press("Enter")
        page.fill("#form-name", "large cells")
        page.select_option("#form-within", "")
        page.keyboard.press("Enter")
        row = page.locator("#gates tr")
        row.locator("td").nth(3).filter(has_text="%").wait_for()

        def preview() -> str:
            return str(row.locator("td").nth(3).inner_text())

        before = share(preview())
        page.focus("#density")
        page.keyboard.press("]")
        for _ in range(6):
            page.keyboard.press("Shift+ArrowLeft")
        until(lambda: share(preview()) not in (0, before))
        page.wait_for_timeout(500)
        expected = share(preview())
        assert 1 < expected != before
        page.click("#commit")
        page.locator("#gates-said", has_text="In force and read back").wait_for()
        committed = load(file)
        assert [gate.name for gate in committed.gates] == ["large cells"]
        with connect(board.port) as sorter:
            sorter.check_gates(committed, model)
        until(lambda: number(row.locator("td").nth(4).inner_text()) > CELLS / 2)
        counted = share(row.locator("td").nth(4).inner_text())
        assert counted == pytest.approx(expected, abs=1.5)
        # A class gate, whose threshold is dragged.
        page.click("#add-class")
        page.fill("#form-name", "dividing")
        page.check("input[value='M']")
        page.click("#gate-form button[type='submit']")
        page.locator("#threshold").fill("0.6")
        page.locator("#gates tr").nth(1).locator("td").nth(1).filter(has_text="M ≥ 0.6").wait_for()
        line = page.locator("#histogram").bounding_box()
        middle = line["y"] + line["height"] / 2
        page.mouse.move(line["x"] + 58 + 0.6 * (line["width"] - 72), middle)
        page.mouse.down()
        page.mouse.move(line["x"] + 58 + 0.75 * (line["width"] - 72), middle, steps=5)
        page.mouse.up()
        assert float(page.locator("#threshold").input_value()) == pytest.approx(0.75, abs=0.01)
        page.locator("#gates tr").nth(1).locator("select").select_option("1")
        page.wait_for_timeout(800)
        page.click("#commit")
        page.locator("#gates-said", has_text="In force and read back").wait_for()
        # Somebody arms; Escape stops it, also in a field.
        with connect(board.port) as other:
            other.arm(model, heartbeat=30.0)
            page.locator("#state", has_text="ARMED by").wait_for()
            page.wait_for_timeout(3000)
            page.mouse.move(5, 5)
            shot(page, "desktop-light")
            audit(page)
            shown = number(page.inner_text("#density-events"))
            page.select_option("#filter", "0")
            until(lambda: 0 < number(page.inner_text("#density-events")) < shown / 2)
            page.focus("#x-axis input")
            page.keyboard.press("Escape")
            page.locator("#alarm", has_text="the board has confirmed it").wait_for()
            assert not board.armed
        page.locator("#state", has_text="Disarmed").wait_for()
        page.locator("#log", has_text="disarmed").wait_for()
        assert page.wrong == []
        for size, scheme in ((DESKTOP, "dark"), (TABLET, "light"), (TABLET, "dark")):
            again = opened(served.browser.url, size, scheme)
            again.locator("#gates tr").first.wait_for()
            again.locator("#gallery li").first.wait_for()
            again.wait_for_timeout(2500)
            wide = again.evaluate("document.documentElement.scrollWidth")
            assert wide <= size["width"], "it does not fit"
            shot(again, f"{'tablet' if size is TABLET else 'desktop'}-{scheme}")
            audit(again)
            assert again.wrong == []
            again.close()
        # The server ends: the page says that nothing is known any more.
        served.end()
        page.locator("#alarm", has_text="NO CONNECTION to icsort serve").wait_for()
        assert page.locator("#state").inner_text() == "NOT KNOWN"
        shot(page, "lost")


def test_arm_in_two_steps_and_close_the_page(
    serve: Callable[..., Served], opened: Callable[..., Any], board: FakeBoard, package: Path, tmp_path: Path,
    model: Manifest,
) -> None:  # fmt: skip
    schedule = tmp_path / "schedule.toml"
    schedule.write_text("[directions.0]\ndelay_us = 700.0\npulse_us = 20.0\n")
    with connect(board.port) as other:
        other.set_gates(of_classes(("S",), 0.5), model)
    with CellBoard(board, model):
        served = serve("--port", board.port, "--model", str(package), "--schedule", str(schedule))
        page = opened(served.browser.url, TABLET)
        page.locator("#state", has_text="Disarmed").wait_for()
        page.click("#arm")
        page.locator("#arming-what", has_text="direction 0 in 700 us").wait_for()
        page.keyboard.press("Enter")  # the focus is on Cancel
        assert not page.locator("#arming").is_visible()
        page.click("#arm")
        page.locator("#arming-what", has_text="gate set").wait_for()
        shot(page, "arming")
        audit(page)
        page.keyboard.press("Escape")
        page.locator("#alarm", has_text="the board has confirmed it").wait_for()
        assert not page.locator("#arming").is_visible()
        page.click("#arm")
        page.click("#arming-now")
        page.locator("#state", has_text="ARMED by").wait_for()
        assert board.armed
        page.wait_for_timeout(4000)
        assert board.armed
        assert page.locator("#arm").is_disabled()
        assert page.wrong == []
        page.close()
        until(lambda: not board.armed)


def test_names_are_text(
    serve: Callable[..., Served], opened: Callable[..., Any], model: Manifest, tmp_path: Path
) -> None:
    """A class named as an element of a page."""
    from tests.host.page.test_server import named_script

    folder, named = named_script(model, tmp_path)
    with FakeBoard(named.model_id, named.network_id) as board, CellBoard(board, named):
        served = serve("--port", board.port, "--model", str(folder))
        page = opened(served.browser.url, DESKTOP)
        page.on("dialog", lambda dialog: page.wrong.append(dialog.message))
        page.locator("#classes .label", has_text="<script>alert(1)</script>").wait_for()
        assert page.locator("main script").count() == 0
        assert page.wrong == []
        assert served.end() == (0, "")


def test_keyboard_alone_on_a_recording(
    serve: Callable[..., Served], opened: Callable[..., Any], package: Path, tmp_path: Path
) -> None:
    """A square is placed, moved, given a corner more and committed; any scale; Escape says that there is no board.

    Then a rectangle by mouse.
    """
    with Recorder(tmp_path / "monday.fcs", layout(), {}, Losses()) as recorder:
        for one in range(2000):
            recorder.add(event(one))
    file = tmp_path / "gates.toml"
    served = serve("--replay", str(tmp_path / "monday.fcs"), "--model", str(package), "--gates", str(file))
    page = opened(served.browser.url, TABLET, "dark")
    page.locator("#state", has_text="Replay").wait_for()
    until(lambda: number(page.inner_text("#density-events")) > 1000)
    for axis in ("x", "y"):
        kinds = page.locator(f"#{axis}-axis select").nth(1)
        for kind in ("log", "arcsinh", "logicle"):
            kinds.select_option(kind)
            page.locator(f"#{axis}-axis .scale", has_text="m").wait_for()
            page.wait_for_timeout(400)
    page.focus("#draw-polygon")
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")  # on the plot: a square
    page.keyboard.press("Enter")  # in the form: its name as proposed
    passes = page.locator("#gates tr td").nth(1)
    passes.filter(has_text="4 corners").wait_for()
    page.keyboard.press("+")
    passes.filter(has_text="5 corners").wait_for()
    for key in ("Shift+ArrowUp", "ArrowRight", "["):
        page.keyboard.press(key)
    page.wait_for_timeout(500)
    page.focus("#commit")
    page.keyboard.press("Enter")
    page.locator("#gates-said", has_text="Saved").wait_for()
    page.locator("#gates tr td").nth(3).filter(has_text="%").wait_for()
    assert page.locator("#gates tr td").nth(4).inner_text() == ""  # no board says anything of it
    (test,) = load(file).tests
    assert test.kind == "polygon"
    assert test.corners[1] == pytest.approx((0.505, 0.45))
    # Beside it a rectangle by mouse, within the polygon's gate; its corner, by keyboard, past the opposite one.
    page.click("#draw-range")
    page.locator("#density").scroll_into_view_if_needed()
    box = page.locator("#density").bounding_box()
    left, floor = box["x"] + 58, box["y"] + box["height"] - 46
    wide, high = box["width"] - 72, box["height"] - 58
    page.mouse.move(left + 0.2 * wide, floor - 0.3 * high)
    page.mouse.down()
    page.mouse.move(left + 0.7 * wide, floor - 0.8 * high, steps=4)
    page.mouse.up()
    page.fill("#form-name", "inner")
    page.select_option("#form-within", "gate 1")
    page.click("#gate-form button[type='submit']")
    for _ in range(11):
        page.keyboard.press("Shift+ArrowRight")
    page.locator("#commit:enabled").click()
    until(lambda: len(load(file).gates) == 2)
    inner, region = load(file).gates[1], load(file).tests[1]
    assert inner.all == ("gate 1", "inner region")
    assert region.kind == "range"
    assert region.y is not None
    assert (region.x.min, region.x.max) == pytest.approx((0.7, 0.75), abs=0.01)
    assert (region.y.min, region.y.max) == pytest.approx((0.3, 0.8), abs=0.01)
    page.keyboard.press("Escape")
    page.locator("#alarm", has_text="There is no board to disarm").wait_for()
    shot(page, "replay")
    audit(page)
    assert page.wrong == []
