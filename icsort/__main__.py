# SPDX-License-Identifier: Apache-2.0
"""`python -m icsort` is the `icsort` command."""

from icsort.cli.root import main

main()
