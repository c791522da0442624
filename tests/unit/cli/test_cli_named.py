"""A refusal names the file that it is about: a command may have been given several."""

import pytest


@pytest.mark.parametrize(
    "words",
    [
        ("verify", "MODEL", "--key", "BAD"),
        ("verify", "MODEL", "--ca", "BAD"),
        ("verify", "MODEL", "--policy", "BAD"),
        ("policy", "check", "BAD"),
        ("sign", "MODEL", "--overwrite", "--key", "BAD"),
        ("open", "SEALED", "--key", "KEY", "--output", "OUT", "--opener", "BAD"),
        ("open", "SEALED", "--opener", "OPENER", "--output", "OUT", "--key", "KEY", "--publisher-key", "BAD"),
        (
            "rewrap",
            "SEALED",
            "--opener",
            "OPENER",
            "--key",
            "KEY",
            "--publisher-key",
            "PUBLISHER",
            "--add",
            "BAD",
        ),
        ("kserve", "open", "SEALED", "--key", "KEY", "--jwk", "BAD", "--output", "OUT"),
        ("check", "MANIFEST", "--table", "BAD"),
        ("check", "MANIFEST", "--bases", "BAD"),
        ("check", "MANIFEST", "--lock", "BAD"),
        ("pin", "MANIFEST", "--from", "FROM", "--key", "KEY", "--lock", "BAD"),
    ],
)
def test_a_file_that_is_not_what_it_should_be_is_named(cli, world, model, tmp_path, words):
    bad = tmp_path / "bad.file"
    bad.write_text("nothing: of\nnothing: the kind\n", encoding="utf-8")
    manifest = tmp_path / "manifest.yaml"
    manifest.write_text("{apiVersion: v1, kind: Pod, metadata: {name: x}, spec: {}}", encoding="utf-8")
    files = {
        "MODEL": model,
        "SEALED": world.sealed,
        "BAD": bad,
        "KEY": world.public(world.author),
        "PUBLISHER": world.public(world.publisher),
        "OPENER": world.opener,
        "MANIFEST": manifest,
        "FROM": f"s3://b/m={model}",
        "OUT": tmp_path / "out",
    }
    ran = cli(*(files.get(word, word) for word in words))
    assert ran.status in {2, 3}
    assert ran.err.count(str(bad)) == 1
