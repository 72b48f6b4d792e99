# SPDX-License-Identifier: Apache-2.0
"""Result folders that appear whole or not at all."""

import errno
import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from icsort.errors import IcsortError


@contextmanager
def result_folder(out: Path, marker: str, force: bool = False) -> Iterator[Path]:
    """A temporary folder beside `out` that is renamed to `out` when the block ends without an error.

    marker: a file that earlier results of this kind hold. `force` replaces a folder with that file; any other existing
    path is refused, before the work begins. Raises IcsortError for that, and for a full disk or a folder that cannot be
    written.
    """
    out = out.resolve()
    check_target(out, marker, force)
    partial: Path | None = None
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{out.name}.partial-", dir=out.parent))
        partial.chmod(0o755)
        yield partial
        check_target(out, marker, force)
        if out.exists():
            replaced = Path(tempfile.mkdtemp(prefix=f".{out.name}.replaced-", dir=out.parent))
            out.rename(replaced / out.name)
            partial.rename(out)
            shutil.rmtree(replaced)
        else:
            partial.rename(out)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise IcsortError(f"{out.parent}: the disk is full; free some space or choose another --out") from None
        raise IcsortError(f"{out}: cannot be written ({error.strerror or error}); choose another --out") from None
    finally:
        if partial is not None and partial.exists():
            shutil.rmtree(partial, ignore_errors=True)


def check_target(out: Path, marker: str, force: bool) -> None:
    """Refuse, before any work, an `out` that `result_folder` would refuse after it. Raises IcsortError."""
    if not out.exists():
        return
    if not (out.is_dir() and (out / marker).is_file()):
        raise IcsortError(f"{out}: exists and is not an earlier result of this command; choose another --out")
    if not force:
        raise IcsortError(f"{out}: exists already; choose another --out, or replace it with --force")


def planned_folder(out: Path, plan_file: str, plan: Any, kind: str) -> None:
    """A folder for work that an interruption may cut: made with its plan, or gone on with if its plan is the same.

    plan: what JSON can hold. kind: what the folder holds, for messages. Raises IcsortError for a folder with another
    plan, or with none.
    """
    path, wanted = out / plan_file, json.loads(json.dumps(plan))
    if path.is_file():
        if json.loads(path.read_text(encoding="utf-8")) != wanted:
            raise IcsortError(f"{out}: holds a {kind} of another plan or other cells; choose another --out")
        return
    if out.exists():
        raise IcsortError(f"{out}: exists and is no {kind}; choose another --out")
    out.mkdir(parents=True)
    path.write_text(json.dumps(wanted, indent=2) + "\n", encoding="utf-8")
