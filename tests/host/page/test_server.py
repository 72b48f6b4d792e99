# SPDX-License-Identifier: Apache-2.0
"""Who the page's server answers, and what it does to a board, which here is on a pseudo-terminal."""

import http.client
import itertools
import json
import math
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from icsort.errors import IcsortError
from icsort.formats import package as packages
from icsort.formats.gate_set import load, of_classes
from icsort.formats.package import Manifest
from icsort.host.page.server import FILES, STATIC, address
from icsort.host.session import connect
from tests.host.fake_board import FAULT, INTERLOCK, FakeBoard
from tests.host.page.cells import CELLS, CellBoard
from tests.host.page.conftest import Browser, Served
from tests.host.recordings import MODEL

Serve = Callable[..., Served]
AXIS = {"value": "Size (PI)", "scale": {"kind": "linear", "t": 1000.0}}
SIDES: dict[str, Any] = {
    "format": "icsort-gate-set", "version": 1, "scales": {"size": {"kind": "linear", "t": 1000.0}},
    "tests": [{
        "name": "region", "kind": "polygon", "x": {"value": "Size (Brightfield)", "scale": "size"},
        "y": {"value": "Size (PI)", "scale": "size"}, "corners": [[0.3, 0.3], [0.9, 0.3], [0.9, 0.9], [0.3, 0.9]],
    }],
    "gates": [{"name": "large", "all": ["region"]}], "directions": [{"output": 2, "gate": "large"}],
}  # fmt: skip

ROUND = [[0.5 + 0.3 * math.cos(turn), 0.5 + 0.3 * math.sin(turn)] for turn in (math.tau * n / 40 for n in range(40))]


@pytest.fixture
def flowing(board: FakeBoard, model: Manifest) -> Iterator[CellBoard]:
    with CellBoard(board, model) as cells:
        yield cells


@pytest.fixture
def served(serve: Serve, board: FakeBoard, flowing: CellBoard, package: Path, tmp_path: Path) -> Served:
    del flowing
    words = ("--port", board.port, "--model", str(package), "--gates", str(tmp_path / "gates.toml"))
    return serve(*words, "--image-every", "200")


def until(browser: Browser, holds: Callable[[dict[str, Any]], object], **view: Any) -> dict[str, Any]:
    """The first state of which that holds."""
    limit = time.monotonic() + 20
    while True:
        live = browser.post("/live", view)
        if holds(live):
            return live
        assert time.monotonic() < limit, {key: value for key, value in live.items() if key not in ("images", "history")}
        time.sleep(0.05)


def test_only_the_page_itself_is_answered(served: Served) -> None:
    browser = served.browser
    own = {"Host": browser.host}
    inside = Browser(browser.url).enter()
    cookie = {"Cookie": inside.cookie or ""}
    local = {**own, **cookie, "Origin": f"http://{browser.host}"}
    port = browser.host.partition(":")[2]
    refused = (
        (401, "GET", "/", own),
        (401, "GET", "/page.js", own),
        (401, "GET", "/?token=" + "x" * 43, own),
        (401, "POST", "/disarm", {**own, "Origin": f"http://{browser.host}"}),
        (401, "POST", "/live", {**own, "Origin": f"http://{browser.host}", "Cookie": f"icsort_{port}=guessed"}),
        (421, "GET", "/", {"Host": f"evil.example:{port}", **cookie}),
        (421, "GET", f"/?{browser.token}", {"Host": f"evil.example:{port}"}),
        (421, "GET", "/", {"Host": "127.0.0.1", **cookie}),
        (403, "POST", "/commit", {**local, "Origin": "http://evil.example"}),
        (403, "POST", "/commit", {**local, "Origin": "null"}),
        (403, "POST", "/commit", {**local, "Origin": f"https://{browser.host}"}),
        (403, "POST", "/disarm", {**own, **cookie}),
        (403, "GET", "/", {**local, "Origin": "http://evil.example"}),
        (403, "GET", "/", {**own, **cookie, "Sec-Fetch-Site": "cross-site"}),
        (403, "GET", f"/?{browser.token}", {**own, "Sec-Fetch-Site": "cross-site"}),
        (405, "GET", "/commit", local),
        (401, "POST", "/arm", {**own, "Origin": f"http://{browser.host}"}),
        (403, "POST", "/arm", {**local, "Origin": "http://evil.example"}),
        (403, "POST", "/ask_to_arm", {**own, **cookie}),
        *((404, "GET", path, local) for path in (
            "/../server.py", "/%2e%2e/server.py", "/..%2fserver.py", "/static/page.js", "//etc/passwd",
            "/uPlot.LICENSE", "/page.js/", "/openapi.json",
        )),
    )  # fmt: skip
    for code, method, path, headers in refused:
        status, _, content = browser.ask(method, path, {} if method == "POST" else None, headers)
        assert status == code, (method, path, headers, content)
        assert b"import" not in content
    assert browser.ask("POST", "/live", "x" * (1 << 20), local)[0] == 413
    assert inside.ask("GET", "/")[0] == 200
    assert Browser(f"http://localhost:{port}/?{browser.token}").enter().ask("GET", "/")[0] == 200


