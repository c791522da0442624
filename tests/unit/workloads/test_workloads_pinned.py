"""A digest in a reference counts where whoever fetches it compares it, and nowhere else."""

import pytest

from trustkit.workloads.grammar import is_pinned

DIGEST, COMMIT = "@sha256:" + "a" * 64, "@" + "a" * 40


@pytest.mark.parametrize("scheme", ["trust", "oci"])
def test_a_digest_pins(scheme):
    assert is_pinned(f"{scheme}://host/model{DIGEST}", scheme)
    assert not is_pinned(f"{scheme}://host/model:1", scheme)


@pytest.mark.parametrize("scheme", ["s3", "gs", "https", "pvc", "path", "hf", "name", "hostpath", "azure"])
def test_a_digest_that_nobody_compares_is_a_part_of_a_name(scheme):
    assert not is_pinned(f"{scheme}://bucket/model{DIGEST}", scheme)


def test_a_commit_pins_on_a_hub_alone():
    assert is_pinned(f"org/name{COMMIT}", "hf")
    assert not is_pinned(f"s3://bucket/name{COMMIT}", "s3")
