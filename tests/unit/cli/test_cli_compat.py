"""``trustkit sign --compat 1.1``: what model-signing 1.1 reads, and a word about what it cannot read."""

import base64
import json

import pytest


@pytest.fixture
def names(tmp_path):
    def read(bundle):
        payload = base64.b64decode(json.loads(bundle.read_bytes())["dsseEnvelope"]["payload"])
        return [entry["name"] for entry in json.loads(payload)["predicate"]["resources"]]

    return read


@pytest.fixture
def file(tmp_path):
    (tmp_path / "weights.bin").write_bytes(b"weights")
    return tmp_path / "weights.bin"


@pytest.fixture
def key(cli, tmp_path):
    assert cli("key", "generate", "--output", tmp_path / "key.pem").status == 0
    return tmp_path / "key.pem"


def test_a_single_file_is_named_dot_on_demand_only(cli, file, key, names, tmp_path):
    assert cli("sign", file, "--key", key).status == 0
    assert names(tmp_path / "weights.bin.sig") == ["weights.bin"]
    assert cli("sign", file, "--key", key, "--compat", "1.1", "--overwrite").status == 0
    assert names(tmp_path / "weights.bin.sig") == ["."]
    assert cli("verify", file, "--key", f"{key}.pub").status == 0


def test_what_it_cannot_read_is_a_warning(cli, file, key):
    ran = cli("sign", file, "--key", key, "--compat", "1.1", "--hash", "blake3", "--json")
    assert ran.status == 0
    assert any("model-signing 1.1" in text for text in ran.document["warnings"])


def test_another_version_is_refused(cli, file, key):
    ran = cli("sign", file, "--key", key, "--compat", "1.0")
    assert (ran.status, ran.code) == (2, "bad-arguments")
