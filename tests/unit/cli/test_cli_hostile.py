"""Whatever stands where a path belongs: one answer, the right class, and everything as it was before.

Each good command of each verb is run with one of its values replaced by something hostile. What must hold is
always the same: an exit status of the table, one JSON document, no traceback, no hang, nothing written,
nothing changed.
"""

import os
import shutil
import socket
import time

import pytest

from trustkit.cli.dispatch import parser_of
from trustkit.cli.verbs import VERBS

INPUTS = (
    "a folder",
    "a fifo",
    "a device without end",
    "a device that is full",
    "a terminal of nobody",
    "a socket",
    "a dangling link",
    "a link in a circle",
    "a file that cannot be read",
    "a path through a file",
    "a name that is no text",
    "a name that paints",
    "a huge name",
    "a huge path",
    "nothing at all",
    "a NUL",
    "noise",
    "an empty file",
)


@pytest.fixture
def hostile(tmp_path):
    """Make each kind of hostile path by its name."""
    folder = tmp_path / "hostile"
    folder.mkdir()

    def make(kind):
        path = folder / "it"
        if kind == "a folder":
            path.mkdir()
        elif kind == "a fifo":
            os.mkfifo(path)
        elif kind == "a socket":
            with socket.socket(socket.AF_UNIX) as listening:
                listening.bind(os.path.relpath(path))
        elif kind == "a dangling link":
            path.symlink_to(folder / "absent")
        elif kind == "a link in a circle":
            path.symlink_to(path)
        elif kind == "a path through a file":
            path.touch()
            return path / "below"
        elif kind == "noise":
            path.write_bytes(bytes(range(256)) * 100)
        elif kind == "an empty file":
            path.touch()
        return {
            "a device without end": "/dev/zero",
            "a device that is full": "/dev/full",
            "a terminal of nobody": "/dev/tty",
            "a file that cannot be read": "/proc/self/mem",
            "a name that is no text": f"{folder}/\udcff\udcfe",
            "a name that paints": f"{folder}/\x1b[2J\u202e\n",
            "a huge name": "x" * 100_000,
            "a huge path": "x/" * 60_000,
            "nothing at all": "",
            "a NUL": f"{path}\0",
        }.get(kind, path)

    return make


@pytest.fixture
def commands(world, model, sealed, tmp_path):
    """A command of each verb that would succeed."""
    manifest, lock, table = (tmp_path / name for name in ("pod.yaml", "model.lock", "table.yaml"))
    manifest.write_text("{apiVersion: v1, kind: Pod, spec: {containers: []}}", encoding="ascii")
    named = tmp_path / "named.yaml"
    named.write_text(
        "{apiVersion: v1, kind: Pod, spec: {containers: [{name: a, args: [--model=trust://store/tiny]}]}}",
        encoding="ascii",
    )
    lock.write_text('{"version": "trustkit.dev/lock/v1", "models": []}', encoding="ascii")
    table.write_text("version: trustkit.dev/workloads/v1", encoding="ascii")
    bases = tmp_path / "bases.yaml"
    bases.write_text(
        "{apiVersion: serving.kserve.io/v1, kind: LLMInferenceServiceConfig, metadata: {name: a}, spec: {}}",
        encoding="ascii",
    )
    signing = {
        "path": model,
        "--key": world.locked,
        "--passphrase-file": world.passphrase,
        "--bundle": tmp_path / "b",
    }
    return {
        "sign": signing,
        "verify": {"path": model, "--key": world.public(world.author), "--bundle": model / "model.sig"},
        "manifest": {"path": model, "--bundle": model / "model.sig"},
        "inspect": {"file": model / "model.sig"},
        "seal": {
            "path": model,
            "--key": world.locked,
            "--passphrase-file": world.passphrase,
            "--author-key": world.public(world.author),
            "--recipient": world.public(world.opener),
            "--bundle": model / "model.sig",
            "--line": "a/b",
            "--version": "1",
            "--output": tmp_path / "out",
        },
        "open": {
            "folder": sealed,
            "--opener": world.locked_opener,
            "--opener-passphrase-file": world.passphrase,
            "--key": world.public(world.author),
            "--publisher-key": world.public(world.publisher),
            "--output": tmp_path / "out",
        },
        "rewrap": {
            "folder": sealed,
            "--opener": world.locked_opener,
            "--opener-passphrase-file": world.passphrase,
            "--key": world.public(world.author),
            "--publisher-key": world.public(world.publisher),
            "--add": world.public(world.another),
            "--remove": world.public(world.opener),
        },
        "shred": {"folder": sealed},
        "kserve seal": {
            "path": model,
            "--jwk": world.shared,
            "--author-key": world.public(world.author),
            "--bundle": model / "model.sig",
            "--output": tmp_path / "out",
        },
        "kserve open": {
            "folder": shutil.copytree(world.for_kserve, tmp_path / "for-kserve"),
            "--jwk": world.shared,
            "--key": world.public(world.author),
            "--bundle": world.for_kserve / "model.sig",
            "--output": tmp_path / "out",
        },
        "key generate": {"--output": tmp_path / "out", "--passphrase-file": world.passphrase},
        "key public": {"file": world.locked, "--passphrase-file": world.passphrase},
        "policy check": {"file": world.policy},
        "check": {"path": manifest, "--lock": lock, "--table": table, "--bases": bases},
        "pin": {
            "path": named,
            "--from": f"trust://store/tiny={sealed}",
            "--key": world.public(world.author),
            "--publisher-key": world.public(world.publisher),
            "--lock": tmp_path / "new.lock",
            "--table": table,
            "--bases": bases,
        },
    }


