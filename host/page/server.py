# SPDX-License-Identifier: Apache-2.0
"""The page's server: who may ask, and what is answered. docs/page.md has its rules.

starlette and uvicorn are imported by the functions that need them: they come with `icsort[page]`.
"""

import contextlib
import hmac
import json
import secrets
import socket
import ssl
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from icsort.errors import IcsortError, UnconfirmedError
from icsort.host.page.state import PageState

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp, Receive, Scope, Send

    from icsort.host.page.arming import Arming
    from icsort.host.page.gates import GateDesk

LOOPBACK: Final = "127.0.0.1"
LOCAL: Final = frozenset(("127.0.0.1", "localhost", "::1"))
EVERYWHERE: Final = frozenset(("0.0.0.0", "::", ""))
MOST_BYTES: Final = 1 << 20
"""Of a request."""
STATIC: Final = Path(__file__).with_name("static")
FILES: Final = {
    "page.html": "text/html",
    "page.css": "text/css",
    "page.js": "text/javascript",
    "plot.js": "text/javascript",
    "gates.js": "text/javascript",
    "uPlot.iife.min.js": "text/javascript",
    "uPlot.min.css": "text/css",
}
"""All that is served of the folder; nothing else has a path."""
HEADERS: Final = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
THREADS: Final = 8
"""That answer requests of one kind at a time."""
END_SECONDS: Final = 10.0


class Page:
    """What the page may ask for.

    disarm: by the path that waits for nobody; raises UnconfirmedError where nobody could hear it. None: there is no
    board. arming: None where the page only disarms.
    """

    def __init__(
        self,
        state: PageState,
        desk: "GateDesk",
        disarm: Callable[[], None] | None,
        arming: "Arming | None" = None,
    ) -> None:
        self.state = state
        self.desk = desk
        self._disarm = disarm
        self._arming = arming

    def live(self, body: bytes, who: str) -> dict[str, Any]:
        """The state of this moment."""
        from icsort.formats.page_request import View

        if self._arming is not None:
            self._arming.see(who)
        return self.state.live_json(_asked(View, body)) | {"revision": self.desk.revision}

    def set_up(self, body: bytes, who: str) -> dict[str, Any]:
        """What changes seldom, and the gate set."""
        del body
        document = self.state.set_up_json()
        for value in document["values"]:
            value["axis"] = self.desk.axis(value["name"])
        return document | {"desk": self.desk.to_json(), "who": who, "arms": self._arming is not None}

    def fit(self, body: bytes, who: str) -> dict[str, Any]:
        """An axis that shows all of a value."""
        from icsort.formats.page_request import Fit
        from icsort.host.page import view

        del who
        asked = _asked(Fit, body)
        scale, low, high = view.fitted(asked.kind, view.column(self.state.kept.last(), asked.value))
        return {"value": asked.value, "scale": scale.model_dump(mode="json"), "low": low, "high": high}

    def preview(self, body: bytes, who: str) -> dict[str, Any]:
        """What a gate set would make of the last events."""
        from icsort.formats.page_request import Drawn

        del who
        return self.desk.preview(_asked(Drawn, body), self.state.kept)

    def commit(self, body: bytes, who: str) -> dict[str, Any]:
        """Put a gate set in force and save it."""
        from icsort.formats.page_request import Drawn

        drawn = _asked(Drawn, body)
        try:
            done = self.desk.commit(drawn)
        except IcsortError as error:
            self.state.acts.add(who, f"gates refused: {error}", grave=True)
            raise
        finally:
            self.state.asks_gate = True
        number = len(drawn.gates.gates)
        where = "in force" if done["serial"] is not None else "saved"
        self.state.acts.add(who, f"gate set {done['identity']} of {number} gates {where}, {self.desk.file}")
        return done

    def ask_to_arm(self, body: bytes, who: str) -> dict[str, Any]:
        """The first of two steps: what would be armed."""
        del body
        return self._arms().ask(who)

    def arm(self, body: bytes, who: str) -> dict[str, Any]:
        """The second one."""
        from icsort.formats.page_request import Armed

        asked = _asked(Armed, body)
        arming = self._arms()
        arming.see(who)
        arming.arm(asked.ticket, who)
        return {"armed": True}

    def _arms(self) -> "Arming":
        if self._arming is None:
            raise IcsortError("this page only disarms; `icsort serve --schedule FILE` lets it arm")
        return self._arming

    def disarm(self, body: bytes, who: str) -> dict[str, Any]:
        """Stop sorting, whatever else is under way."""
        del body
        if self._arming is not None:
            self._arming.stop()
        if self._disarm is None:
            return {"confirmed": True}
        try:
            self._disarm()
        except UnconfirmedError as error:
            self.state.acts.add(who, str(error), grave=True)
            return {"confirmed": False}
        except IcsortError as error:
            self.state.acts.add(who, f"DISARM was not sent: {error}", grave=True)
            raise
        self.state.acts.add(who, "disarmed", grave=True)
        return {"confirmed": True}