def test_what_a_browser_may_do_with_the_page(served: Served) -> None:
    browser = served.browser
    status, headers, content = browser.ask("GET", f"/?{browser.token}", headers={"Host": browser.host})
    assert (status, content) == (303, b"")
    assert headers["set-cookie"].endswith("; HttpOnly; SameSite=Strict; Path=/")
    assert browser.token.removeprefix("token=") not in headers["set-cookie"]
    browser.enter()
    for name, kind in FILES.items():
        status, headers, content = browser.ask("GET", "/" if name == "page.html" else f"/{name}")
        assert (status, content) == (200, (STATIC / name).read_bytes())
        assert headers["content-type"].startswith(kind)
        policy = headers["content-security-policy"]
        assert "default-src 'none'; script-src 'self'; style-src 'self';" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
    page = (STATIC / "page.html").read_text()
    assert "<script>" not in page
    assert "style=" not in page
    assert "http" not in page.replace("https://github.com", "")
    for name in ("page.js", "plot.js", "gates.js"):
        assert "innerHTML" not in (STATIC / name).read_text()


def named_script(model: Manifest, tmp_path: Path) -> tuple[Path, Manifest]:
    """A package whose first class is named as an element of a page."""
    plain = model.model_dump(exclude={"model_id"}) | {"classes": ("<script>alert(1)</script>", "S", "M")}
    named = Manifest.model_validate(plain)
    folder = tmp_path / "named"
    folder.mkdir()
    (folder / "model.onnx").write_bytes(MODEL)
    packages.save(named, folder)
    return folder, named


def test_a_class_named_script_is_a_name(serve: Serve, model: Manifest, tmp_path: Path) -> None:
    folder, named = named_script(model, tmp_path)
    with FakeBoard(named.model_id, named.network_id) as board:
        served = serve("--port", board.port, "--model", str(folder))
        browser = served.browser.enter()
        _, headers, content = browser.ask("POST", "/set_up", {})
        assert headers["content-type"] == "application/json"
        assert json.loads(content)["classes"][0] == "<script>alert(1)</script>"
        assert b"alert(1)" not in browser.ask("GET", "/")[2]
        assert served.end() == (0, "")


def test_what_is_asked_wrongly_is_refused_in_words(served: Served) -> None:
    browser = served.browser.enter()
    view = {"x": AXIS, "y": {**AXIS, "value": "nothing"}}
    until(browser, lambda live: live["events"]["kept"])
    assert browser.post("/live", view)["density"]["error"].startswith("the events have no 'nothing' now")
    for path, body, words in (
        ("/live", {"x": {**AXIS, "scale": {"kind": "cubic"}}}, "x.scale is"),
        ("/live", {"x": {**AXIS, "low": 1.0, "high": 0.0}}, "low must be below high"),
        ("/live", {"gate": 99}, "gate is 99"),
        ("/live", [], "the document"),
        ("/fit", {"value": "Size (PI)", "kind": "__import__"}, "kind is"),
        ("/preview", {"gates": {**SIDES, "gates": []}}, "gates.gates has 0 entries"),
        ("/preview", {"gates": {**SIDES, "tests": [{**SIDES["tests"][0], "x": {"value": "nothing"}}]}}, "no value"),
        ("/preview", {"gates": {**SIDES, "tests": [{**SIDES["tests"][0], "corners": ROUND}]}}, "more than the 16"),
    ):
        status, _, content = browser.ask("POST", path, body)
        assert status == 400
        assert words in json.loads(content)["error"], content


