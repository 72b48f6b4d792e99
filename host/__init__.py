# SPDX-License-Identifier: Apache-2.0
"""The host: the `icsort` command, the link's protocol, and a board as an object. Runs on a lab PC without torch or FINN."""
