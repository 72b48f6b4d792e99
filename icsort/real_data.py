# SPDX-License-Identifier: Apache-2.0
"""Where real cells are: the folder that `ICSORT_DATA` names, else `shared/data` beside the checkout."""

import os
from pathlib import Path

DATA_VARIABLE = "ICSORT_DATA"


def real_data_folder() -> Path:
    """The folder of real cell images. It need not exist: who calls says what is done without it."""
    named = os.environ.get(DATA_VARIABLE)
    return Path(named) if named else Path(__file__).resolve().parents[2] / "shared" / "data"
