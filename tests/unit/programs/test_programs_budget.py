"""Bytes are counted once, given back once, and never beyond what there is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustkit.errors import UnavailableError
from trustkit.programs.budget import Budget, Lease


def test_what_is_taken_is_missing_until_it_is_given_back():
    budget = Budget(10)
    lease = Lease(budget)
    lease.take(4)
    lease.take(6)
    with pytest.raises(UnavailableError) as caught:
        Lease(budget).take(1)
    assert (caught.value.code, budget.left) == ("overloaded", 0)
    lease.give_back()
    lease.give_back()
    assert budget.left == 10


def test_what_is_passed_on_is_held_by_the_other():
    budget = Budget(10)
    lease = Lease(budget)
    lease.take(7)
    other = lease.pass_on()
    lease.give_back()
    assert budget.left == 3
    other.give_back()
    assert budget.left == 10


def test_who_holds_part_of_two_budgets_is_bounded_by_both():
    everybody, ours = Budget(10), Budget(6)
    lease = Lease(everybody, ours)
    lease.take(6)
    with pytest.raises(UnavailableError):
        lease.take(1)
    assert (everybody.left, ours.left) == (4, 0)
    with pytest.raises(UnavailableError):
        Lease(everybody, Budget(6)).take(5)
    other = lease.pass_on()
    lease.give_back()
    assert (everybody.left, ours.left) == (4, 0)
    other.give_back()
    assert (everybody.left, ours.left) == (10, 6)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 50)), max_size=50))
def test_the_sum_is_never_exceeded_and_all_of_it_comes_back(steps):
    budget = Budget(100)
    leases = [Lease(budget) for _ in range(4)]
    held = 0
    for which, size in steps:
        if held + size > 100:
            with pytest.raises(UnavailableError):
                leases[which].take(size)
        else:
            leases[which].take(size)
            held += size
        assert budget.left == 100 - held
    for lease in leases:
        lease.give_back()
    assert budget.left == 100
