"""Reads cases and lays them out on a disk; the standard library alone, so that any Python can run them."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

HERE = Path(__file__).resolve().parent


class Case:
    """One case: what is given (`given`), and what must come out (`expect`)."""

    def __init__(self, folder):
        self.folder = folder
        self.name = folder.name
        self.given = json.loads((folder / "case.json").read_text("utf-8"))
        self.expect = json.loads((folder / "expect.json").read_text("utf-8"))
        self.options = self.given.get("options", {})

    def bundle(self):
        """Return the bundle's bytes, or None where the case has no bundle."""
        name = self.given.get("bundle")
        if name is None:
            return None
        raw = (self.folder / name).read_bytes()
        if name == "bundle.json":
            return raw
        return b"".join(part["text"].encode("ascii") * part.get("times", 1) for part in json.loads(raw))

    def lay_out(self, scratch):
        """Make the tree below an empty folder; return the artifact's place and the bundle's."""
        links = []
        for entry in self.given["tree"]:
            name = bytes.fromhex(entry["name_hex"]) if "name_hex" in entry else entry["name"].encode("utf-8")
            place = os.path.join(os.fsencode(scratch), name)
            os.makedirs(os.path.dirname(place), exist_ok=True)
            if entry.get("folder"):
                os.makedirs(place, exist_ok=True)
            elif entry.get("fifo"):
                os.mkfifo(place)
            elif entry.get("socket"):
                os.mknod(place, stat.S_IFSOCK | 0o600)
            elif "hard_link" in entry:
                os.link(os.path.join(os.fsencode(scratch), entry["hard_link"].encode()), place)
            elif "link" in entry:
                links.append((entry["link"], place))
            else:
                content = entry["text"].encode("ascii") if "text" in entry else bytes.fromhex(entry["hex"])
                with open(place, "wb") as file:
                    file.write(content)
        for target, place in links:
            os.symlink(target.encode(), place)
        raw = self.bundle()
        inside = self.given.get("bundle_at")
        bundle = None if raw is None else Path(scratch) / (inside or "the.bundle")
        if bundle is not None:
            bundle.write_bytes(raw)
        default = inside is not None and inside.endswith("/model.sig")
        return Path(scratch) / self.given["path"], None if default else bundle


def cases():
    """Return every case, by name."""
    return [Case(path.parent) for path in sorted(HERE.glob("cases/*/case.json"))]
