"""Processes of the demo: started with their own configuration, awaited, ended by their own handle.

The law of this file: nothing outlives the demo, whatever ends it, and nothing
is ended that the demo did not start. Waiting is for what a process says, with a
deadline, never for a length of time.
"""

from __future__ import annotations

import re
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Self, TypeVar

from trustkit.cli.demo.stage import Stage, program

T = TypeVar("T")

START_SECONDS = 20
"""How long a service may take until it accepts."""
STOP_SECONDS = 10

_LISTENING = re.compile(r"^[a-z-]+: listening on (\S+)$", re.MULTILINE)


@dataclass(slots=True)
class Service:
    """A running process and where its output goes."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    sink: IO[bytes]

    def output(self) -> str:
        """Return what it printed so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def stop(self) -> int:
        """End it and return its exit status."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.sink.close()
        return self.process.returncode


class Services:
    """All processes of one demo; leaving the block ends whatever still runs."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._running: list[Service] = []

    def start(self, name: str, *words: str) -> Service:
        """Start a program whose output goes to ``logs/NAME.log``."""
        self._stage.typed(*words)
        log = self._stage.folder / "logs" / f"{name}.log"
        log.parent.mkdir(exist_ok=True)
        sink = log.open("wb")
        process = subprocess.Popen(  # noqa: S603 - our own programs, words of our own
            program(words),
            cwd=self._stage.folder,
            env=self._stage.environ,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
        )
        service = Service(name, process, log, sink)
        self._running.append(service)
        return service

    def listening(self, name: str, *words: str) -> str:
        """Start a server and return where it listens (``HOST:PORT``)."""
        service = self.start(name, *words)
        found = self.until(service, lambda: _LISTENING.search(service.output()))
        self._stage.note(f"{name} listens on {found[1]}")
        return found[1]

    def until(self, service: Service, ready: Callable[[], T | None]) -> T:
        """Wait until something is true of a service that goes on running."""
        deadline = time.monotonic() + START_SECONDS
        while (found := ready()) is None:
            if service.process.poll() is not None or time.monotonic() > deadline:
                self._stage.fail(f"{service.name} did not come up: {service.output().strip()[-600:]}")
            time.sleep(0.02)
        return found

    def ended(self, service: Service) -> int:
        """Wait until a service has ended by itself and return its exit status."""
        try:
            service.process.wait(START_SECONDS)
        except subprocess.TimeoutExpired:
            self._stage.fail(f"{service.name} goes on running")
        return service.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for service in reversed(self._running):
            service.stop()


def http_status(url: str) -> int:
    """Return the status of a GET on loopback, or 0 where nobody answers."""
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - http on loopback, our own text
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0