def test_the_page_shows_what_the_board_sends(served: Served, flowing: CellBoard) -> None:
    browser = served.browser.enter()
    set_up = browser.post("/set_up")
    assert set_up["classes"] == ["G1", "S", "M"]
    assert {"name": "posterior S", "unit": "", "axis": {"classes": ["S"]}} in set_up["values"]
    assert {"name": "Time", "unit": "cycles", "axis": None} in set_up["values"]
    live = until(
        browser,
        lambda live: live["events"]["kept"] > CELLS and len(live["history"]) > 1 and len(live["images"]) > 3,
        x={**AXIS, "value": "Size (Brightfield)"},
        y=AXIS,
        single={"value": "posterior G1", "scale": {"kind": "linear", "t": 1.0}},
    )
    assert live["known"]
    assert live["state"]["interlock"] == 1
    assert live["history"][-1]["events"] > 100
    assert sum(live["classes"]) == live["events"]["kept"] == live["events"]["seen"]
    assert live["density"]["events"] == live["histogram"]["events"] == live["events"]["kept"]
    assert live["latency"]["first pixel to decision"][2] == pytest.approx(51.89)
    assert {image["outcome"] for image in live["images"]} == {"rejected"}
    assert live["counters"]["ACCEPTED"] <= flowing.counters["ACCEPTED"]
    later = browser.post("/live", {"history": live["history"][-1]["number"], "images": live["images"][-1]["number"]})
    assert all(point["number"] > live["history"][-1]["number"] for point in later["history"])
    assert all(image["number"] > live["images"][-1]["number"] for image in later["images"])


def test_a_browser_that_was_away_gets_the_state_of_now(served: Served) -> None:
    """Nothing waits for it: the answer is as large and as young as that of one that asks all the time."""
    browser = served.browser.enter()
    until(browser, lambda live: live["events"]["kept"] > 500)
    time.sleep(3)
    live = browser.post("/live")
    assert time.time() - live["newest"] < 1
    assert live["age"] < 1
    assert len(live["images"]) <= 24


def test_committed_gates_count_as_the_preview_said(
    served: Served, board: FakeBoard, model: Manifest, tmp_path: Path
) -> None:
    browser = served.browser.enter()
    until(browser, lambda live: live["events"]["kept"] > CELLS)
    seen = browser.post("/preview", {"gates": SIDES})
    assert seen["events"] > CELLS
    expected = seen["gates"]["large"]["events"] / seen["events"]
    assert 0.1 < expected < 0.9
    done = browser.post("/commit", {"gates": SIDES, "revision": 0})
    assert (done["identity"], done["revision"]) == (seen["identity"], 1)
    assert load(tmp_path / "gates.toml").tests[0].name == "region"
    with connect(board.port) as sorter:
        sorter.check_gates(load(tmp_path / "gates.toml"), model)
    live = until(browser, lambda live: live["gates"] and live["gates"][0]["of"] > CELLS)
    assert live["gate"]["identity"] == done["identity"]
    assert live["gates"][0]["name"] == "large"
    assert live["gates"][0]["events"] / live["gates"][0]["of"] == pytest.approx(expected, abs=0.02)
    of_gate = browser.post("/live", {"x": AXIS, "y": AXIS, "gate": 0})["density"]["events"]
    assert 0 < of_gate < live["events"]["kept"]
    acts = [act["what"] for act in live["acts"]]
    assert any(what.startswith(f"gate set {done['identity']} of 1 gates in force") for what in acts)
    assert {act["who"] for act in live["acts"] if "of 1 gates" in act["what"]} == {"browser 1 at 127.0.0.1"}
    status, _, content = browser.ask("POST", "/commit", {"gates": SIDES, "revision": 0})
    assert (status, b"another browser has committed" in content) == (400, True)


def test_gates_stay_where_somebody_else_sorts(
    served: Served, board: FakeBoard, model: Manifest, tmp_path: Path
) -> None:
    browser = served.browser.enter()
    with connect(board.port) as other:
        other.set_gates(of_classes(("S",), 0.5), model)
        other.arm(model)
        status, _, content = browser.ask("POST", "/commit", {"gates": SIDES})
        assert status == 400
        assert b"has armed the board" in content
        assert not (tmp_path / "gates.toml").exists()
        assert board.armed
        other.disarm()


