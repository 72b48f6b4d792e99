# SPDX-License-Identifier: Apache-2.0
"""The state of an unfinished training, written after each epoch, so that a killed one goes on to the same weights."""

import errno
import io
import os
import shutil
from pathlib import Path
from typing import Any

import torch

from icsort.errors import IcsortError
from icsort.output import write_record
from icsort.quant.networks.stored import load_stored

STATE_FILE = "state.pt"


class Checkpoint:
    """The folder `.NAME.training` beside the run folder `out`, with the state of the last epoch that ended."""

    def __init__(self, out: Path) -> None:
        out = out.resolve()
        self.folder = out.parent / f".{out.name}.training"
        self.out = out

    def begin(self, resume: bool, force: bool) -> dict[str, Any] | None:
        """The state to go on from, None at the start.

        Raises IcsortError for a training that was left there and is neither resumed nor (`force`) thrown away, for
        nothing to resume, and for a state that cannot be read.
        """
        path = self.folder / STATE_FILE
        if resume:
            if not path.is_file():
                raise IcsortError(f"{self.out}: there is no unfinished training to resume; leave --resume out")
            state: dict[str, Any] = load_stored(path, "start again with --force")
            return state
        if path.is_file() and not force:
            raise IcsortError(
                f"{self.out}: a training was left unfinished; go on with --resume, or start again with --force"
            )
        self.discard()
        return None

    def write(self, state: dict[str, Any]) -> None:
        """Replace the state as a whole. Raises IcsortError for a full disk, and leaves the earlier state intact.

        state: tensors, numbers, text, and lists and dictionaries of these: what is read without running code.
        """
        content = io.BytesIO()  # torch's own writer turns a full disk into an error of its own
        torch.save(state, content)
        partial = self.folder / f"{STATE_FILE}.partial"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_record(self.folder, "training", None)
            with partial.open("wb") as stream:
                stream.write(content.getbuffer())
                stream.flush()
                os.fsync(stream.fileno())
            partial.replace(self.folder / STATE_FILE)
        except OSError as error:
            partial.unlink(missing_ok=True)
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            reason = "the disk is full" if full else f"cannot be written ({error.strerror})"
            raise IcsortError(
                f"{self.folder}: {reason}; the state of the epoch before is kept: make room and go on with --resume"
            ) from None

    def discard(self) -> None:
        """Remove the folder."""
        if self.folder.is_dir():
            shutil.rmtree(self.folder)
