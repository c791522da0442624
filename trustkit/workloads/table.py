"""The table of ``table.v1.yaml`` as a value: loaded once, strictly, from the package.

The file is ours and trusted; it is read strictly all the same, because a
misspelt row is a way around the gate.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from importlib import resources
from typing import cast

from trustkit import strictjson
from trustkit.artifact.reference import SCHEME
from trustkit.errors import FormatError

VERSION = "trustkit.dev/workloads/v1"
_REST = r"[^\s\"'`<>|;&(){}\[\]\\,]*"


@dataclass(frozen=True, slots=True)
class Command:
    """Words that start a program, and which positional word after them names a model."""

    words: tuple[str, ...]
    positional: int
    scheme: str | None


@dataclass(frozen=True, slots=True)
class Accelerators:
    """By what an accelerator is asked for; see the comments in ``table.v1.yaml`` for each member."""

    resources: tuple[str, ...]
    runtimes: tuple[str, ...]
    devices: tuple[str, ...]
    mounts: tuple[str, ...]
    variables: tuple[str, ...]
    no_devices: frozenset[str]


@dataclass(frozen=True, eq=False)  # compared and cached by identity: there is one per document
class Table:
    """How models are named; see the comments in ``table.v1.yaml`` for each member."""

    kinds: dict[str, str | None]
    anywhere: tuple[tuple[str, str], ...]
    storage: tuple[tuple[str, str], ...]
    weights: tuple[str, ...]
    value_flags: frozenset[str]
    pair_flags: frozenset[str]
    json_flags: frozenset[str]
    json_members: frozenset[str]
    short_flags: dict[str, frozenset[str]]
    commands: tuple[Command, ...]
    downloaders: frozenset[str]
    hints: tuple[str, ...]
    code_calls: tuple[str, ...]
    images: tuple[tuple[str, tuple[str, ...]], ...]
    servers: frozenset[str]
    tools: frozenset[str]
    image_helpers: frozenset[str]
    config_flags: frozenset[str]
    switches: tuple[str, ...]
    initializers: frozenset[str]
    model_images: tuple[str, ...]
    value_variables: frozenset[str]
    json_variables: frozenset[str]
    cache_variables: frozenset[str]
    variable_suffixes: tuple[str, ...]
    name_variables: frozenset[str]
    carriers: frozenset[str]
    harmless_volumes: frozenset[str]
    harmless_drivers: frozenset[str]
    harmless_host_paths: tuple[str, ...]
    reference_attributes: frozenset[str]
    bucket_attributes: dict[str, str]
    accelerators: Accelerators
    reserved_prefix: str
    user_annotations: frozenset[str]
    ignored_annotations: frozenset[str]

    @functools.cached_property
    def anywhere_pattern(self) -> re.Pattern[str]:
        """Finds what is a model wherever it stands; linear, no nested repetition."""
        ours = re.escape(SCHEME)
        others = "|".join(re.escape(prefix) for prefix, _ in self.anywhere if prefix != SCHEME)
        # Our own scheme counts even glued to other text; for the rest "mypvc://" is another scheme than "pvc://".
        return re.compile(rf"(?:{ours}|(?<![A-Za-z0-9_.+/-])(?:{others})){_REST}", re.IGNORECASE)

    @functools.cached_property
    def storage_pattern(self) -> re.Pattern[str]:
        """Finds addresses of storage, which are models only where a model is expected."""
        prefixes = "|".join(re.escape(prefix) for prefix, _ in self.storage)
        return re.compile(rf"(?<![A-Za-z0-9_.+/-])(?:{prefixes}){_REST}", re.IGNORECASE)

    @functools.cached_property
    def weights_pattern(self) -> re.Pattern[str]:
        """Finds any ending of weights: a quick look before a text is taken apart."""
        return re.compile("|".join(re.escape(ending) for ending in self.weights), re.IGNORECASE)

    @functools.cached_property
    def image_patterns(self) -> tuple[tuple[re.Pattern[str], tuple[str, ...]], ...]:
        """The images of the table, as whole words: ``postgis`` is no ``tgi``."""
        return tuple(
            (re.compile(rf"(?<![a-z0-9]){re.escape(part)}(?![a-z0-9])"), program)
            for part, program in self.images
        )

    @functools.cached_property
    def model_flags(self) -> frozenset[str]:
        """Every flag whose value can name a model."""
        return self.value_flags | self.pair_flags | self.json_flags

    def is_switch(self, flag: str) -> bool:
        """Say whether a flag of a server takes no value; a row that ends in a dash is how some start."""
        return any(flag == row or (row.endswith("-") and flag.startswith(row)) for row in self.switches)

    @functools.cached_property
    def commands_by_program(self) -> dict[str, tuple[Command, ...]]:
        """The rows of commands by the program they start with."""
        programs = {command.words[0] for command in self.commands}
        return {name: tuple(row for row in self.commands if row.words[0] == name) for name in programs}

    @functools.cached_property
    def code_pattern(self) -> re.Pattern[str]:
        """Finds a call that loads a model, and the first text argument of it."""
        calls = "|".join(re.escape(call) for call in self.code_calls)
        return re.compile(
            rf"\b(?:{calls})\(\s{{0,8}}(?:[a-z_]{{1,40}}\s{{0,8}}=\s{{0,8}})?[\"']([^\"']{{1,512}})[\"']"
        )

    def scheme_of(self, text: str) -> str | None:
        """Return the scheme a text starts with, or None."""
        lowered = text[:64].lower()
        return next(
            (name for prefix, name in (*self.anywhere, *self.storage) if lowered.startswith(prefix)), None
        )


_PARTS = ("schemes", "flags", "environment", "volumes")


@functools.cache
def default_table() -> Table:
    """Return the table that comes with this version of trustkit."""
    import yaml

    raw = resources.files("trustkit.workloads").joinpath("table.v1.yaml").read_bytes()
    return table_from(cast("strictjson.Value", yaml.safe_load(raw)))


def table_from(document: strictjson.Value) -> Table:
    """Build the table from its parsed document.

    Raises:
        FormatError: A member is missing, unknown or of the wrong type, or the version is not ours.
    """
    top = strictjson.Fields(document, "table")
    if top.take("version", str) != VERSION:
        raise FormatError("bad-table", f"the workload table must have version {VERSION}")
    parts = [strictjson.Fields(top.take(name, dict), name) for name in _PARTS]
    table = _table(top, parts)
    for fields in (*parts, top):
        fields.done()
    return table


def _table(top: strictjson.Fields, parts: list[strictjson.Fields]) -> Table:
    schemes, flags, environment, volumes = parts
    return Table(
        kinds=cast("dict[str, str | None]", top.take("kinds", dict)),
        anywhere=_prefixes(schemes.take("anywhere", dict)),
        storage=_prefixes(schemes.take("model", dict)),
        weights=tuple(_texts(top, "weights")),
        value_flags=frozenset(_texts(flags, "value")),
        pair_flags=frozenset(_texts(flags, "pairs")),
        json_flags=frozenset(_texts(flags, "json")),
        json_members=frozenset(_texts(top, "json_members")),
        short_flags={program: frozenset(names) for program, names in top.take("short_flags", dict).items()},
        commands=_commands(top.take("commands", list)),
        downloaders=frozenset(_texts(top, "downloaders")),
        hints=tuple(_texts(top, "hints")),
        code_calls=tuple(_texts(top, "code_calls")),
        images=tuple((row["part"], tuple(row["program"])) for row in top.take("images", list)),
        servers=frozenset(_texts(top, "servers")),
        tools=frozenset(_texts(top, "tools")),
        image_helpers=frozenset(_texts(top, "image_helpers")),
        config_flags=frozenset(_texts(flags, "config")),
        switches=tuple(_texts(flags, "switches")),
        initializers=frozenset(_texts(top, "initializers")),
        model_images=tuple(_texts(top, "model_images")),
        value_variables=frozenset(_texts(environment, "value")),
        json_variables=frozenset(_texts(environment, "json")),
        cache_variables=frozenset(_texts(environment, "caches")),
        variable_suffixes=tuple(_texts(environment, "suffixes")),
        name_variables=frozenset(_texts(environment, "names")),
        carriers=frozenset(_texts(volumes, "carriers")),
        harmless_volumes=frozenset(_texts(volumes, "harmless")),
        harmless_drivers=frozenset(_texts(volumes, "harmless_drivers")),
        harmless_host_paths=tuple(_texts(volumes, "harmless_host_paths")),
        reference_attributes=frozenset(_texts(volumes, "reference_attributes")),
        bucket_attributes=cast("dict[str, str]", volumes.take("bucket_attributes", dict)),
        accelerators=_accelerators(top),
        reserved_prefix=top.take("reserved_prefix", str),
        user_annotations=frozenset(_texts(top, "user_annotations")),
        ignored_annotations=frozenset(_texts(top, "ignored_annotations")),
    )


def _accelerators(top: strictjson.Fields) -> Accelerators:
    return Accelerators(
        resources=tuple(_texts(top, "accelerators")),
        runtimes=tuple(_texts(top, "accelerator_runtimes")),
        devices=tuple(_texts(top, "accelerator_devices")),
        mounts=tuple(_texts(top, "accelerator_mounts")),
        variables=tuple(_texts(top, "device_variables")),
        no_devices=frozenset(_texts(top, "no_devices")),
    )


def _texts(fields: strictjson.Fields, name: str) -> list[str]:
    texts = fields.take(name, list)
    if not all(isinstance(text, str) and text for text in texts):
        raise FormatError("bad-table", f"the workload table's {name} must hold non-empty strings")
    return texts


def _prefixes(rows: dict[str, str]) -> tuple[tuple[str, str], ...]:
    """Longest prefix first, so that ``oci+native://`` is not taken for something shorter."""
    return tuple(sorted(rows.items(), key=lambda row: -len(row[0])))


def _commands(rows: list[strictjson.Value]) -> tuple[Command, ...]:
    commands = []
    for row in rows:
        fields = strictjson.Fields(row, "commands")
        words = tuple(fields.take("words", list))
        commands.append(Command(words, fields.take("positional", int), fields.maybe("scheme", str)))
        fields.done()
    return tuple(sorted(commands, key=lambda command: -len(command.words)))