def test_the_page_disarms_what_another_program_armed(served: Served, board: FakeBoard, model: Manifest) -> None:
    browser = served.browser.enter()
    with connect(board.port) as other:
        other.set_gates(of_classes(("S",), 0.5), model)
        other.arm(model, heartbeat=30.0)
        live = until(browser, lambda live: live["state"].get("armed"))
        assert live["armed_by"] == other._transport.ask("armed")["by"]  # type: ignore[attr-defined]
        assert browser.post("/disarm") == {"confirmed": True}
        assert not board.armed
        with pytest.raises(IcsortError, match=r"icsort serve \(process \d+\) stopped it; arm again"):
            other.check_armed()
    live = until(browser, lambda live: live["known"] and not live["state"]["armed"] and live["armed_by"] is None)
    said = [(act["who"], act["what"]) for act in live["acts"]]
    assert ("browser 1 at 127.0.0.1", "disarmed") in said
    assert any("the board is armed" in what for _, what in said)


def test_a_disarm_waits_for_nobody(served: Served, board: FakeBoard, model: Manifest) -> None:
    """Neither for the turn of another program nor for plots that are asked for."""
    browser = served.browser.enter()
    with connect(board.port) as other:
        other.set_gates(of_classes(("S",), 0.5), model)
        other.arm(model, heartbeat=30.0)
        with other.turn():
            begun = time.monotonic()
            assert browser.post("/disarm") == {"confirmed": True}
            assert time.monotonic() - begun < 2
        assert not board.armed


def test_a_silent_board_and_a_lost_one_are_not_known(served: Served, board: FakeBoard, flowing: CellBoard) -> None:
    browser = served.browser.enter()
    until(browser, lambda live: live["known"])
    flowing.sends_statistics = False
    until(browser, lambda live: not live["known"] and live["age"] > 3)
    flowing.sends_statistics = True
    until(browser, lambda live: live["known"])
    board.unplug()
    live = until(browser, lambda live: live["lost"])
    assert "the port is gone" in live["lost"]
    assert not live["known"]
    status, _, content = browser.ask("POST", "/disarm", {})
    assert (status, b"no such port" in content) == (400, True)
    assert any("DISARM was not sent" in act["what"] for act in browser.post("/live")["acts"])


def test_faults_and_who_armed_are_in_the_log(serve: Serve, board: FakeBoard, package: Path) -> None:
    browser = serve("--port", board.port, "--model", str(package)).browser.enter()
    numbers = itertools.count(1)

    def told(state: int) -> None:
        number = next(numbers)
        board.put(board.statistics(number, number * 10**8, {}, state))

    until(browser, lambda live: told(INTERLOCK | 1) or live["state"].get("armed"))
    live = until(browser, lambda live: told(INTERLOCK | FAULT | 1 << 8) or live["faults"])
    said = [act["what"] for act in live["acts"]]
    assert f"fault: {live['faults'][0]}" in said
    assert "the board is disarmed, by its fault" in said


def test_addresses() -> None:
    assert address("8080") == ("127.0.0.1", 8080)
    assert address("lab:0") == ("lab", 0)
    assert address("[::1]:81") == ("::1", 81)
    for wrong in ("lab", "80x", "70000", "0.0.0.0:80", "[::]:80", ":80"):
        with pytest.raises(IcsortError, match=r"^--page .*; "):
            address(wrong)


def test_tls(serve: Serve, board: FakeBoard, package: Path, tmp_path: Path) -> None:
    other = tmp_path / "none.pem"
    other.write_text("no certificate")
    words = [sys.executable, "-m", "icsort", "serve", "--port", board.port, "--page", "0", "--model", str(package)]
    done = subprocess.run([*words, "--tls", str(other)], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "is no PEM file of a certificate and its key" in done.stderr
    pem = tmp_path / "page.pem"
    made = subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", pem, "-out", tmp_path / "c"),
            *("-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"),
        ],
        capture_output=True,
        check=False,
    )
    if made.returncode:
        pytest.skip("there is no openssl to make a certificate")
    pem.write_text(pem.read_text() + (tmp_path / "c").read_text())
    served = serve("--port", board.port, "--model", str(package), "--tls", str(pem))
    url = served.browser.url
    assert url.startswith("https://127.0.0.1:")
    context = ssl.create_default_context(cafile=str(tmp_path / "c"))
    connection = http.client.HTTPSConnection(served.browser.host, context=context, timeout=20)
    connection.request("GET", f"/?{served.browser.token}")
    answer = connection.getresponse()
    assert answer.status == 303
    assert "; Secure" in (answer.getheader("set-cookie") or "")
    connection.close()


