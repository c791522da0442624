"""A file of another kind than its flag takes is named, with the flag that it belongs to."""

import json
import os
import struct

import pytest

from trustkit.cli import kinds
from trustkit.cli.dispatch import parser_of
from trustkit.cli.kinds import TAKES, TAKES_THERE, kind_of
from trustkit.cli.verbs import VERBS

HEADER = b'{"__metadata__":{}}'
OTHERS = {
    "gguf": (b"GGUF\3\0\0\0" + bytes(16), "a model file (GGUF)"),
    "safetensors": (struct.pack("<Q", len(HEADER)) + HEADER, "a model file (safetensors)"),
    "zip": (b"PK\3\4" + bytes(30), "a ZIP archive"),
    "config": (b'{\n  "architectures": ["LlamaForCausalLM"]\n}', "a model's config.json"),
    "lock": (b'{"version": "trustkit.dev/lock/v1", "models": []}', "a lockfile"),
    "table": (b"version: trustkit.dev/workloads/v1\nkinds: []\n", "a table of rows"),
    "objects": (b"---\napiVersion: apps/v1\nkind: Deployment\n", "a file of Kubernetes objects"),
    "json-policy": (
        b'{"apiVersion":"trustkit.dev/v1alpha1","kind":"VerificationPolicy"}',
        "a trust policy",
    ),
}


@pytest.fixture
def file_of(world, tmp_path):
    """A file of a kind, by its name."""
    ours = {
        "policy": world.policy,
        "private": world.author,
        "public": world.public(world.author),
        "bundle": world.model / "model.sig",
        "descriptor": world.sealed / "descriptor.sigstore.json",
        "recipients": world.sealed / "recipients.json",
        "shared": world.shared,
    }

    def find(kind):
        if kind in ours:
            return ours[kind]
        path = tmp_path / kind
        path.write_bytes(OTHERS[kind][0])
        return path

    return find


@pytest.mark.parametrize(
    ("words", "kind", "said"),
    [
        (
            "verify MODEL --key",
            "policy",
            "a trust policy, and --key takes a public key; give it with --policy",
        ),
        ("verify MODEL --key", "bundle", "a bundle, and --key takes a public key; give it with --bundle"),
        ("verify MODEL --ca", "public", "a public key, and --ca takes a certificate; give it with --key"),
        (
            "verify MODEL --ca",
            "policy",
            "a trust policy, and --ca takes a certificate; give it with --policy",
        ),
        (
            "verify MODEL --policy",
            "public",
            "a public key, and --policy takes a trust policy; give it with --key",
        ),
        ("verify MODEL --policy", "lock", "a lockfile, and --policy takes a trust policy"),
        ("verify MODEL --policy", "recipients", "a recipients document, and --policy takes a trust policy"),
        (
            "verify MODEL --key PUBLIC --bundle",
            "config",
            "a model's config.json, and --bundle takes a bundle",
        ),
        ("verify MODEL --key PUBLIC --bundle", "safetensors", "(safetensors), and --bundle takes a bundle"),
        (
            "verify MODEL --policy POLICY --bundle",
            "descriptor",
            "a publisher's descriptor, and --bundle takes",
        ),
        ("sign MODEL --overwrite --key", "policy", "a trust policy, and --key takes a private key"),
        ("sign MODEL --overwrite --key", "public", "is a public key; give the private one"),
        (
            "sign MODEL --overwrite --key PRIVATE --certificate",
            "policy",
            "and --certificate takes a certificate",
        ),
        ("check MANIFESTS --lock", "policy", "a trust policy, and --lock takes a lockfile"),
        ("pin MANIFESTS --from X=MODEL --policy", "lock", "takes a trust policy; give it with --lock"),
        (
            "pin MANIFESTS --from trust://s/m=MODEL --key PUBLIC --lock",
            "json-policy",
            "give it with --policy",
        ),
        ("check MANIFESTS --table", "objects", "and --table takes a table of rows; give it with --bases"),
        (
            "check MANIFESTS --bases",
            "table",
            "and --bases takes a file of Kubernetes objects; give it with --table",
        ),
        ("policy check", "bundle", "a bundle, and policy check takes a trust policy"),
        (
            "open SEALED --output OUT --key PUBLIC --opener",
            "policy",
            "takes a private key; give it with --policy",
        ),
        ("rewrap SEALED --policy POLICY --opener OPENER --add", "policy", "and --add takes a public key"),
        (
            "kserve seal MODEL --output OUT --author-key PUBLIC --jwk",
            "private",
            "and --jwk takes a shared key",
        ),
        (
            "pin MANIFESTS --key PUBLIC --from trust://s/m=",
            "gguf",
            "a bundle, or what has its signature beside it",
        ),
        (
            "pin MANIFESTS --key PUBLIC --from trust://s/m=",
            "policy",
            "and --from takes a bundle; give it with --p",
        ),
    ],
)
def test_a_file_of_another_kind_is_named(cli, world, model, sealed, file_of, tmp_path, words, kind, said):
    manifests = tmp_path / "pod.yaml"
    manifests.write_text(
        "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec:\n  containers:\n"
        "  - {name: a, image: vllm/vllm-openai, args: [--model, trust://s/m]}\n  - {name: b, image: X}\n"
    )
    places = {
        "MODEL": model,
        "SEALED": sealed,
        "OUT": tmp_path / "out",
        "MANIFESTS": manifests,
        "PUBLIC": world.public(world.author),
        "PRIVATE": world.author,
        "POLICY": world.policy,
        "OPENER": world.opener,
        "X=MODEL": f"trust://s/m={model}",
        "trust://s/m=MODEL": f"trust://s/m={model}",
    }
    given = [places.get(word, word) for word in words.split()]
    path = file_of(kind)
    if words.endswith("="):
        given[-1] = f"{given[-1]}{path}"
    else:
        given.append(path)
    ran = cli(*given)
    assert ran.status in {1, 2, 3}
    assert said in ran.err
    assert str(path) in ran.err


