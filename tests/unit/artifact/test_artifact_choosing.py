"""Which way of hashing fits, and what another would have saved: arithmetic on sizes."""

import pytest

from trustkit.artifact.choosing import AUTO_SHARD, Way, chosen, saved_by_shards

LARGE = AUTO_SHARD + 1


@pytest.mark.parametrize(
    ("choice", "sizes", "cores", "expected"),
    [
        ("files", [LARGE], 8, Way("files", None)),
        ("shards", [1], 1, Way("shards", 1000)),
        ("auto", [], 8, Way("files", None)),
        ("auto", [AUTO_SHARD, 1], 8, Way("files", None)),
        ("auto", [1, LARGE], 8, Way("shards", AUTO_SHARD)),
        ("auto", [LARGE], 1, Way("files", None)),
    ],
)
def test_the_way(choice, sizes, cores, expected):
    assert chosen(choice, 1000, sizes, cores=cores) == expected


def test_shards_of_auto_are_a_power_of_two():
    assert AUTO_SHARD == 1 << 28


@pytest.mark.parametrize(
    ("way", "sizes", "cores", "share"),
    [
        (Way("files", None), [8 * AUTO_SHARD], 2, 1 / 2),
        (Way("files", None), [8 * AUTO_SHARD], 8, 7 / 8),
        (Way("files", None), [8 * AUTO_SHARD], 64, 7 / 8),  # a shard is hashed in order too
        (Way("files", None), [8 * AUTO_SHARD] * 2, 2, 0),
        (Way("files", None), [8 * AUTO_SHARD] * 2, 4, 1 / 2),
        (Way("files", None), [6 * AUTO_SHARD, 2 * AUTO_SHARD], 2, 1 / 3),
        (Way("files", None), [8 * AUTO_SHARD], 1, 0),
        (Way("files", None), [AUTO_SHARD], 2, 0),
        (Way("files", None), [], 2, 0),
        (Way("shards", AUTO_SHARD), [8 * AUTO_SHARD], 2, 0),
    ],
)
def test_what_shards_would_save(way, sizes, cores, share):
    assert saved_by_shards(way, sizes, cores=cores, seconds=100.0) == pytest.approx(100 * share)