def _asked(kind: Any, body: bytes) -> Any:
    """Raises IcsortError for what is none."""
    from icsort.formats.document import refusals

    with refusals("the page", "load it again"):
        return kind.model_validate_json(body)


class Guard:
    """Lets through whom the token let in, from the page itself, by a name of this server; nobody else.

    hosts: names and ports by which browsers may know it. scheme: http or https.
    """

    def __init__(self, app: "ASGIApp", hosts: frozenset[str], scheme: str, token: str) -> None:
        self._app = app
        self._hosts = hosts
        self._origins = {f"{scheme}://{host}" for host in hosts}
        self._token = token.encode()
        self._cookie = f"icsort_{next(iter(hosts)).rpartition(':')[2]}"
        self._secure = "; Secure" if scheme == "https" else ""
        self._browsers: dict[str, str] = {}

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        from starlette.requests import Request
        from starlette.responses import PlainTextResponse, RedirectResponse

        if scope["type"] != "http":
            return
        request = Request(scope)
        refused = self._refused(request)
        if refused is None and (given := request.query_params.get("token")) is not None and request.method == "GET":
            if hmac.compare_digest(given.encode(), self._token):
                entered = RedirectResponse("/", 303, HEADERS)
                kept = f"{self._cookie}={self._admit(request)}"
                entered.headers["set-cookie"] = f"{kept}; HttpOnly; SameSite=Strict; Path=/{self._secure}"
                await entered(scope, receive, send)
                return
            refused = 401, "the token is not that of this run"
        who = self._browsers.get(request.cookies.get(self._cookie, ""))
        if refused is None and who is None:
            refused = 401, "open the address that `icsort serve --page` printed: it has the token of this run"
        if refused is not None:
            code, why = refused
            await PlainTextResponse(f"icsort: refused: {why}\n", code, HEADERS)(scope, receive, send)
            return
        scope["who"] = who
        await self._app(scope, receive, send)

    def _refused(self, request: "Request") -> tuple[int, str] | None:
        """Code and reason, where a request comes by another name, or from a page of somebody else."""
        headers = request.headers
        if headers.getlist("host") != [headers.get("host", "")] or headers.get("host", "") not in self._hosts:
            return 421, "this server has another name"
        origin = headers.get("origin")
        if origin not in self._origins and (origin is not None or request.method not in ("GET", "HEAD")):
            return 403, "the request comes from another page"
        if headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
            return 403, "the request comes from another page"
        return None

    def _admit(self, request: "Request") -> str:
        """The cookie of a browser that has the token."""
        cookie = secrets.token_urlsafe(32)
        client = request.client.host if request.client else "?"
        self._browsers[cookie] = f"browser {len(self._browsers) + 1} at {client}"
        return cookie


