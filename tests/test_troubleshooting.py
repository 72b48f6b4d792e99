# SPDX-License-Identifier: Apache-2.0
"""Each message of docs/troubleshooting.md is one of the code's, and its exit codes are those of the commands."""

import ast
import re
from pathlib import Path

import pytest

from icsort.errors import IcsortError, UnconfirmedError

REPOSITORY = Path(__file__).parent.parent
PAGE = (REPOSITORY / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
ANY = "…"
# First column of the tables of messages; exit codes are numbers.
MESSAGES = [cell.strip("`") for cell in re.findall(r"^\| (`.*`) \|.*\|.*\|$", PAGE, flags=re.MULTILINE)]


def texts(node: ast.AST) -> str:
    """A string, or one whose inserted values are ANY."""
    if isinstance(node, ast.JoinedStr):
        return "".join(texts(part) for part in node.values)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ANY


@pytest.fixture(scope="module")
def said() -> str:
    """All strings of the code but those that only describe it, one a line."""
    folders = ("boards", "host", "hw", "icsort", "quant", "sim")
    strings = set()
    for path in (path for folder in folders for path in (REPOSITORY / folder).rglob("*.py")):
        nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
        described = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
        strings |= {
            texts(node)
            for node in nodes
            if isinstance(node, ast.Constant | ast.JoinedStr) and id(node) not in described
        }
    return "\n".join(strings)


def test_there_are_messages() -> None:
    assert len(MESSAGES) > 50
    assert len(set(MESSAGES)) == len(MESSAGES)


@pytest.mark.parametrize("message", MESSAGES)
def test_each_message_is_said(said: str, message: str) -> None:
    """Literally but for what is inserted: what stands between two such places is one piece of one string."""
    pattern = r"[^\n]*?".join(map(re.escape, message.split(ANY)))
    assert re.search(pattern, said), f"no code says: {message}"


def test_exit_codes() -> None:
    codes = re.findall(r"^\| (\d) \|", PAGE, flags=re.MULTILINE)
    assert codes == ["0", "1", str(IcsortError.exit_code), str(UnconfirmedError.exit_code)]
