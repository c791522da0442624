"""The stage of the demo: runs real programs in its folder, says what they said, and insists on the outcome.

The law of this file: a step that does not happen, or a refusal that does not
come with exactly its code and exit status, ends the demo with an error. Every
command is kept, so that whoever explores the folder can repeat it.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from trustkit.cli.escape import line
from trustkit.errors import VerificationError

TIMEOUT_SECONDS = 50
"""Longest that one command of the demo may take."""

COMMANDS = "COMMANDS.txt"
"""Where every command is kept whole."""

_CODE = re.compile(r"\[([a-z0-9-]+)\]\s*$", re.MULTILINE)
_MODULES = {
    "trustkit": "trustkit",
    "trustkit-admission": "admission",
    "trustkit-broker": "trustkit.broker",
    "trustkit-sidecar": "trustkit.sidecar",
    "trustkit-store": "trustkit.store",
}


@dataclass(frozen=True, slots=True)
class Ran:
    """A command that ended: its exit status, its code if it refused, and what it printed."""

    status: int
    code: str
    out: str
    err: str


@dataclass(slots=True)
class Stage:
    """Where the demo happens.

    Attributes:
        folder: Where every file goes; commands run in it.
        say: Prints one line for people.
        environ: Environment of the programs.
        colour: Whether lines may be coloured.
        width: How much of a command is shown (characters).
        commands: Every command so far, as a person would type it, under its scene.
        proven: What was shown, for the summary: (scene, what, exit status and code).
    """

    folder: Path
    say: Callable[[str], None]
    environ: dict[str, str]
    colour: bool = False
    width: int = 150
    commands: list[str] = field(default_factory=list)
    proven: list[tuple[str, str, str]] = field(default_factory=list)
    _scene: str = ""
    _number: int = 0
    _started: float = 0.0

    def scene(self, title: str) -> None:
        """Begin a numbered step."""
        self._number += 1
        self._scene = title
        self._started = time.monotonic()
        self.commands.append(f"\n# {self._number}. {title}")
        self.say("")
        self.say(self._painted(f"{self._number:2}  {title}", "1"))

    def note(self, text: str) -> None:
        """Say one line below the step."""
        self.say(f"    {line(text)}")

    def show(self, what: str, outcome: str = "ok") -> None:
        """Say that something was proven, and keep it for the summary."""
        self.proven.append((self._scene, what, outcome))
        told = "" if outcome == "ok" else self._painted(f"  refused: {outcome}", "33")
        self.say(f"    {self._painted('✓', '32')} {line(what)}{told}")

    def run(self, *words: str) -> Ran:
        """Run a program that must succeed."""
        ran = self._run(words)
        if ran.status != 0:
            self.fail(f"`{' '.join(words)}` ended with {ran.status}: {ran.err.strip() or ran.out.strip()}")
        return ran

    def refused(self, what: str, code: str, status: int, *words: str) -> Ran:
        """Run a program that must refuse, with exactly this code and exit status."""
        ran = self._run(words)
        if (ran.status, ran.code) != (status, code):
            found = f"exit {ran.status} [{ran.code}] {ran.err.strip()}"
            self.fail(f"{what}: expected exit {status} [{code}], got {found}")
        self.note(ran.err.strip().splitlines()[-1])
        self.show(what, f"exit {status} {code}")
        return ran

    def typed(self, *words: str) -> None:
        """Keep and show a command as a person would type it."""
        text = " ".join(_quoted(word) for word in words)
        self.commands.append(text)
        short = text if len(text) <= self.width else f"{text[: self.width]} …"
        self.say(self._painted(f"    $ {line(short)}", "2"))

    def fail(self, why: str) -> NoReturn:
        """End the demo: something that must happen did not.

        Raises:
            VerificationError: ``demo-failed``.
        """
        raise VerificationError(
            "demo-failed", f"step {self._number}, {self._scene}: {why}; look into {self.folder}/logs"
        )

    def _run(self, words: tuple[str, ...]) -> Ran:
        self.typed(*words)
        try:
            done = subprocess.run(  # noqa: S603 - our own programs, words of our own
                program(words),
                cwd=self.folder,
                env=self.environ,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
                timeout=TIMEOUT_SECONDS,
            )
        except subprocess.TimeoutExpired:
            self.fail(f"`{' '.join(words)}` did not end within {TIMEOUT_SECONDS} s")
        found = _CODE.findall(done.stderr)
        return Ran(done.returncode, found[-1] if found else "", done.stdout, done.stderr)

    def _painted(self, text: str, style: str) -> str:
        return f"\x1b[{style}m{text}\x1b[0m" if self.colour else text


def program(words: tuple[str, ...]) -> list[str]:
    """Return how a program of ours is started here, whether or not its folder is on the PATH."""
    return [sys.executable, "-m", _MODULES[words[0]], *words[1:]]


def _quoted(word: str) -> str:
    import shlex

    return shlex.quote(word)
