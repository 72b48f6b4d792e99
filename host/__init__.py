# SPDX-License-Identifier: Apache-2.0
"""The host: the `icsort` command, the link's protocol, a board as an object. Needs neither torch nor FINN."""
