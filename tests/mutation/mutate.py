"""Mutation run: change the rooms that decide whom to believe, one small thing at a time, and see a test fail.

    python tests/mutation/mutate.py [--sample N --seed S] [--jobs N] [--json FILE] [--again FILE]

Each mutant is run in a copy of the tree, never in the tree, by the tests that touch its line, those that
kill most first. A mutant that hangs counts as killed, and is counted apart. Survivors that no test can
tell from the original stand in equivalent.toml with a reason; they count as survivors all the same. The
end is 1 below --least percent, and 2 where nothing could be measured.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import signal
import sys
import tempfile
import tomllib
from collections import Counter, defaultdict
from pathlib import Path

from campaign import KILLED, SURVIVED, TIMEOUT, Campaign, NotMeasuredError
from hypothesis import HealthCheck, Phase, settings
from mutants import mutants_of

HERE = Path(__file__).parent
EQUIVALENT = HERE / "equivalent.toml"
MODULES = ("trustkit/attest/**/*.py", "trustkit/verifying/**/*.py")
TESTS = (
    "tests/unit/attest",
    "tests/unit/verifying",
    "tests/property/test_property_bundles.py",
    "tests/property/test_property_certificates.py",
    "tests/property/test_property_digests.py",
    "tests/property/test_property_manifests.py",
    "tests/property/test_property_policies.py",
    "tests/attacks/test_attacks_ignored.py",
    "tests/attacks/test_attacks_manifest_digest.py",
    "tests/attacks/test_attacks_root_digest.py",
    "tests/attacks/test_attacks_signature.py",
    "tests/contract/test_contract_limits.py",
)
LEAST_PERCENT = 90.0
SLACK_SECONDS = 10
EACH = 100
"""Mutants after which a word is said."""


def arguments(argv):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add = parser.add_argument
    add("--root", type=Path, default=HERE.parents[1], help="the tree that is copied")
    add("--modules", nargs="+", default=MODULES, metavar="GLOB", help="what is mutated")
    add("--tests", nargs="+", default=TESTS, metavar="PATH", help="what may kill")
    add("--sample", type=int, metavar="N", help="so many mutants, spread evenly; all by default")
    add("--seed", type=int, default=0, help="where the sample begins")
    add("--jobs", type=int, default=1, metavar="N", help="children at a time")
    add("--least", type=float, default=LEAST_PERCENT, metavar="PERCENT", help="to be killed, or the end is 1")
    add("--slack", type=float, default=SLACK_SECONDS, metavar="SECONDS", help="for a mutant that is slow")
    add("--again", type=Path, metavar="FILE", help="only the survivors of an earlier --json")
    add("--json", type=Path, metavar="FILE", help="write every mutant and what became of it")
    add("--equivalent", type=Path, default=EQUIVALENT, metavar="FILE", help="survivors with their reasons")
    return parser.parse_args(argv)


def spread(mutants, count, seed):
    """Return every so-many-th mutant, beginning where the seed says."""
    if count is None or count >= len(mutants):
        return mutants
    step = len(mutants) / count
    begin = random.Random(seed).random() * step
    return [mutants[int(begin + place * step)] for place in range(count)]


def reasons_in(path):
    """Read why survivors are equivalent, by what they change and where."""
    entries = tomllib.loads(path.read_text(encoding="utf-8")).get("equivalent", []) if path.exists() else []
    return {(e["file"], e["where"], e["operator"], e["change"]): e["reason"] for e in entries}


def show(mutant, outcome, reasons):
    """Print a mutant that a person should look at."""
    if outcome == TIMEOUT or (outcome == SURVIVED and mutant.key not in reasons):
        print(f"{outcome:<9} {mutant.file}:{mutant.lines.start} {mutant.where}", flush=True)
        print(f"          {mutant.operator}: {mutant.change}", flush=True)


def table(outcomes, reasons):
    """Print the counts of each file and of all."""
    print(f"\n{'mutants':>8} {'killed':>7} {'hung':>5} {'survived':>9} {'with reason':>12} {'killed %':>9}")
    rows = defaultdict(list)
    for outcome in outcomes:
        rows[outcome[0].file].append(outcome)
    for name, found in (*sorted(rows.items()), ("all", outcomes)):
        counts = Counter(outcome for _, outcome, _ in found)
        excused = sum(outcome == SURVIVED and mutant.key in reasons for mutant, outcome, _ in found)
        numbers = (
            f"{len(found):>8} {counts[KILLED]:>7} {counts[TIMEOUT]:>5} {counts[SURVIVED]:>9} {excused:>12}"
        )
        print(f"{numbers} {percentage(found):>9.1f}  {name}")


def stale(outcomes, every, reasons):
    """Print the reasons that excuse nothing: the code has changed, or a test kills the mutant after all."""
    present = {mutant.key for mutant in every}
    killed = {mutant.key for mutant, outcome, _ in outcomes if outcome != SURVIVED}
    files = {mutant.file for mutant in every}
    for key in reasons:
        if key in killed or (key[0] in files and key not in present):
            print(f"reason is {'wrong' if key in killed else 'stale'}: {' | '.join(key)}")


def percentage(outcomes):
    """Return how many were killed, in percent."""
    return 100 * sum(outcome != SURVIVED for _, outcome, _ in outcomes) / len(outcomes)


def report(outcomes, options):
    """Write every mutant and what became of it as JSON, where that was asked for."""
    if options.json is None:
        return
    mutants = [
        {
            "file": mutant.file,
            "where": mutant.where,
            "operator": mutant.operator,
            "change": mutant.change,
            "line": mutant.lines.start,
            "outcome": outcome,
            "by": by,
        }
        for mutant, outcome, by in outcomes
    ]
    files = defaultdict(Counter)
    for mutant in mutants:
        files[mutant["file"]] += Counter({"mutants": 1, mutant["outcome"]: 1})
    document = {
        "sample": options.sample,
        "seed": options.seed,
        "killed_percent": percentage(outcomes),
        "files": files,
        "mutants": mutants,
    }
    options.json.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def wanted(options, every):
    """Return the mutants to run: a sample, or the survivors of an earlier run."""
    if options.again is None:
        return spread(every, options.sample, options.seed)
    earlier = json.loads(options.again.read_text(encoding="utf-8"))["mutants"]
    names = ("file", "where", "operator", "change")
    keys = {tuple(one[name] for name in names) for one in earlier if one["outcome"] == SURVIVED}
    return [mutant for mutant in every if mutant.key in keys]


def profile():
    """Make property tests the same each time, and quick: nothing is kept or made smaller."""
    settings.register_profile(
        "mutation",
        database=None,
        deadline=None,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=list(HealthCheck),
    )


def measured(options, reasons):
    """Run mutants in a copy of the tree; return every mutant, and what became of those run."""
    outcomes = []
    with tempfile.TemporaryDirectory(prefix="mutate-") as folder:
        root = Path(folder, "tree").resolve()
        shutil.copytree(
            options.root, root, ignore=shutil.ignore_patterns(".*", "__pycache__", "demo", "dist")
        )
        paths = {path.relative_to(root) for glob in options.modules for path in root.glob(glob)}
        files = sorted(path.as_posix() for path in paths)
        every = [m for name in files for m in mutants_of(name, (root / name).read_text(encoding="utf-8"))]
        mutants = wanted(options, every)
        print(
            f"mutate  {len(mutants)} of {len(every)} mutants in {len(files)} files, seed {options.seed}",
            flush=True,
        )
        if not mutants:
            raise NotMeasuredError("there is nothing to mutate")
        campaign = Campaign(root, options.tests, files, slack=options.slack)
        campaign.prepare()
        for outcome in campaign.outcomes(mutants, options.jobs):
            outcomes.append(outcome)
            show(*outcome[:2], reasons)
            if len(outcomes) % EACH == 0:
                print(f"{len(outcomes):>9} done", flush=True)
                report(outcomes, options)
    return every, outcomes


def main(argv):
    options = arguments(argv)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # with the copy taken away, and children stopped
    profile()
    reasons = reasons_in(options.equivalent)
    try:
        every, outcomes = measured(options, reasons)
    except NotMeasuredError as error:
        print(f"mutate: nothing was measured: {error}", file=sys.stderr)
        return 2
    table(outcomes, reasons)
    percent = percentage(outcomes)
    stale(outcomes, every, reasons)
    report(outcomes, options)
    missing = sum(outcome == SURVIVED and mutant.key not in reasons for mutant, outcome, _ in outcomes)
    print(f"{missing} survivors have no reason in {options.equivalent.name}")
    print(f"{percent:.1f} % killed, and at least {options.least:.0f} % are asked for")
    return int(percent < options.least)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
