# SPDX-License-Identifier: Apache-2.0
"""Boards as data, a folder each: `board.json` has the clock, the part and its budget, the baud rate and the pins."""
