# SPDX-License-Identifier: Apache-2.0
"""Results: whole or not at all, and replaced only where asked, and only what icsort itself has made.

A folder of results holds a record, `.icsort.json`: what kind of result it is and which files icsort wrote. A file
that the record does not name is the user's, and a folder that holds one is never deleted.
"""

import errno
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from icsort.errors import IcsortError

RECORD_FILE = ".icsort.json"
FORMAT = "icsort-result"
VERSION = 1


@contextmanager
def result_folder(out: Path, kind: str, force: bool = False) -> Iterator[Path]:
    """A temporary folder beside `out` that is renamed to `out` when the block ends without an error.

    kind: the file by which this kind of result is known. `force` replaces an earlier result of this kind if all in it
    was made by icsort; any other existing path is refused, before the work begins. Raises IcsortError for that, and
    for a full disk or a folder that cannot be written.
    """
    out = out.resolve()
    check_target(out, kind, force)
    partial: Path | None = None
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{out.name}.partial-", dir=out.parent))
        partial.chmod(0o755)
        write_record(partial, kind, None)
        yield partial
        write_record(partial, kind, [path.relative_to(partial).as_posix() for path in _files(partial)])
        check_target(out, kind, force)
        if out.exists():
            replaced = Path(tempfile.mkdtemp(prefix=f".{out.name}.replaced-", dir=out.parent))
            out.rename(replaced / out.name)
            partial.rename(out)
            shutil.rmtree(replaced)
        else:
            partial.rename(out)
    except OSError as error:
        raise IcsortError(_reason(error, out)) from None
    finally:
        if partial is not None and partial.exists():
            shutil.rmtree(partial, ignore_errors=True)


@contextmanager
def result_path(out: Path, earlier: Callable[[Path], bool], force: bool = False) -> Iterator[Path]:
    """An empty file beside `out` that is renamed to `out` when the block ends without an error.

    earlier: whether a file is a result of this kind. `force` replaces one that is; any other existing path is refused,
    before the work begins. Raises IcsortError as `result_folder`.
    """
    out = out.resolve()
    _check_file(out, earlier, force)
    partial: Path | None = None
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=out.parent, prefix=f".{out.name}.partial-")
        os.close(descriptor)
        partial = Path(name)
        yield partial
        partial.chmod(0o644)
        _check_file(out, earlier, force)
        partial.replace(out)
    except OSError as error:
        raise IcsortError(_reason(error, out)) from None
    finally:
        if partial is not None:
            partial.unlink(missing_ok=True)


@contextmanager
def result_file(out: Path, head: str, force: bool = False) -> Iterator[TextIO]:
    """A text file, as `result_path`. head: what files of this kind begin with."""

    def earlier(path: Path) -> bool:
        with path.open(encoding="utf-8") as stream:
            return stream.read(len(head)) == head

    with result_path(out, earlier, force) as path, path.open("w", encoding="utf-8", newline="") as stream:
        yield stream


def _check_file(out: Path, earlier: Callable[[Path], bool], force: bool) -> None:
    if not out.exists():
        return
    try:
        replaceable = out.is_file() and earlier(out)
    except (OSError, ValueError):
        replaceable = False
    if not replaceable:
        raise IcsortError(f"{out}: exists and is not an earlier result of this command; choose another --out")
    if not force:
        raise IcsortError(f"{out}: exists already; choose another --out, or replace it with --force")


def work_folder(out: Path, kind: str, files: Sequence[str], force: bool = False) -> None:
    """Make `out` for a flow that fills it step by step with results, each with a record of its own, and with `files`.

    kind, force, errors: as in `result_folder`.
    """
    check_target(out, kind, force)
    try:
        if out.exists():
            shutil.rmtree(out)
        out.mkdir(parents=True)
        write_record(out, kind, files)
    except OSError as error:
        raise IcsortError(_reason(error, out)) from None


def planned_folder(out: Path, plan_file: str, plan: Any, kind: str) -> None:
    """A folder for work that an interruption may cut: made with its plan, or gone on with if its plan is the same.

    plan: what JSON can hold. kind: what the folder holds, for messages. Raises IcsortError for a folder with another
    plan, or with none, and for one that cannot be written.
    """
    path, wanted = out / plan_file, json.loads(json.dumps(plan))
    if path.is_file():
        try:
            known = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            raise IcsortError(f"{path}: cannot be read; choose another --out") from None
        if known != wanted:
            raise IcsortError(f"{out}: holds a {kind} of another plan or other cells; choose another --out")
        return
    if out.exists():
        raise IcsortError(f"{out}: exists and is no {kind}; choose another --out")
    with result_folder(out, plan_file) as folder:
        (folder / plan_file).write_text(json.dumps(wanted, indent=2) + "\n", encoding="utf-8")


def check_target(out: Path, kind: str, force: bool) -> None:
    """Refuse, before any work, an `out` that `result_folder` would refuse after it. Raises IcsortError."""
    if not out.exists():
        return
    record = read_record(out)
    if record is None or record["kind"] != kind:
        raise IcsortError(f"{out}: exists and is not an earlier result of this command; choose another --out")
    if not force:
        raise IcsortError(f"{out}: exists already; choose another --out, or replace it with --force")
    if (foreign := next(_foreign(out), None)) is not None:
        raise IcsortError(f"{out}: holds {foreign.relative_to(out)}, which icsort did not make; move it away first")


def write_record(folder: Path, kind: str, files: Sequence[str] | None) -> None:
    """Say of a folder that it is a result of this kind with these files (relative, with slashes).

    files: None for a folder that is not finished and holds nothing but what icsort writes.
    """
    record = {"format": FORMAT, "version": VERSION, "kind": kind, "files": None if files is None else sorted(files)}
    (folder / RECORD_FILE).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def read_record(folder: Path) -> dict[str, Any] | None:
    """The record of a folder; None for what is no result."""
    try:
        record = json.loads((folder / RECORD_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(record, dict) or record.get("format") != FORMAT or record.get("version") != VERSION:
        return None
    valid = isinstance(record.get("kind"), str) and isinstance(record.get("files"), list | None)
    return record if valid else None


def _foreign(result: Path) -> Iterator[Path]:
    """Files in a result, or in results inside it, that no record names."""
    record = read_record(result)
    assert record is not None
    if record["files"] is None:  # left by what was killed
        return iter(())
    own = {*record["files"], RECORD_FILE}

    def walk(folder: Path) -> Iterator[Path]:
        for path in sorted(folder.iterdir()):
            if path.relative_to(result).as_posix() in own:
                continue
            if path.is_symlink() or not path.is_dir():
                yield path
            elif read_record(path) is not None:
                yield from _foreign(path)
            else:
                yield from walk(path)

    return walk(result)


def _files(folder: Path) -> list[Path]:
    """All files under a folder but those of results inside it, which have records of their own."""
    files = []
    for path in folder.iterdir():
        if path.is_symlink() or not path.is_dir():
            files += [path] * (path.name != RECORD_FILE)
        elif read_record(path) is None:
            files += _files(path)
    return files


def _reason(error: OSError, out: Path) -> str:
    """A line for an error while `out` was made; one of another file, such as an input, is not blamed on it."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"{out.parent}: the disk is full; free some space or choose another --out"
    reason = error.strerror or str(error)
    named = error.filename
    if isinstance(named, str | os.PathLike):
        path = Path(os.path.abspath(named))  # noqa: PTH100 (resolve would follow links away from the folder)
        if not (path.is_relative_to(out.parent) or out.is_relative_to(path)):
            return f"{named}: {reason}"
    return f"{out}: cannot be written ({reason}); choose another --out"
