"""One run over the mutants of a tree: what is recorded, which tests a mutant meets, what becomes of it.

The law of this file: nothing is measured unless the tests pass on the tree as it is, twice: while their
lines are recorded, and in a child such as every mutant gets, where they run in another order.
"""

from __future__ import annotations

import importlib
import time
import warnings
from collections import Counter, defaultdict
from contextlib import suppress
from functools import partial
from multiprocessing.connection import wait

from forks import Child, Mutated, record, run_tests

RECORDING_SECONDS = 900
SOME_FILES = 4
SLACK_FACTOR = 5
"""A mutant may take so many times as long as its tests took while they were recorded, and some seconds."""
KILLED, TIMEOUT, SURVIVED = "killed", "timeout", "survived"


class NotMeasuredError(Exception):
    """The tests do not pass unchanged, or a child failed of itself: no figure would mean anything."""


class Campaign:
    """One run over a copy of a tree."""

    def __init__(self, root, tests, files, *, slack):
        self._root, self._tests, self._files, self._slack = root, tests, files, slack
        self._kills = defaultdict(Counter)
        self._run = None

    def prepare(self):
        """Record what each test touches, load what others wrote, and see the tests pass in a child."""
        child = Child(self._root, partial(record, self._root, self._tests, self._files))
        self._run = self._passed(child, "while they were recorded")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for name in self._run.loaded:
                with suppress(ImportError):
                    importlib.import_module(name)
        quickest = sorted(self._run.seconds, key=self._run.seconds.__getitem__)
        self._passed(Child(self._root, partial(run_tests, [quickest])), "in another order")

    @staticmethod
    def _passed(child, when):
        try:
            run = child.result() if wait([child.pipe], RECORDING_SECONDS) else None
        finally:
            child.stop()
        if getattr(run, "status", 1) != 0:
            said = "nothing" if run is None else getattr(run, "failed", run)
            raise NotMeasuredError(f"the tests do not pass unchanged {when}: {said}")
        return run

    def chosen(self, mutant):
        """Return the tests that may kill a mutant.

        In a function they touch its line. What runs when the module is loaded is everybody's who touches
        the module, and theirs who touch no line of any: they may look at a name.
        """
        touched = {name for name, files in self._run.touched.items() if mutant.file in files}
        if mutant.called:
            lines = {name: self._run.touched[name][mutant.file] for name in touched}
            return {name for name in touched if not lines[name].isdisjoint(mutant.lines)} or touched
        return touched | {name for name, files in self._run.touched.items() if not files}

    def stages(self, mutant):
        """Return the chosen tests by files, one, some and the rest: first what kills most, or is most."""
        kills, seconds = self._kills[mutant.file], self._run.seconds
        by_file = defaultdict(list)
        for name in sorted(self.chosen(mutant), key=lambda name: (-kills[name], seconds[name], name)):
            by_file[name.partition("::")[0]].append(name)
        files = sorted(by_file.values(), key=lambda tests: (-sum(kills[name] for name in tests), -len(tests)))
        parts = (files[:1], files[1:SOME_FILES], files[SOME_FILES:])
        return [[name for tests in part for name in tests] for part in parts if part]

    def start(self, mutant):
        """Start a child on a mutant; return it and when it must be done."""
        stages = self.stages(mutant)
        name = mutant.file.removesuffix(".py").replace("/", ".")
        before = partial(Mutated, name, self._root / mutant.file, mutant.compiled)
        child = Child(self._root, partial(run_tests, stages, before=before))
        limit = self._slack + SLACK_FACTOR * sum(
            self._run.seconds[test] for tests in stages for test in tests
        )
        return child, child.started + limit

    def ended(self, mutant, child, *, ready):
        """Return (what became of a mutant, what killed it)."""
        if not ready:
            child.stop()
            return TIMEOUT, ""
        run = child.result()
        if isinstance(run, str):
            raise NotMeasuredError(f"{mutant.file} {mutant.where} {mutant.change}\n{run}")
        if isinstance(run, int):
            return KILLED, f"the child ended with {run}"
        if run.status in {0, 5}:
            return SURVIVED, ""
        self._kills[mutant.file][run.failed] += 1
        return KILLED, run.failed

    def outcomes(self, mutants, jobs):
        """Yield (mutant, outcome, killer) as they come, so many at a time."""
        waiting = iter(mutants)
        running = {}
        try:
            while True:
                while len(running) < jobs and (mutant := next(waiting, None)) is not None:
                    child, until = self.start(mutant)
                    running[child.pipe] = mutant, child, until
                if not running:
                    return
                first = min(until for _, _, until in running.values())
                ready = set(wait(list(running), max(0, first - time.monotonic())))
                for pipe, (mutant, child, until) in list(running.items()):
                    if pipe in ready or time.monotonic() >= until:
                        del running[pipe]
                        yield mutant, *self.ended(mutant, child, ready=pipe in ready)
        finally:
            for _, child, _ in running.values():
                child.stop()
