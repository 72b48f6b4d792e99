# SPDX-License-Identifier: Apache-2.0
"""Which cells a network has seen, by their identities, so that no cell is tested by a network that it has taught.

Cells keep the part that they had where a training begins from another one or follows it, whatever their file is called
now and whichever classes, groups or cells were left out or counted as one.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from icsort.errors import IcsortError
from icsort.formats.package import CELLS_FILE
from icsort.quant.cells.splits import PARTS, TEST, TRAIN, VALIDATION

SEEN_FILE = CELLS_FILE
Identities = NDArray[np.uint64]


def _none() -> Identities:
    return np.empty(0, np.uint64)


@dataclass(frozen=True)
class Seen:
    """Identities of the cells of each part, and of those that taught the runs that this one began from or followed.

    Each (n,), as Dataset.identities has them; of a package, which nobody trains further, `test` is empty.
    """

    train: Identities = field(default_factory=_none)
    validation: Identities = field(default_factory=_none)
    test: Identities = field(default_factory=_none)
    earlier: Identities = field(default_factory=_none)

    @property
    def taught(self) -> Identities:
        """Those that weights were fitted to, here or before."""
        return np.union1d(self.train, self.earlier)

    def sha256(self) -> str:
        """Over all of them, and where each belongs."""
        digest = hashlib.sha256()
        for name, cells in vars(self).items():
            digest.update(f"{name} {len(cells)} ".encode())
            digest.update(cells.astype("<u8").tobytes())
        return digest.hexdigest()

    def write(self, path: Path) -> None:
        """Keep them in a file."""
        np.savez(path, **vars(self))

    def with_earlier(self, runs: "Sequence[Seen]") -> "Seen":
        """The same cells behind these runs: what taught them or chose their epochs, and has no part here."""
        before = [cells for run in runs for cells in (run.taught, run.validation)]
        own = np.concatenate([self.train, self.validation, self.test])
        earlier = np.setdiff1d(np.concatenate([self.earlier, *before]), own)
        return Seen(self.train, self.validation, self.test, earlier)


def read_seen(path: Path, sha256: str) -> Seen:
    """What `Seen.write` wrote. Raises IcsortError for a file that is missing, broken, or not the one of that sha256."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {part.name: stored[part.name] for part in fields(Seen)}
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise IcsortError(f"{path}: cannot be read ({error}); train or export again") from None
    if any(array.dtype != np.uint64 or array.ndim != 1 for array in arrays.values()):
        raise IcsortError(f"{path}: does not hold identities of cells; train or export again")
    seen = Seen(**arrays)
    if seen.sha256() != sha256:
        raise IcsortError(f"{path}: was changed since it was written; train or export again")
    return seen


def parts_had(identities: Identities, sources: Mapping[str, Seen]) -> NDArray[np.int64]:
    """The part (index into PARTS) that each of the cells (N,) had in the sources, -1 for none.

    sources: by the words for messages. A cell of whichever part here is a training cell if it taught a source's own
    source. Raises IcsortError for a cell that has two parts.
    """
    kept, by = np.full(len(identities), -1), np.full(len(identities), "", object)
    for name, seen in sources.items():
        had = np.full(len(identities), -1)
        for part, cells in ((TEST, seen.test), (VALIDATION, seen.validation), (TRAIN, seen.taught)):
            had[np.isin(identities, cells)] = part
        two = np.flatnonzero((kept >= 0) & (had >= 0) & (kept != had))
        if len(two):
            first = two[0]
            raise IcsortError(
                f"{name}: {len(two)} cells are in its {PARTS[had[first]]} part, but in another of {by[first]} (there "
                f"the first is in the {PARTS[kept[first]]} part); give runs that were split alike"
            )
        kept[had >= 0], by[had >= 0] = had[had >= 0], name
    return kept


def check_unseen(parts: Mapping[str, NDArray[np.int64]], kept: NDArray[np.int64]) -> None:
    """Raise IcsortError where a test cell was not one of a source's test cells, or a validation cell was trained on.

    kept: of `parts_had`.
    """
    for name, worst in (("test", VALIDATION), ("validation", TRAIN)):
        known = kept[parts[name]]
        taught = int(((known >= 0) & (known <= worst)).sum())
        if taught:
            raise IcsortError(
                f"{taught} {name} cells were seen in the training that --start, --teacher or --weights name; "
                "begin from another run, or split as it did"
            )