@pytest.fixture
def beside(commands, world, forger, tmp_path):
    """Give the command of a verb in which a flag has its meaning."""

    def command(name, flag):
        values = dict(commands[name])
        if flag == "--ca":
            values.pop("--key")
        if flag == "--previous":
            values["--state-dir"] = tmp_path / "state"
        if flag == "--chain":
            folder = tmp_path / "certified"
            folder.mkdir()
            leaf, key = forger.Issuer(time.time(), name="root", uris=()).leaf(uris=(), extended=None)
            (folder / "key.pem").write_bytes(forger.key_pem(key))
            (folder / "leaf.pem").write_bytes(forger.pem(leaf))
            values.pop("--passphrase-file")
            values |= {"--key": folder / "key.pem", "--certificate": folder / "leaf.pem"}
        return values

    return command


def words(name, values):
    """Write a command; the path by position comes first."""
    places = [value for flag, value in values.items() if not flag.startswith("--")]
    flags = [word for flag, value in values.items() if flag.startswith("--") for word in (flag, value)]
    return (*name.split(), *places, *flags, "--json")


OUTPUTS = {
    ("sign", "--bundle"),
    ("seal", "--output"),
    ("open", "--output"),
    ("kserve seal", "--output"),
    ("kserve open", "--output"),
    ("key generate", "--output"),
}
READ = [
    (name, flag.name)
    for name in VERBS
    for flag in parser_of(name).flags
    if (flag.files or flag.name == "folder")
    and (name, flag.name) not in {*OUTPUTS, ("pin", "--lock")}  # which a first run makes
    and name != "demo"
]


def test_every_input_of_every_verb_is_tried():
    assert len(READ) == 61


FINE = {
    ("sign", "path", "noise"),
    ("sign", "path", "an empty file"),
    ("check", "path", "a folder"),
    ("check", "path", "an empty file"),
    ("key generate", "--passphrase-file", "noise"),
    ("sign", "--state-dir", "a name that is no text"),
    ("sign", "--state-dir", "a name that paints"),
}
"""What looks hostile and is not: nothing names no models, any file can be signed, any line be a passphrase,
any name a folder's."""


@pytest.mark.parametrize(
    ("name", "flag", "kind"),
    [(*pair, kind) for pair in READ for kind in INPUTS if (*pair, kind) not in FINE],
)
def test_a_hostile_input_changes_nothing(
    cli, commands, beside, hostile, snapshot, tmp_path, world, name, flag, kind
):
    if flag == "--policy" and name != "policy check":
        commands[name] = {
            key: value for key, value in commands[name].items() if key not in {"--key", "--author-key"}
        }
        commands[name] |= {"--opener": world.opener} if name in {"open", "rewrap"} else {}
        commands[name] |= {"--key": world.author} if name == "seal" else {}
        commands[name].pop("--passphrase-file", None)
        commands[name].pop("--opener-passphrase-file", None)
        commands[name].pop("--publisher-key", None)
    if (name, flag) == ("manifest", "path"):
        commands[name].pop("--bundle")  # beside it the path is only a name
    values = {**beside(name, flag), flag: hostile(kind)}
    before = snapshot(tmp_path), snapshot(world.folder)
    ran = cli(*words(name, values))
    assert ran.status in {1, 2, 3, 4, 5}
    assert ran.document["ok"] is False
    assert (snapshot(tmp_path), snapshot(world.folder)) == before
    assert len(ran.err.splitlines()) <= 1
    assert ran.err.rstrip("\n").isprintable()


