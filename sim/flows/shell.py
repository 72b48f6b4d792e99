# SPDX-License-Identifier: Apache-2.0
"""Commands that run other `icsort` commands, as a user would type them."""

import shlex
import subprocess
import sys
from dataclasses import dataclass, field
from typing import TextIO

from icsort.errors import IcsortError


@dataclass
class Shell:
    """Runs `icsort` and remembers what was called, as a user would type it. output: where it is shown."""

    output: TextIO = field(default_factory=lambda: sys.stdout)
    commands: list[str] = field(default_factory=list)

    def say(self, text: str) -> None:
        """Show a line."""
        print(text, file=self.output, flush=True)

    def note(self, command: str) -> None:
        """Remember and show a command."""
        self.commands.append(command)
        self.say(f"\n$ {command}")

    def icsort(self, *words: object, show: bool = True) -> str:
        """Run `icsort` with these words; returns, and shows, its standard output. Raises IcsortError where it fails."""
        arguments = [str(word) for word in words]
        self.note(shlex.join(["icsort", *arguments]))
        done = subprocess.run(
            [sys.executable, "-m", "icsort", *arguments], stdout=subprocess.PIPE, text=True, check=False
        )
        if show or done.returncode:
            print(done.stdout, end="", file=self.output, flush=True)
        if done.returncode:
            raise IcsortError(f"`{self.commands[-1]}` ended with code {done.returncode}; what it said stands above")
        return done.stdout