def app(page: Page, hosts: frozenset[str], scheme: str, token: str) -> "Guard":
    """The whole server as an ASGI application."""
    from anyio import CapacityLimiter, to_thread
    from starlette.applications import Starlette
    from starlette.responses import JSONResponse, Response
    from starlette.routing import Route

    def file(name: str) -> Callable[["Request"], Awaitable["Response"]]:
        content = (STATIC / name).read_bytes()

        async def answer(request: "Request") -> "Response":
            del request
            return Response(content, media_type=FILES[name], headers=HEADERS)

        return answer

    def ask(act: Callable[[bytes, str], dict[str, Any]]) -> Callable[["Request"], Awaitable["Response"]]:
        threads = CapacityLimiter(THREADS)  # of each act its own: a disarm never waits for a plot

        async def answer(request: "Request") -> "Response":
            body = b""
            async for part in request.stream():
                body += part
                if len(body) > MOST_BYTES:
                    return JSONResponse({"error": "the request is too long"}, 413, HEADERS)
            try:
                done = await to_thread.run_sync(act, body, request.scope["who"], limiter=threads)
            except IcsortError as error:
                return JSONResponse({"error": str(error)}, 400, HEADERS)
            return Response(json.dumps(done), media_type="application/json", headers=HEADERS)

        return answer

    asked = (page.live, page.set_up, page.fit, page.preview, page.commit, page.ask_to_arm, page.arm, page.disarm)
    acts = {act.__name__: act for act in asked}
    routes = [Route("/", file("page.html"))]
    routes += [Route(f"/{name}", file(name)) for name in FILES if name != "page.html"]
    routes += [Route(f"/{name}", ask(act), methods=["POST"]) for name, act in acts.items()]
    inside = Starlette(routes=routes)
    inside.router.redirect_slashes = False  # what is not here is nowhere else
    return Guard(inside, hosts, scheme, token)


def address(text: str) -> tuple[str, int]:
    """Host and port of `--page [HOST:]PORT`. Raises IcsortError for what is none."""
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]") if colon else LOOPBACK
    if not port.isdecimal() or int(port) > 65535:
        raise IcsortError(f"--page {text}: give PORT or HOST:PORT, as 8080; 0 takes any port that is free")
    if host in EVERYWHERE:
        raise IcsortError(
            f"--page {text}: give the one name or address by which browsers reach this machine; no other is answered"
        )
    return host, int(port)


@contextlib.contextmanager
def serving(page: Page, host: str, port: int, tls: Path | None) -> Iterator[str]:
    """Serve the page in this block, in a thread. Gives the address to open, with the token of this run.

    tls: PEM file of a certificate and its key; None: without. Raises IcsortError where the port cannot be had, or the
    file is none.
    """
    import uvicorn

    scheme = "http" if tls is None else "https"
    if tls is not None:
        _check_tls(tls)
    listener = _listener(host, port)
    port = listener.getsockname()[1]
    names = LOCAL if host in LOCAL else {host}
    hosts = frozenset(f"[{name}]:{port}" if ":" in name else f"{name}:{port}" for name in names)
    token = secrets.token_urlsafe(32)
    config = uvicorn.Config(
        app(page, hosts, scheme, token),
        log_level="critical",
        access_log=False,
        lifespan="off",
        ws="none",
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=1,
        ssl_certfile=tls,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],), name="icsort page", daemon=True)
    thread.start()
    try:
        yield f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}/?token={token}"
    finally:
        server.should_exit = True
        thread.join(END_SECONDS)
        listener.close()


def _listener(host: str, port: int) -> socket.socket:
    try:
        family, _, _, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(where)
        listener.listen()  # from here on browsers wait rather than being refused
    except OSError as error:
        raise IcsortError(
            f"--page: {host} port {port} cannot be had ({error.strerror or error}); give another port, or 0 for any"
        ) from None
    return listener


def _check_tls(file: Path) -> None:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(file)
    except OSError as error:  # ssl.SSLError is one
        raise IcsortError(
            f"{file}: is no PEM file of a certificate and its key ({error.strerror or error.args[-1]})"
        ) from None