EXPECTED = {
    "a folder": (2, "special-file"),
    "a fifo": (2, "special-file"),
    "a device without end": (2, "special-file"),
    "a device that is full": (2, "special-file"),
    "a socket": (2, "special-file"),
    "a dangling link": (2, "no-such-file"),
    "a link in a circle": (2, "no-such-file"),
    "a file that cannot be read": (5, "unreadable"),
    "a path through a file": (2, "no-such-file"),
    "a name that is no text": (2, "no-such-file"),
    "a name that paints": (2, "no-such-file"),
    "a huge name": (2, "bad-arguments"),
    "a huge path": (2, "bad-arguments"),
    "nothing at all": (2, "bad-arguments"),
    "a NUL": (2, "bad-arguments"),
}


@pytest.mark.parametrize(("kind", "expected"), EXPECTED.items())
@pytest.mark.parametrize(
    ("name", "flag"),
    [pair for pair in READ if pair[1] not in {"path", "folder", "--policy", "--state-dir"}],
)
def test_a_file_that_is_none_has_one_answer_everywhere(cli, beside, hostile, name, flag, kind, expected):
    values = {**beside(name, flag), flag: hostile(kind)}
    ran = cli(*words(name, values))
    assert (ran.status, ran.document["code"]) == expected


@pytest.mark.parametrize("name", [name for name in VERBS if name not in {"demo", "completion"}])
def test_the_commands_do_succeed_as_they_are(cli, commands, name):
    assert cli(*words(name, commands[name])).status == 0


@pytest.fixture
def writing(commands, world):
    """The commands that write, by verb: what to do to name an output."""

    def command(name, output):
        [flag] = [flag for verb, flag in OUTPUTS if verb == name]
        return words(name, {**commands[name], flag: output})

    return command


WRITERS = [name for name, _ in sorted(OUTPUTS)]
PLACES = {
    "an existing file": (2, {"output-exists"}),
    "an existing folder": (2, {"output-exists"}),
    "a fifo": (2, {"output-exists"}),
    "a device": (2, {"output-exists"}),
    "a dangling link": (2, {"output-exists"}),
    "a link to a model file": (2, {"output-exists"}),
    "the root": (2, {"output-exists"}),
    "here": (2, {"output-exists"}),
    "above": (2, {"output-exists"}),
    "the path itself": (2, {"output-exists", "output-is-input"}),
    "the key": (2, {"output-exists", "output-is-input"}),
    "the passphrase": (2, {"output-exists", "output-is-input"}),
    "the key by another way": (2, {"output-exists", "output-is-input"}),
    "a folder that is absent": (2, {"no-such-folder"}),
    "a folder that is a file": (2, {"no-such-folder"}),
    "nothing at all": (2, {"bad-arguments"}),
    "a NUL": (2, {"bad-arguments"}),
    "a huge name": (2, {"bad-arguments"}),
    "a name at the end of what is possible": (2, {"bad-arguments", "output-exists"}),
    "a place for nobody": (5, {"unwritable"}),
}


@pytest.fixture
def places(tmp_path, world, model, commands):
    """Where an output must not go, by name."""

    def make(kind, name):
        path = tmp_path / "place"
        given = commands[name]
        key = given.get("--key", given.get("--opener", world.author))
        if kind == "an existing file":
            path.write_text("precious")
        elif kind == "an existing folder":
            path.mkdir()
        elif kind == "a fifo":
            os.mkfifo(path)
        elif kind == "a dangling link":
            path.symlink_to(tmp_path / "absent")
        elif kind == "a link to a model file":
            path.symlink_to(model / "weights.bin")
        elif kind == "the key by another way":
            path.symlink_to(world.folder)
            return path / key.name
        elif kind == "a folder that is a file":
            path.touch()
            return path / "below"
        elif kind == "a name at the end of what is possible":
            path = tmp_path / ("x" * 255)
            path.touch()
        secret = given.get("--passphrase-file", given.get("--opener-passphrase-file", given.get("--jwk")))
        return {
            "a device": "/dev/null",
            "the root": "/",
            "here": ".",
            "above": "..",
            "the path itself": given.get("path", given.get("folder", key)),
            "the key": key,
            "the passphrase": secret,
            "a folder that is absent": path / "absent",
            "nothing at all": "",
            "a NUL": f"{path}\0",
            "a huge name": "x" * 256,
            "a place for nobody": "/proc/self/new",
        }.get(kind, path)

    return make


@pytest.mark.parametrize("kind", PLACES)
@pytest.mark.parametrize("name", WRITERS)
def test_an_output_goes_only_where_there_is_nothing(
    cli, writing, places, snapshot, tmp_path, world, monkeypatch, name, kind
):
    output = places(kind, name)
    monkeypatch.chdir(tmp_path)
    before = snapshot(tmp_path), snapshot(world.folder)
    ran = cli(*writing(name, output))
    status, codes = PLACES[kind]
    if (name, kind) in {("sign", "a place for nobody"), ("key generate", "a place for nobody")}:
        assert ran.status == 5
    else:
        assert ran.status == status, ran.err
        assert ran.document["code"] in codes
    assert (snapshot(tmp_path), snapshot(world.folder)) == before