SCHEDULE = 'mode = "purity"\n[directions.0]\ndelay_us = 700.0\npulse_us = 20.0\n'


@pytest.fixture
def arms(serve: Serve, board: FakeBoard, flowing: CellBoard, package: Path, model: Manifest, tmp_path: Path) -> Served:
    """A page that may arm, at a board with a gate set."""
    del flowing
    schedule = tmp_path / "schedule.toml"
    schedule.write_text(SCHEDULE)
    with connect(board.port) as other:
        other.set_gates(of_classes(("S",), 0.5), model)
    return serve("--port", board.port, "--model", str(package), "--schedule", str(schedule))


def refused(browser: Browser, path: str, body: Any) -> str:
    status, _, content = browser.ask("POST", path, body)
    assert status == 400, content
    return str(json.loads(content)["error"])


def test_a_page_without_a_schedule_does_not_arm(served: Served, board: FakeBoard) -> None:
    browser = served.browser.enter()
    assert browser.post("/set_up")["arms"] is False
    assert "only disarms" in refused(browser, "/ask_to_arm", {})
    assert "only disarms" in refused(browser, "/arm", {"ticket": "x"})
    assert not board.armed


def test_arming_takes_two_steps_of_one_browser(arms: Served, board: FakeBoard) -> None:
    browser = arms.browser.enter()
    other = Browser(browser.url).enter()
    assert browser.post("/set_up")["arms"] is True
    assert "begin again" in refused(browser, "/arm", {"ticket": "guessed"})
    step = browser.post("/ask_to_arm")
    assert step["schedule"].startswith("purity; direction 0 in 700 us ")
    assert "begin again" in refused(other, "/arm", {"ticket": step["ticket"]})  # and the step is none any more
    assert "begin again" in refused(browser, "/arm", {"ticket": step["ticket"]})
    step = browser.post("/ask_to_arm")
    browser.post("/disarm")
    assert "begin again" in refused(browser, "/arm", {"ticket": step["ticket"]})
    assert not board.armed
    step = browser.post("/ask_to_arm")
    assert browser.post("/arm", {"ticket": step["ticket"]}) == {"armed": True}
    assert board.armed
    assert "already" in refused(browser, "/arm", {"ticket": browser.post("/ask_to_arm")["ticket"]})
    assert other.post("/disarm") == {"confirmed": True}
    assert not board.armed
    live = until(browser, lambda live: any("stopped it" in act["what"] for act in live["acts"]) or not board.armed)
    assert any(act["what"].startswith("armed: purity") for act in live["acts"])


def test_a_gate_set_that_changed_between_the_steps(arms: Served, board: FakeBoard, model: Manifest) -> None:
    browser = arms.browser.enter()
    step = browser.post("/ask_to_arm")
    with connect(board.port) as other:
        other.set_gates(of_classes(("M",), 0.9), model)
    assert "the gate set has changed" in refused(browser, "/arm", {"ticket": step["ticket"]})
    assert not board.armed


def test_a_browser_that_falls_silent_disarms(arms: Served, board: FakeBoard) -> None:
    browser = arms.browser.enter()
    other = Browser(browser.url).enter()
    begun = time.monotonic()
    browser.post("/arm", {"ticket": browser.post("/ask_to_arm")["ticket"]})
    while time.monotonic() - begun < 4:  # longer than it may be silent
        browser.post("/live", {})
        assert board.armed
        time.sleep(0.2)
    begun = time.monotonic()
    live = until(other, lambda _: not board.armed)  # another one's questions keep nothing armed
    assert 2 < time.monotonic() - begun < 10
    assert any("is silent; what it armed is disarmed" in act["what"] for act in live["acts"])


def test_the_end_of_the_server_disarms(arms: Served, board: FakeBoard) -> None:
    browser = arms.browser.enter()
    browser.post("/arm", {"ticket": browser.post("/ask_to_arm")["ticket"]})
    assert arms.end() == (0, "")
    assert not board.armed


def test_a_board_that_another_program_armed_says_so(arms: Served, board: FakeBoard, model: Manifest) -> None:
    browser = arms.browser.enter()
    step = browser.post("/ask_to_arm")
    with connect(board.port) as other:
        other.arm(model, heartbeat=30.0)
        assert "armed" in refused(browser, "/arm", {"ticket": step["ticket"]})
        other.check_armed()
