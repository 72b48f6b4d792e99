# SPDX-License-Identifier: Apache-2.0
"""`python -m host` is the `icsort` command."""

from host.cli import main

main()
