# SPDX-License-Identifier: Apache-2.0
"""A gate set from a file of another program: Gating-ML 2.0, a FlowJo workspace, a BD FACSDiva experiment.

FlowJo's and FACSDiva's populations become Gating-ML first, so that all are read in one way. What the gate engine cannot
hold is refused by its name, with what would fit. Nothing outside of the file is ever read: a document type in which XML
could declare entities ends the import.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree
from xml.parsers import expat

from icsort.errors import IcsortError
from icsort.formats.compile_gate import Board
from icsort.formats.diva import from_diva
from icsort.formats.flowjo import from_flowjo
from icsort.formats.gate_set import GateSet
from icsort.formats.gating_ml import gating
from icsort.formats.import_gating_ml import from_gating_ml
from icsort.formats.workspace import Converted

MAX_BYTES: Final = 2**26
FILES: Final = "a Gating-ML 2.0 file, a FlowJo workspace or a FACSDiva experiment"


@dataclass(frozen=True)
class Imported:
    """notes: lines on what the file says beyond its gates."""

    source: GateSet
    notes: tuple[str, ...]


def import_gates(
    path: Path,
    board: Board,
    *,
    sample: str | None = None,
    directions: Sequence[tuple[int, str]] = (),
    renamed: Mapping[str, str] | None = None,
) -> Imported:
    """Read a file for a board.

    sample: of a workspace or an experiment that has several. directions: outputs and the gates, by name, that go there;
    by default those that an export of icsort has, or else output 0 for the only gate that no other one names; of a
    workspace or an experiment, only what they need is read. renamed: values of the board by the file's names. Raises
    IcsortError, which names construct and gate, for what cannot be held.
    """
    where = str(path)
    root = _root(path)
    wanted = [name for _, name in directions]
    if root.tag == gating("Gating-ML"):
        if sample is not None:
            raise IcsortError(f"{where}: Gating-ML has no samples; leave --sample away")
        converted = Converted(root, ())
    elif root.tag == "Workspace":
        converted = from_flowjo(where, root, sample, wanted)
    elif root.tag == "bdfacs":
        converted = from_diva(where, root, sample, wanted)
    else:
        raise IcsortError(f"{where}: is XML of {root.tag}; give {FILES}")
    return Imported(from_gating_ml(where, converted.root, board, directions, renamed or {}), converted.notes)


class _DocumentTypeError(ValueError):
    """That of a file has more than a name."""


def _root(path: Path) -> ElementTree.Element:
    """The file's outermost element, with names as ElementTree has them. Raises IcsortError."""
    builder = ElementTree.TreeBuilder()
    parser = expat.ParserCreate(namespace_separator="}")
    parser.buffer_text = True

    def named(name: str) -> str:
        return "{" + name if "}" in name else name

    def start(name: str, attributes: dict[str, str]) -> None:
        builder.start(named(name), {named(key): value for key, value in attributes.items()})

    def document_type(name: str, system: str | None, public: str | None, inner: Any) -> None:
        if system is not None or public is not None or inner:  # FlowJo 9 gives the name alone
            raise _DocumentTypeError(name)

    parser.StartElementHandler = start
    parser.EndElementHandler = lambda name: builder.end(named(name))
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = document_type
    try:
        if path.stat().st_size > MAX_BYTES:
            raise IcsortError(f"{path}: is a file of more than {MAX_BYTES >> 20} MB, which no gates take")
        parser.Parse(path.read_bytes(), True)
    except OSError as error:
        raise IcsortError(f"{path}: cannot be read ({error.strerror}); give {FILES}") from None
    except (expat.ExpatError, LookupError, UnicodeError) as error:
        raise IcsortError(f"{path}: is no XML ({error}); give {FILES}") from None
    except _DocumentTypeError:
        raise IcsortError(
            f"{path}: is XML with a document type that declares something, which files of gates do not have"
        ) from None
    return builder.close()