@pytest.mark.parametrize("kind", ["private", "policy", "lock"])
def test_a_passphrase_file_holds_a_passphrase(cli, file_of, tmp_path, kind):
    ran = cli("key", "generate", "--output", tmp_path / "new.pem", "--passphrase-file", file_of(kind))
    assert (ran.status, ran.code) == (2, "bad-passphrase")
    assert not (tmp_path / "new.pem").exists()


@pytest.mark.parametrize("kind", [*OTHERS, "shared"])
def test_what_is_not_shown_is_named(cli, file_of, kind):
    ran = cli("inspect", file_of(kind))
    assert (ran.status, ran.code) == (3, "unknown-document")
    assert OTHERS.get(kind, (b"", "a shared key"))[1] in ran.err or "verification policy" in ran.err


def test_nothing_of_a_file_is_told(cli, world, model, file_of):
    ran = cli("verify", model, "--policy", file_of("shared"), "--json")
    assert json.loads(world.shared.read_text())["k"] not in ran.out + ran.err
    assert "a shared key" in ran.document["message"]


def test_a_refusal_about_something_else_stays(cli, world, model):
    ran = cli("sign", model, "--key", world.author, "--bundle", world.policy)
    assert (ran.status, ran.code) == (2, "output-exists")


def test_every_flag_that_takes_a_file_says_which():
    for verb in VERBS:
        known = {**TAKES, **TAKES_THERE.get(verb, {})}
        for flag in parser_of(verb).flags:
            if (
                flag.files
                and flag.name.startswith("--")
                and flag.metavar == "FILE"
                and flag.name != "--output"
            ):
                assert flag.name in known, (verb, flag.name)


@pytest.mark.parametrize(
    "raw", [b"", b"correct horse\n", b"\n" * (1 << 20), b" " * (1 << 20), b"{" * (1 << 20)]
)
def test_what_nobody_knows_has_no_name_and_takes_no_time(raw):
    assert kind_of(raw) is None


def test_a_text_in_utf_16_is_named(cli, world, tmp_path):
    (tmp_path / "key").write_text(world.public(world.author).read_text(), encoding="utf-16")
    ran = cli("verify", world.model, "--key", tmp_path / "key")
    assert "is a text in UTF-16, to be saved as UTF-8, and --key takes a public key" in ran.err


def test_a_sealed_folder_is_not_sealed_again(cli, world, sealed, seal_words, tmp_path):
    words = [
        world.author if word == world.publisher else word
        for word in seal_words(world, sealed, tmp_path / "o")
    ]
    ran = cli(*words)
    assert ran.code == "file-missing"
    assert "this is a sealed folder; seal what it opens to" in ran.err


@pytest.mark.parametrize("more", [[], ["--overwrite"], ["--add"]])
def test_a_sealed_folder_is_not_signed(cli, world, more):
    before = (world.sealed / "model.sig").read_bytes()
    ran = cli("sign", world.sealed, "--key", world.author, *more)
    assert (ran.status, ran.code) == (2, "sealed-folder")
    assert (world.sealed / "model.sig").read_bytes() == before


@pytest.fixture
def inline(world):
    """A policy that holds the key of somebody who did not sign, and so what is to be told."""
    pem = world.public(world.publisher).read_text()
    lines = "".join(f"        {line}\n" for line in pem.splitlines())
    text = world.policy.read_text()
    start = text.index("  authorities:")
    path = world.policy.with_name("inline.yaml")
    path.write_text(
        f"{text[:start]}  authorities:\n  - name: a\n    roles: [author]\n    key:\n      pem: |\n{lines}"
    )
    return path


def test_a_policy_that_holds_its_keys_is_a_policy(cli, world, model, inline):
    ran = cli("verify", model, "--policy", inline)
    assert (ran.status, ran.code) == (1, "wrong-signer")
    assert "public key, and" not in ran.err
    assert "a trust policy, and --ca takes a certificate" in cli("verify", model, "--ca", inline).err
    inline.write_text(inline.read_text().replace("roles:", "rolls:"))
    assert "rolls" in cli("policy", "check", inline).err


def test_a_file_that_is_no_file_any_more_is_not_looked_at(tmp_path):
    path = tmp_path / "swapped"
    os.mkfifo(path)
    assert kinds._beginning(path) == b""
    assert kinds._beginning(tmp_path / "absent") == b""
