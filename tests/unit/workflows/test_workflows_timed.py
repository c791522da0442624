"""What a faster way would have saved: an estimate from this run's own clock, said only if it is worth it."""

import itertools
from concurrent.futures import ThreadPoolExecutor

import pytest

from trustkit.artifact.choosing import AUTO_SHARD, Way
from trustkit.workflows import sign, verify
from trustkit.workflows.timed import Asked, savings

FILES = Way("files", None)


def ticking(*paces):
    """A clock that goes on by these steps, in turn, between the first and second look of each pair."""
    moments = itertools.chain.from_iterable((0.0, pace) for pace in paces)
    return lambda: next(moments)


def asked(*paces, algorithm="sha256", workers=2):
    return Asked("files", algorithm, 1, False, (), workers, None, ticking(*paces))


def test_a_short_run_needs_no_advice():
    assert savings(FILES, asked(), [8 * AUTO_SHARD], 1.0) == {}


def test_both_ways_from_one_large_file():
    """Shards would halve it; blake3, here four times as fast, takes a quarter of what is left."""
    found = savings(FILES, asked(*[1.0] * 5, *[0.25] * 5), [8 * AUTO_SHARD], 100.0)
    assert found == pytest.approx({"--method auto": 50.0, "--hash blake3": 87.5})


def test_the_best_of_a_few_samples_counts():
    found = savings(FILES, asked(9.0, 1.0, 9.0, 9.0, 9.0, 9.0, 9.0, 0.5, 9.0, 9.0), [1], 100.0)
    assert found == pytest.approx({"--hash blake3": 50.0})


def test_a_machine_on_which_the_other_hash_is_slower():
    assert savings(FILES, asked(*[1.0] * 5, *[2.0] * 5), [1], 100.0) == {}


def test_whoever_uses_it_is_not_told_to():
    assert savings(FILES, asked(algorithm="blake3"), [1], 100.0) == {}


def test_a_saving_of_less_than_a_second_is_not_told():
    assert savings(FILES, asked(*[1.0] * 5, *[0.95] * 5), [1], 10.0) == {}


def test_of_an_executor_nothing_is_known():
    assert savings(FILES, asked(workers=object()), [8 * AUTO_SHARD], 100.0) == {}


def test_a_clock_that_stands_still():
    assert savings(FILES, asked(*[0.0] * 10), [1], 10.0) == {}


def test_signing_tells(model, signer):
    made = sign(model, signer, clock=ticking(100.0, *[1.0] * 5, *[0.25] * 5))
    assert made.faster == pytest.approx({"--hash blake3": 75.0})


def test_auto_writes_files_for_a_small_model_and_shards_for_a_large_one(model, signer, policy):
    assert sign(model, signer, method="auto").manifest.method == "files"
    with (model / "large").open("wb") as file:
        file.truncate(AUTO_SHARD + 1)
    made = sign(model, signer, method="auto", algorithm="blake3", workers=2, overwrite=True)
    assert (made.manifest.method, made.manifest.shard_size) == ("shards", AUTO_SHARD)
    verify(model, policy).close()
    assert (
        sign(model, signer, method="auto", algorithm="blake3", workers=1, overwrite=True).manifest.method
        == "files"
    )


def test_an_executor_hashes_instead_of_our_threads(model, signer):
    expected = sign(model, signer).manifest
    with ThreadPoolExecutor(2) as pool:
        assert sign(model, signer, workers=pool, overwrite=True).manifest == expected
        assert pool.submit(int).result() == 0  # it stays the caller's
