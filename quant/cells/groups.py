# SPDX-License-Identifier: Apache-2.0
"""Which cells belong together (one plate, well, donor or day), read from their file names or from a table."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from icsort.errors import IcsortError

NO_GROUPS = "none"


def group_cells(names: Sequence[str], rule: str, parameters: pd.DataFrame | None = None) -> NDArray[np.str_] | None:
    """The group of each cell, (N,) strings; None where the rule is "none".

    names: of the cells, as `Dataset.names` has them. rule: the path of a table with the columns name and group
    (separated by comma, semicolon or tab), or a regular expression that is searched in each name: its groups, joined by
    a slash, are the cell's group. parameters: a table that the cells come with, a row each, whose columns may be named
    instead, joined by a plus: plate+well. Raises IcsortError for a cell without a group.
    """
    if rule == NO_GROUPS:
        return None
    columns = [name.strip() for name in rule.split("+")]
    if parameters is not None and set(columns) <= set(parameters.columns):
        rows = parameters[columns].fillna("").astype(str).itertuples(index=False)
        groups = ["/".join(row) if all(row) else "" for row in rows]
    else:
        groups = _from_table(names, Path(rule)) if Path(rule).is_file() else _from_pattern(names, rule)
    lacking = [name for name, group in zip(names, groups, strict=True) if not group]
    if lacking or not names:
        named = f"{len(lacking)} of {len(names)} cells (first {lacking[0]})" if lacking else "cells without a name"
        raise IcsortError(f"--group-by {rule}: gives no group for {named}; correct it, or give --group-by {NO_GROUPS}")
    return np.asarray(groups)


def _from_pattern(names: Sequence[str], rule: str) -> list[str]:
    try:
        pattern = re.compile(rule)
    except re.error as error:
        raise IcsortError(
            f"--group-by {rule}: is neither a table that is there nor a regular expression ({error})"
        ) from None
    if pattern.groups == 0:
        raise IcsortError(f"--group-by {rule}: has no group in parentheses; write one around what names the group")
    return ["/".join(match.groups(default="")) if (match := pattern.search(name)) else "" for name in names]


def _from_table(names: Sequence[str], path: Path) -> list[str]:
    try:
        table = pd.read_csv(path, sep="[,;\t]", engine="python", dtype=str, keep_default_na=False)
    except (ValueError, OSError) as error:
        raise IcsortError(f"{path}: cannot be read as a table ({str(error).splitlines()[0]})") from None
    if not {"name", "group"} <= set(table.columns):
        raise IcsortError(f"{path}: needs the columns name and group; it has {', '.join(map(str, table.columns))}")
    table["name"] = table["name"].str.replace("\\", "/", regex=False)
    if table["name"].duplicated().any():
        twice = table["name"][table["name"].duplicated()].iloc[0]
        raise IcsortError(f"{path}: names {twice} twice; give each cell one group")
    group_of = dict(zip(table["name"], table["group"], strict=True))
    return [group_of.get(name, "") for name in names]
