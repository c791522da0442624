"""An object for each place of the checked list, with a text there, and what the extractor must say of it."""

import re
from dataclasses import dataclass, field

STEPS = re.compile(r"[^.\[\]{}]+|\[\]|\{\??\}")
SELF = {"apiVersion", "kind"}
"""With another text there it would be another object."""


@dataclass(frozen=True)
class Text:
    """What stands at a place.

    Attributes:
        beside: Members that the entry of the innermost list has beside it.
        name: Of the member, where names are free.
        possible: Whether "possible" is all that the extractor can say: another object carries the model.
    """

    text: str
    beside: dict = field(default_factory=dict)
    name: str = "any"
    possible: bool = False


NUMBER = Text(0)
"""Stands where a harmless text will stand: what is said of the rest of the object is said of both."""
HARMLESS = (Text("plain"), Text("team/plain"))
ADDRESS = Text("hf://org/name")
OTHER = {"cannot": HARMLESS, "may": (ADDRESS,), "asks": (Text("1"),)}
_SERVE = """applications:
- args: {llm_configs: [{model_loading_config: {model_id: tiny, model_source: org/name}}]}
"""
_STAMP = "internal.serving.kserve.io/storage-initializer-sourceuri"
TEXTS = {
    "address": ADDRESS,
    "storage": Text("s3://bucket/models/tiny"),
    "web": Text("https://example.org/models/tiny.gguf"),
    "ngc": Text("ngc://org/team/tiny:1"),
    "cache": Text("hostpath:///models/tiny"),
    "hub": Text("org/name"),
    "model": Text("tiny"),
    "name": Text("tiny", possible=True),
    "object": Text("tiny", possible=True),
    "folder": Text("/models/tiny"),
    "key": Text("models/tiny"),
    "remote": Text("gs:bucket/models/tiny"),
    "image": Text("registry.example/models/tiny:1"),
    "nim": Text("nvcr.io/nim/meta/tiny"),
    "volume": Text("tiny", possible=True),
    "claim": Text("models", possible=True),
    "attribute": Text("registry.example/models/tiny:1", name="model.csi.modelpack.org/reference"),
    "variable": Text("org/name", beside={"name": "MODEL_ID"}),
    "indirect": Text("models", beside={"name": "MODEL_ID"}),
    "parameter": Text("org/name", beside={"name": "pretrained_model"}),
    "annotation": Text("s3://bucket/models/tiny", name=_STAMP),
    "setting": Text("org/name", name="MODEL_ID"),
    "option": Text("org/name", name="--model"),
    "artifact": Text("org/name", name="model-artifact"),
    "flag": Text("--model=org/name"),
    "line": Text("vllm serve org/name"),
    "serve": Text(_SERVE),
    "environment": Text("env_vars: {MODEL_ID: org/name}\n"),
    "base": Text("tiny"),
}
"""How a text looks that names a model, by the words of the list."""
UNREAD = {"indirect", "base"}
"""Words of texts that say where a model's name is, and not the name: the place is unresolved."""

VOLUME = re.compile(r"(?:.*(?:volumes\[0\]|volumeSource)|spec(?:\.persistentVolumeSpec)?)\.\w+")
"""What of a path is the volume: the extractor names it as a whole, or the part that says most."""


@dataclass(frozen=True)
class Mutant:
    """An object with a text at one place, and an object to compare it with.

    Attributes:
        line: The line of the list.
        spelled: Where the text stands, as the extractor spells it.
        base: The same with a number there; if it must be reported, an object without all that leads there.
    """

    line: object
    spelled: str
    text: Text
    changed: dict
    base: dict

    def faults(self, references):
        """Return what is wrong in what the extractor says; nothing if all is well."""
        before, after = references(self.base), references(self.changed)
        models = [one for one in after.models if one not in before.models]
        unread = [one.path for one in after.unresolved if one not in before.unresolved]
        said = [one.path for one in models] + unread
        verdict, _, word = self.line.verdict.partition(":")
        if verdict == "cannot":
            good = not said
        elif verdict == "asks":
            good = bool(unread) and not models
        elif verdict == "may":
            good = any(lies_in(one, self.spelled) for one in said)
        elif word in UNREAD:
            good = any(
                lies_in(one, self.spelled.rpartition(".valueFrom")[0] or self.spelled) for one in unread
            )
        else:
            here = VOLUME.match(self.spelled)[0] if word == "volume" else self.spelled
            named = [one for one in models if self.text.possible or one.confidence != "possible"]
            good = any(lies_in(one.path, here) for one in named)
        return [] if good else [f"{self.line.at} {self.spelled}: {self.text.text!r} {verdict}: said {said}"]


def of(places, kind):
    """Yield the mutants of a kind.

    Args:
        places: Lines and whole paths, as the list yields them.
        kind: ``group/Kind``.
    """
    for line, path in places:
        verdict, _, word = line.verdict.partition(":")
        texts = [TEXTS[word]] if word else OTHER[verdict]
        for text in texts if path not in SELF else ():
            steps = STEPS.findall(path)
            base = built(kind, [], NUMBER) if verdict == "weights" else built(kind, steps, NUMBER)
            yield Mutant(line, spelled(path, text), text, built(kind, steps, text), base)


def built(kind, steps, text):
    """Return an object of a kind with a text at the end of some steps."""
    group, name = kind.rstrip("+").rsplit("/", 1)
    version = group if group == "v1" else f"{group}/v1"
    below = grown(steps, text) if steps else {}
    metadata = {"name": "x", **below.get("metadata", {})}
    return {"apiVersion": version, "kind": name, **below, "metadata": metadata}


def grown(steps, text):
    """Return what stands where some steps are left to the text."""
    if not steps:
        return text.text
    step, rest = steps[0], steps[1:]
    below = grown(rest, text)
    if step == "[]":
        beside = text.beside if "[]" not in rest and isinstance(below, dict) else {}
        return [{**beside, **below} if beside else below]
    return {text.name if step[0] == "{" else step: below}


def spelled(path, text):
    """Spell a path as the extractor does: the first entry of each list, the names that are there."""
    name = f'["{text.name}"]' if "." in text.name or "/" in text.name else f".{text.name}"
    return path.replace("[]", "[0]").replace("{}", name).replace("{?}", name)


def lies_in(path, place):
    """Say whether a path is a place, or lies inside it."""
    return path.startswith(place) and path[len(place) : len(place) + 1] in {"", ".", "#", "["}
