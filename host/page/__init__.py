# SPDX-License-Identifier: Apache-2.0
"""The page of `icsort serve --page`: what the board does, plots of its events, gates that are drawn on them."""
