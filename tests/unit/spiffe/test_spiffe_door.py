"""How fast newcomers are let in, over real sockets; all else of a door is in `test_spiffe_serving.py`."""

import asyncio
import contextlib
import itertools
import socket

import uvloop

from trustkit.spiffe.door import Door
from trustkit.spiffe.listening import Limits, bound

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


async def application(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


def run(story):
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(asyncio.wait_for(story, 20))


@contextlib.asynccontextmanager
async def opened(limits, crowd):
    """A door, at which a crowd stands before it opens."""
    with contextlib.ExitStack() as last:
        listener = last.enter_context(contextlib.closing(bound("127.0.0.1:0")))
        for _ in range(crowd):
            last.enter_context(socket.create_connection(listener.getsockname(), 10))
        door = Door(application, lambda: None, limits)
        accepting = asyncio.create_task(door.accept(listener))
        yield door, listener
        door.abort()
        everything = (accepting, *door.guests)
        for task in everything:
            task.cancel()
        await asyncio.gather(*everything, return_exceptions=True)


def test_many_that_come_together_are_let_in_together_and_no_more_than_a_turn_allows():
    async def story():
        async with opened(Limits(connections=512), 200) as (door, _):
            steps = [len(door.guests)]
            while steps[-1] < 200:
                await asyncio.sleep(0)
                steps.append(len(door.guests))
            assert max(later - sooner for sooner, later in itertools.pairwise(steps)) == 64

    run(story())


def test_who_comes_alone_is_let_in_after_a_crowd():
    async def story():
        async with opened(Limits(connections=512), 3) as (_, listener):
            await asyncio.sleep(0.1)
            reader, writer = await asyncio.open_connection(*listener.getsockname())
            writer.write(GET)
            assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
            writer.close()

    run(story())


def test_in_a_full_house_one_is_let_in_at_a_time():
    """Of many that are let in at once, each would push out the one before, which had no time to begin."""

    async def story():
        async with opened(Limits(connections=4), 40) as (door, _):
            take, seen = door._places.take, []

            async def counted():
                seen.append(1)
                return await take()

            door._places.take = counted
            turns = 0
            while len(seen) < 40:
                await asyncio.sleep(0)
                turns += 1
            assert turns >= 40 - 4

    run(story())
