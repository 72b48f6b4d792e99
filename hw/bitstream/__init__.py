# SPDX-License-Identifier: Apache-2.0
"""From a build and a board to a project folder that tools take, and with open ones to a bitstream."""
