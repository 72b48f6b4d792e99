# SPDX-License-Identifier: Apache-2.0
"""The one error that users see: a line that says what is wrong and what to do."""


class IcsortError(Exception):
    """Bad input, a missing tool or a refusing board.

    The command line prints the message as one line and exits with 2; library callers catch it. The message names
    the thing at fault (file, layer, port, register) and the remedy.
    """

    exit_code = 2


class UnconfirmedError(IcsortError):
    """DISARM was sent, and nobody knows whether the board took it; the command line exits with 3."""

    exit_code = 3