@pytest.mark.parametrize("way", ["plain", "dots", "link"])
def test_a_sealed_folder_and_its_model_lie_apart(cli, writing, model, tmp_path, snapshot, way):
    (tmp_path / "link").symlink_to(model)
    inside = {"plain": model / "nested/out", "dots": model / "nested/../out", "link": tmp_path / "link/out"}[
        way
    ]
    before = snapshot(tmp_path)
    ran = cli(*writing("seal", inside))
    assert (ran.status, ran.document["code"]) == (2, "output-is-input")
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("way", ["plain", "link"])
def test_an_opened_folder_and_its_ciphertext_lie_apart(cli, writing, sealed, tmp_path, snapshot, way):
    (tmp_path / "link").symlink_to(sealed)
    inside = {"plain": sealed / "blobs/out", "link": tmp_path / "link/out"}[way]
    before = snapshot(tmp_path)
    ran = cli(*writing("open", inside))
    assert (ran.status, ran.document["code"]) == (2, "output-is-input")
    assert snapshot(tmp_path) == before


def test_a_path_may_not_lie_inside_its_output(cli, commands, model, tmp_path, snapshot):
    """The output would have to replace what the model lies in."""
    before = snapshot(tmp_path)
    for output in (tmp_path, model.parent):
        ran = cli(*words("seal", {**commands["seal"], "--output": output}))
        assert (ran.status, ran.document["code"]) == (2, "output-exists")
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("target", ["weights.bin", "nested/tokenizer.json", "nested"])
@pytest.mark.parametrize("overwrite", [(), ("--overwrite",)])
def test_a_bundle_never_takes_the_place_of_a_model_file(cli, world, model, snapshot, target, overwrite):
    before = snapshot(model)
    ran = cli("sign", model, "--key", world.author, "--bundle", model / target, *overwrite)
    assert ran.status == 2
    assert ran.code in {"output-exists", "not-replaceable", "output-is-input"}
    assert snapshot(model) == before


@pytest.mark.parametrize(
    "way", ["the key", "a link to the key", "a hard link to the key", "the passphrase", "a note"]
)
def test_overwriting_replaces_bundles_alone(cli, world, model, tmp_path, snapshot, way):
    key, secret, note = tmp_path / "key.pem", tmp_path / "passphrase", tmp_path / "note.txt"
    shutil.copy(world.locked, key)
    shutil.copy(world.passphrase, secret)
    note.write_text("precious")
    target = {"the key": key, "the passphrase": secret, "a note": note}.get(way, tmp_path / "other")
    if way == "a link to the key":
        target.symlink_to(key)
    elif way == "a hard link to the key":
        os.link(key, target)
    before = snapshot(tmp_path)
    words = ("sign", model, "--key", key, "--passphrase-file", secret, "--bundle", target, "--overwrite")
    ran = cli(*words)
    assert ran.status == 2
    assert ran.code in {"output-is-input", "not-replaceable"}
    assert snapshot(tmp_path) == before


def test_a_fifo_for_stdin_or_a_folder_of_secrets_is_not_read(program, world):
    for given in ("/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"):
        ran = program("key", "public", given, "--json")
        assert (ran.status, ran.document["code"]) == (2, "special-file")
    with world.author.open("rb") as file:
        assert program("key", "public", "/dev/stdin", stdin=file).status == 0


@pytest.mark.parametrize(
    "word", [b"\xff\xfe", b"\x1b]0;title\x07", b"--\xff", b"-\xff", "\u202etxt.exe".encode(), b"x" * 100_000]
)
def test_words_of_any_bytes_are_refused_in_one_harmless_line(program, word):
    for words in ((word,), (word, "--json"), ("verify", word, "--json"), ("sign", "x", word), ("key", word)):
        ran = program(*words)
        assert ran.status in {1, 2}
        assert len(ran.err.splitlines()) == 1
        assert ran.err.rstrip("\n").isprintable()
        assert len(ran.err) < 2500
        if "--json" in words:
            assert ran.document["ok"] is False


def test_more_words_than_anybody_needs(cli):
    for words in (["x", *["--only", "y"] * 100_000], ["x"] * 100_000, ["--key"] * 100_000):
        ran = cli("verify", *words, "--json")
        assert (ran.status, ran.document["code"]) == (2, "bad-arguments")
        assert ran.document["message"] == "more than 10000 words follow the verb"
    ran = cli("verify", "x", *["--only", "y"] * 1_000, "--json")
    assert (ran.status, ran.document["code"]) == (2, "no-authority")
