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
from trustkit.digest import Digest, digest_of
from trustkit.errors import FormatError
from trustkit.workloads.code_rows import Code, code_from
from trustkit.workloads.kinds import BYSTANDER, Kind, kind_from
from trustkit.workloads.roles import Members, members_from
from trustkit.workloads.rows import (
    Accelerators,
    Command,
    Flags,
    Harmless,
    Variables,
    accelerators_from,
    commands_of,
    flag_name,
    flags_from,
    harmless_from,
    images_of,
    mapped,
    names_of_kinds,
    prefixes_of,
    short_flags_of,
    spelled_texts,
    texts_of,
    variables_from,
)
from trustkit.workloads.schemes import Schemes

VERSION = "trustkit.dev/workloads/v1"


@dataclass(frozen=True, eq=False)  # compared and cached by identity: there is one per document
class Table(Schemes):
    """How models are named; see the comments in ``table.v1.yaml`` for each member.

    Attributes:
        digest: Of the whole document, with what was added to it: two tables of one digest read alike.
        exempts: What was added that takes something out of judgement, for people.
    """

    digest: Digest
    kinds: dict[str, Kind]
    members: Members
    weights: tuple[str, ...]
    archives: tuple[str, ...]
    value_flags: frozenset[str]
    pair_flags: frozenset[str]
    json_flags: frozenset[str]
    json_members: frozenset[str]
    short_flags: dict[str, dict[str, str]]
    commands: tuple[Command, ...]
    downloaders: frozenset[str]
    hints: tuple[str, ...]
    code: Code
    images: tuple[tuple[str, tuple[str, ...]], ...]
    servers: frozenset[str]
    tools: frozenset[str]
    image_helpers: frozenset[str]
    flags: Flags
    remotes: frozenset[str]
    initializers: frozenset[str]
    model_images: tuple[str, ...]
    variables: Variables
    carriers: frozenset[str]
    harmless: Harmless
    reference_attributes: frozenset[str]
    bucket_attributes: dict[str, str]
    artifacts: dict[str, str]
    accelerators: Accelerators
    reserved_prefix: str
    user_annotations: frozenset[str]
    ignored_annotations: frozenset[str]
    exempts: tuple[str, ...] = ()

    @functools.cached_property
    def weights_pattern(self) -> re.Pattern[str]:
        """Finds any ending of weights: a quick look before a text is taken apart."""
        return re.compile("|".join(re.escape(ending) for ending in self.weights), re.IGNORECASE)

    @functools.cached_property
    def image_patterns(self) -> tuple[tuple[re.Pattern[str], tuple[str, ...]], ...]:
        """The images of the table, as whole words: ``local-airflow`` is no ``local-ai``."""
        return tuple((re.compile(_words_of(part)), program) for part, program in self.images)

    @functools.cached_property
    def any_image_pattern(self) -> re.Pattern[str]:
        """Finds whether any of them is in a name: most images are none of them."""
        return re.compile("|".join(_words_of(part) for part, _ in self.images))

    @functools.cached_property
    def volume_kinds(self) -> frozenset[str]:
        """Every kind of volume that the table knows."""
        return self.carriers | self.harmless.volumes | {"image", "csi"}

    @functools.cached_property
    def models_servers(self) -> frozenset[str]:
        """Programs that serve models: not those that only fetch them."""
        return self.servers - self.tools

    @functools.cached_property
    def model_flags(self) -> frozenset[str]:
        """Every flag whose value can name a model."""
        return self.value_flags | self.pair_flags | self.json_flags

    @functools.cached_property
    def known_flags(self) -> frozenset[str]:
        """Every flag of a server that takes a value, and of which it is known what that value is."""
        rows = self.flags
        return rows.valued.whole | rows.names | rows.likely | rows.config | self.model_flags

    @functools.cached_property
    def flag_endings(self) -> tuple[str, ...]:
        """The endings of variables that name a model, as flags are spelled."""
        rows = self.variables
        return tuple(end.lower().replace("_", "-") for end in rows.suffixes + rows.likely)

    def takes_value(self, flag: str, program: str = "") -> bool | None:
        """Say whether a flag of a server takes the word after it; None if nobody knows.

        What a flag of one letter takes is known of the programs alone that have a row for it.
        """
        short = self.short_flags.get(program, {}).get(flag)
        if short is not None:
            return short != "switch"
        if flag in self.known_flags:
            return True
        if flag in self.flags.switches:
            return False
        return True if flag in self.flags.valued else None

    @functools.cached_property
    def commands_by_program(self) -> dict[str, tuple[Command, ...]]:
        """The rows of commands by the program they start with."""
        programs = {command.words[0] for command in self.commands}
        return {name: tuple(row for row in self.commands if row.words[0] == name) for name in programs}

    @functools.cached_property
    def telling_variables(self) -> tuple[frozenset[str], tuple[str, ...]]:
        """Names, and endings of names, of variables that say something of models or devices."""
        rows = self.variables
        return rows.value | rows.json, rows.suffixes + rows.likely + self.accelerators.variables

    @functools.cached_property
    def telling_tails(self) -> tuple[int, frozenset[str]]:
        """How many letters at the end of a name show that none of those endings fits, and those that may."""
        _, endings = self.telling_variables
        width = min(map(len, endings))
        return -width, frozenset(ending[-width:] for ending in endings)

    def is_model_image(self, image: str) -> bool:
        """Say whether an image carries weights, by its name."""
        return any(part in image for part in self.model_images)


