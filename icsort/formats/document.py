# SPDX-License-Identifier: Apache-2.0
"""Typed files: pydantic models that are read and written whole, and whose every error is one line.

A model here is frozen and strict: no key that is unknown, no text for a number, no NaN.
"""

import json
import os
import tempfile
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from icsort.errors import IcsortError

Name = Annotated[str, StringConstraints(min_length=1)]
Sha256 = Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]
"""A sha256 in lower-case hexadecimal."""

SHOWN_INPUT = 40  # characters of a refused value that a message repeats


class Strict(BaseModel):
    """Base of all parts of a file."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)


class Document(Strict):
    """Base of what is a file of its own. `STATED`: keys that a file must state although code need not."""

    STATED: ClassVar[tuple[str, ...]] = ("format", "version")

    @classmethod
    def upgraded(cls, contents: dict[str, Any]) -> dict[str, Any]:
        """Contents of a file of an earlier version, as this one writes them; what is none comes back as it is. Raises
        IcsortError for one that is not what it states."""
        return contents

    def to_json(self) -> dict[str, Any]:
        """As in the file, the stated keys first."""
        plain = self.model_dump(mode="json")
        return {key: plain.pop(key) for key in self.STATED} | plain


D = TypeVar("D", bound=Document)
S = TypeVar("S", bound=Strict)


def read(kind: type[D], path: Path, remedy: str) -> D:
    """Read a file. Raises IcsortError, one line with file, key, what is allowed and `remedy`, for any that is none."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise IcsortError(f"{path}: cannot be read ({error.strerror}); {remedy}") from None
    with refusals(str(path), remedy):
        try:
            plain = json.loads(content)
        except (ValueError, RecursionError):
            plain = None  # pydantic says why
        if isinstance(plain, dict):
            try:
                upgraded = kind.upgraded(plain)
            except IcsortError as error:
                raise IcsortError(f"{path}: {error}; {remedy}") from None
            content = content if upgraded is plain else json.dumps(upgraded).encode()
        document = kind.model_validate_json(content)
        for key in kind.STATED:
            if key not in document.model_fields_set:
                raise IcsortError(f"{path}: {key} is missing; {remedy}")
        return document


def read_toml(kind: type[S], path: Path, remedy: str) -> S:
    """Read a TOML file. Raises IcsortError as `read`."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise IcsortError(f"{path}: cannot be read ({error.strerror}); {remedy}") from None
    except UnicodeDecodeError as error:
        raise IcsortError(f"{path}: not a TOML file ({error}); {remedy}") from None
    return parse_toml(kind, text, str(path), remedy)


def parse_toml(kind: type[S], text: str, where: str, remedy: str) -> S:
    """That of a TOML file's text. where: what messages begin with. Raises IcsortError as `read`."""
    try:
        plain = json.dumps(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise IcsortError(f"{where}: not a TOML file ({error}); {remedy}") from None
    except TypeError:
        raise IcsortError(f"{where}: dates and times have no place in it; {remedy}") from None
    with refusals(where, remedy):
        document = kind.model_validate_json(plain)
        for key in kind.STATED if issubclass(kind, Document) else ():
            if key not in document.model_fields_set:
                raise IcsortError(f"{where}: {key} is missing; {remedy}")
        return document


def write(document: Document, path: Path) -> None:
    """Write a file, whole or not at all. Raises OSError."""
    replace(path, json.dumps(document.to_json(), indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def replace(path: Path, text: str, mode: int = 0o644) -> None:
    """Write a text, line ends as they are, whole or not at all. mode: of the file. Raises OSError."""
    descriptor, temporary_name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    temporary = Path(temporary_name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.chmod(mode)
        temporary.replace(path)
    except BaseException:
        temporary.unlink()
        raise


@contextmanager
def refusals(where: str, remedy: str) -> Iterator[None]:
    """What pydantic refuses inside, as IcsortError: "where: key is value: it must ...; remedy"."""
    try:
        yield
    except ValidationError as error:
        raise IcsortError(f"{where}: {_first(error)}; {remedy}") from None


def _first(error: ValidationError) -> str:
    """One of the errors in words: that of a file's format or version, if there is one, explains all others."""
    errors = error.errors(include_url=False)
    chosen = min(errors, key=lambda found: (found["loc"] != ("format",), found["loc"] != ("version",)))
    key = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in chosen["loc"]).removeprefix(".")
    words = chosen["msg"].replace("Input should", "it must", 1).removeprefix("Value error, ")
    value = repr(chosen["input"])
    value = value if len(value) <= SHOWN_INPUT else f"{value[:SHOWN_INPUT]}..."
    match chosen["type"]:
        case "missing":
            return f"{key} is missing"
        case "extra_forbidden":
            return f"unknown key {key}"
        case "json_invalid":
            return f"not JSON ({words.removeprefix('Invalid JSON: ')})"
        case "too_short" | "too_long":
            limits = chosen["ctx"]
            least, most = limits.get("min_length"), limits.get("max_length")
            allowed = f"at most {most}" if least is None else f"at least {least}"
            return f"{key} has {limits['actual_length']} entries: it must have {allowed}"
        case "greater_than_equal" | "less_than_equal" if key == "version":
            (number,) = chosen["ctx"].values()
            return f"version is {value}, and this icsort reads version {number}"
        case "value_error":
            return f"{key}: {words}" if key else words
    return f"{key or 'the document'} is {value}: {words}"
