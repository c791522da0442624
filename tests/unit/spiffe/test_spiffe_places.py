"""Who loses its place to whom; over real sockets in `test_spiffe_serving.py`."""

import asyncio

from trustkit.spiffe.places import Line, Places


def run(story):
    return asyncio.run(asyncio.wait_for(story, 10))


async def taken(places, count):
    """Take places; return them, and the list of those that were given up since."""
    gone = []
    found = []
    for _ in range(count):
        place = await places.take()
        place.give_up = lambda place=place: gone.append(place)
        found.append(place)
    return found, gone


def test_there_is_room_until_there_is_none():
    async def story():
        places = Places(3)
        [first, *_], gone = await taken(places, 3)
        assert gone == []
        await places.take()
        assert gone == [first]

    run(story())


def test_handshakes_go_first_then_the_idle_then_bodies_then_answers_and_each_in_turn():
    async def story():
        places = Places(8)
        (a, b, c, d, e, f, g, h), gone = await taken(places, 8)
        for place, line in ((g, Line.ANSWER), (a, Line.BODY), (b, Line.REQUEST), (e, Line.BODY)):
            place.waits(line)
        for place, line in ((h, Line.ANSWER), (f, Line.REQUEST), (b, Line.REQUEST)):
            place.waits(line)  # b moves, and so goes to the end
        for _ in range(8):
            (await places.take()).works()
        assert gone == [c, d, f, b, a, e, g, h]

    run(story())


def test_who_works_keeps_its_place_until_it_waits():
    async def story():
        places = Places(1)
        [busy], gone = await taken(places, 1)
        busy.works()
        assert not places.evict()
        newcomer = asyncio.create_task(places.take())
        await asyncio.sleep(0)
        assert not newcomer.done()
        busy.waits(Line.REQUEST)
        await newcomer
        assert gone == [busy]

    run(story())


def test_a_place_that_is_left_is_free_once_and_never_taken_back():
    async def story():
        places = Places(1)
        [first], gone = await taken(places, 1)
        first.leave()
        first.leave()
        first.waits(Line.HANDSHAKE)
        assert not places.evict()
        second = await places.take()
        second.works()
        first.leave()
        newcomer = asyncio.create_task(places.take())
        await asyncio.sleep(0)
        assert not newcomer.done()
        second.leave()
        await newcomer
        assert gone == []

    run(story())


def test_one_line_alone_can_be_cleared():
    async def story():
        places = Places(2)
        (idle, shaking), gone = await taken(places, 2)
        idle.waits(Line.REQUEST)
        assert places.evict(Line.HANDSHAKE)
        assert not places.evict(Line.HANDSHAKE)
        assert gone == [shaking]

    run(story())


def test_a_place_without_a_connection_is_given_up_all_the_same():
    async def story():
        places = Places(1)
        await places.take()
        assert places.evict()
        assert not places.evict()

    run(story())


def test_who_waits_when_a_place_is_wanted_goes_at_once_even_if_it_moves_again_in_that_moment():
    async def story():
        places = Places(1)
        [busy], gone = await taken(places, 1)
        busy.works()
        newcomer = asyncio.create_task(places.take())
        await asyncio.sleep(0)
        busy.waits(Line.REQUEST)
        busy.works()
        await newcomer
        assert gone == [busy]

    run(story())


def test_who_has_sent_more_than_was_answered_yields_when_somebody_waits_and_one_alone():
    async def story():
        places = Places(3)
        crowd, gone = await taken(places, 3)
        for place in crowd:
            place.works()
        assert not any(place.yields() for place in crowd)
        newcomer = asyncio.create_task(places.take())
        await asyncio.sleep(0)
        assert [place.yields() for place in crowd] == [True, False, False]
        await newcomer
        assert not crowd[1].yields()
        assert gone == []  # it ends by itself, once its answer is taken

    run(story())


def test_a_few_places_are_kept_from_those_that_send_on_and_on():
    async def story():
        places = Places(16)
        crowd, _ = await taken(places, 16)
        for place in crowd:
            place.works()
        assert [place.yields() for place in crowd].count(True) == 2
        assert places.free_now

    run(story())


def test_who_comes_when_room_was_asked_for_in_vain_is_not_the_one_that_goes():
    """Without descriptors a place is asked for though some are free."""

    async def story():
        places = Places(3)
        (busy, other), gone = await taken(places, 2)
        busy.works()
        other.leave()
        assert not places.make_room()
        await taken(places, 1)
        assert gone == []
        assert places.make_room()  # it was on a line

    run(story())
