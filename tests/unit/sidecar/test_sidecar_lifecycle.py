"""The table of states: exhaustive over all pairs, and over random walks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustkit.sidecar.lifecycle import NEXT, Lifecycle, State

ORDER = list(State)
"""As the table's prose tells them; FAILED stands last."""


def at(state):
    """A lifecycle in this state, reached as the table allows."""
    roads = {
        State.STARTING: [],
        State.IDENTIFIED: [State.IDENTIFIED],
        State.VERIFIED: [State.IDENTIFIED, State.VERIFIED],
        State.KEYED: [State.IDENTIFIED, State.VERIFIED, State.KEYED],
        State.OPENED: [State.IDENTIFIED, State.VERIFIED, State.OPENED],
        State.READY: [State.IDENTIFIED, State.VERIFIED, State.KEYED, State.OPENED, State.READY],
        State.FAILED: [State.FAILED],
    }
    life = Lifecycle(lambda *_: None)
    for step in roads[state]:
        life.advance(step)
    assert life.state is state
    return life


ALLOWED = {
    (State.STARTING, State.IDENTIFIED),
    (State.IDENTIFIED, State.VERIFIED),
    (State.VERIFIED, State.KEYED),
    (State.VERIFIED, State.OPENED),
    (State.KEYED, State.OPENED),
    (State.OPENED, State.READY),
    (State.STARTING, State.FAILED),
    (State.IDENTIFIED, State.FAILED),
    (State.VERIFIED, State.FAILED),
    (State.KEYED, State.FAILED),
    (State.OPENED, State.FAILED),
}


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("to", State)
def test_every_pair_is_allowed_or_refused(state, to):
    life = at(state)
    if (state, to) in ALLOWED:
        life.advance(to)
        assert life.state is to
    else:
        with pytest.raises(ValueError, match=f"{to.name} does not follow {state.name}"):
            life.advance(to)
        assert life.state is state


@given(st.lists(st.sampled_from(ORDER), max_size=20))
def test_a_walk_only_goes_forward_and_is_told_in_order(wishes):
    told = []
    life = Lifecycle(lambda state, line: told.append((state, line)))
    visited = [life.state]
    for wish in wishes:
        if wish in NEXT[life.state]:
            life.advance(wish, wish.value)
            visited.append(wish)
    assert told == [(state, state.value) for state in visited[1:]]
    assert [ORDER.index(state) for state in visited] == sorted({ORDER.index(state) for state in visited})
    assert life.ready == (life.state is State.READY)
    if life.ready:
        assert State.OPENED in visited
        assert State.VERIFIED in visited


@pytest.mark.parametrize("state", State)
def test_failing_is_final_and_ready_does_not_fail(state):
    life = at(state)
    life.fail()
    assert life.state is (State.READY if state is State.READY else State.FAILED)
    life.fail()


def test_a_state_without_a_line_is_entered_silently():
    told = []
    Lifecycle(lambda *step: told.append(step)).advance(State.FAILED)
    assert told == []
