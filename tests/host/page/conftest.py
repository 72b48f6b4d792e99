# SPDX-License-Identifier: Apache-2.0
"""`icsort serve --page` as a program of its own, and a browser's requests to it."""

import http.client
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.host.fake_board import FakeBoard


class Browser:
    """Asks a page's server. url: with the token."""

    def __init__(self, url: str) -> None:
        self.url = url
        parts = urlsplit(url)
        self.host = parts.netloc
        self.token = parts.query
        self.cookie: str | None = None

    def ask(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and content of an answer. headers: None as of the page itself."""
        own = {"Host": self.host, "Origin": f"http://{self.host}"} | ({"Cookie": self.cookie} if self.cookie else {})
        with closing(http.client.HTTPConnection(self.host, timeout=20)) as connection:
            connection.request(
                method, path, None if body is None else json.dumps(body), own if headers is None else headers
            )
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()

    def enter(self) -> "Browser":
        """With the token."""
        status, headers, _ = self.ask("GET", f"/?{self.token}", headers={"Host": self.host})
        assert (status, headers["location"]) == (303, "/")
        self.cookie = headers["set-cookie"].partition(";")[0]
        return self

    def post(self, path: str, body: Any = None) -> dict[str, Any]:
        """What it answers. Raises AssertionError where it refuses, with the reason."""
        status, _, content = self.ask("POST", path, {} if body is None else body)
        assert status == 200, content
        return dict(json.loads(content))


class Served:
    """`icsort serve` with these words, and what it prints."""

    def __init__(self, *words: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "icsort", "serve", "--json", "--page", "0", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.browser = Browser(self._said("page"))
        if "--port" in words:
            self._said("port")  # from here on it lives through what happens to the port

    def _said(self, key: str) -> str:
        """What it says next of that."""
        assert self.process.stdout is not None
        while line := self.process.stdout.readline():
            if key in (document := json.loads(line)):
                return str(document[key])
        raise AssertionError(self.process.communicate()[1])

    def end(self) -> tuple[int, str]:
        """By Ctrl-C. Returns the exit code, and what it said of errors."""
        self.process.terminate()
        _, errors = self.process.communicate(timeout=20)
        return self.process.returncode, errors


@pytest.fixture
def serve(board: FakeBoard, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Served]]:
    """Starts `icsort serve --page` with these words; it is ended behind the test, and must end well."""
    del board  # which is to outlive it
    for name in ("starlette", "uvicorn"):
        pytest.importorskip(name, reason=f"{name} is not here: pip install 'icsort[page]'")
    started: list[Served] = []
    with tempfile.TemporaryDirectory(prefix="icsort") as runtime:  # a socket's path is short
        monkeypatch.setenv("XDG_RUNTIME_DIR", runtime)

        def start(*words: str) -> Served:
            started.append(Served(*words))
            return started[-1]

        yield start
        for served in started:
            if served.process.poll() is None:
                assert served.end() == (0, "")