def _words_of(part: str) -> str:
    """A part of an image's name as whole words; with a mark before it, where a step of the name starts."""
    start = "(?:^|/)" if part[0] == "/" else "(?<![a-z0-9])"
    return rf"{start}{re.escape(part.removeprefix('/'))}(?![a-z0-9])"


_PARTS = ("schemes", "flags", "environment", "volumes", "members")


@functools.cache
def default_table() -> Table:
    """Return the table that comes with this version of trustkit."""
    return table_from(default_document())


def default_document() -> strictjson.Object:
    """Return the document that the table is built from."""
    import yaml

    raw = resources.files("trustkit.workloads").joinpath("table.v1.yaml").read_bytes()
    # The fast one, where there is one: the other takes longer than all else that a program does to start.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return cast("strictjson.Object", yaml.load(raw, Loader=loader))  # noqa: S506 - both are SafeLoaders


def table_from(document: strictjson.Value) -> Table:
    """Build the table from its parsed document.

    Raises:
        FormatError: A member is missing, unknown or of the wrong type, or the version is not ours.
    """
    top = strictjson.Fields(document, "table")
    if top.take("version", str) != VERSION:
        raise FormatError("bad-table", f"the workload table must have version {VERSION}")
    parts = [strictjson.Fields(top.take(name, dict), name) for name in _PARTS]
    table = _table(top, parts, digest_of(strictjson.to_bytes(document)))
    for fields in (*parts, top):
        fields.done()
    return table


def _table(top: strictjson.Fields, parts: list[strictjson.Fields], digest: Digest) -> Table:
    schemes, flags, environment, volumes, members = parts
    return Table(
        digest=digest,
        kinds=_kinds(top),
        members=_members(members, flags, environment),
        anywhere=prefixes_of(schemes, "anywhere", mark=":/"),
        storage=prefixes_of(schemes, "model", mark=""),
        weights=tuple(spelled_texts(top, "weights", str.lower)),
        archives=tuple(spelled_texts(top, "archives", str.lower)),
        value_flags=frozenset(spelled_texts(flags, "value", flag_name)),
        pair_flags=frozenset(spelled_texts(flags, "pairs", flag_name)),
        json_flags=frozenset(spelled_texts(flags, "json", flag_name)),
        json_members=frozenset(spelled_texts(top, "json_members", str.lower)),
        short_flags=_short_flags(top),
        commands=commands_of(top.take("commands", list)),
        downloaders=frozenset(texts_of(top, "downloaders")),
        hints=tuple(spelled_texts(top, "hints", str.lower)),
        code=code_from(top),
        images=images_of(top.take("images", list)),
        servers=frozenset(texts_of(top, "servers")),
        tools=frozenset(texts_of(top, "tools")),
        image_helpers=frozenset(spelled_texts(top, "image_helpers", str.lower)),
        flags=flags_from(flags),
        remotes=frozenset(texts_of(top, "remotes")),
        initializers=frozenset(texts_of(top, "initializers")),
        model_images=tuple(texts_of(top, "model_images")),
        variables=variables_from(environment),
        carriers=frozenset(texts_of(volumes, "carriers")),
        harmless=harmless_from(volumes),
        reference_attributes=frozenset(texts_of(volumes, "reference_attributes")),
        bucket_attributes=mapped(volumes, "bucket_attributes"),
        artifacts=mapped(top, "artifacts"),
        accelerators=accelerators_from(top),
        reserved_prefix=top.take("reserved_prefix", str),
        user_annotations=frozenset(texts_of(top, "user_annotations")),
        ignored_annotations=frozenset(texts_of(top, "ignored_annotations")),
    )


def _kinds(top: strictjson.Fields) -> dict[str, Kind]:
    rows = top.take("kinds", dict)
    bystanders = names_of_kinds(texts_of(top, "bystanders"))
    both = min(rows.keys() & bystanders, default=None)
    if both is not None:
        raise FormatError("bad-table", f"{both[:64]!r} is in kinds, and so is no bystander; leave one out")
    kinds = dict.fromkeys(bystanders, BYSTANDER)
    return kinds | {name: kind_from(rows[name]) for name in names_of_kinds([*rows])}


def _short_flags(top: strictjson.Fields) -> dict[str, dict[str, str]]:
    programs = top.take("short_flags", dict)
    return short_flags_of(strictjson.Fields(programs, "short_flags"), [*programs])


def _members(members: strictjson.Fields, flags: strictjson.Fields, environment: strictjson.Fields) -> Members:
    return members_from(
        members,
        flags=texts_of(flags, "value"),
        variables=texts_of(environment, "value"),
        endings=texts_of(environment, "suffixes"),
    )
