"""A broker in this process, with the real rules, a real record, and a request that it grants."""

import dataclasses
import json
import time

import pytest

from trustkit.broker.compose import compose
from trustkit.broker.config import load
from trustkit.broker.release import Broker
from trustkit.programs.deadline import Deadline
from trustkit.sealing.recipients import ephemeral_opener, unwrap_dek
from trustkit.sealing.release import ReleaseRequest, parse_answer, request_to_bytes
from trustkit.spiffe.names import SpiffeID


class Counter:
    """A broker, who asks it, and what it wrote."""

    def __init__(self, estate, model, **members):
        self.estate = estate
        self.model = model
        path = estate.broker_config(**members)
        self.record = path.parent / "record.jsonl"
        self.config = load(path.read_bytes(), base=path.parent, environ={})
        self.alarms = []
        self.composed = compose(
            self.config, clock=time.time, monotonic=time.monotonic, alarm=self.alarms.append
        )
        self.broker = self.composed.broker
        self.opener, self.ephemeral_key = ephemeral_opener()
        self.peer = SpiffeID("demo.test", "/sidecar")
        self.now = 0.0

    def change(self, **terms):
        """Put another broker in its place, with other terms and the same record."""
        self.broker = Broker(
            dataclasses.replace(self.broker._terms, **terms),
            record=self.broker._append,
            body_max_bytes=1 << 26,
            now=time.time,
            alarm=self.alarms.append,
        )

    def request(self, model=None, **changes):
        model = model or self.model
        request = ReleaseRequest(self.estate.documents(model), self.ephemeral_key, model.manifest_digest)
        documents = {
            name: changes.pop(name)
            for name in ("descriptor", "author_bundle", "recipients")
            if name in changes
        }
        request = dataclasses.replace(request, documents=dataclasses.replace(request.documents, **documents))
        return dataclasses.replace(request, **changes)

    def ask(self, request=None, *, peer=None, seconds=10.0, clock=None):
        body = request if isinstance(request, bytes) else request_to_bytes(request or self.request())
        clock = clock or (lambda: self.now)
        return self.broker.release(peer or self.peer, body, Deadline(self.now + seconds, clock))

    def opened(self, answer, model=None):
        """Open an answer as the sidecar does."""
        context = self.estate.proof(model or self.model).descriptor.context
        return unwrap_dek(parse_answer(answer).wrapped, context, self.opener)

    def entries(self):
        raw = self.record.read_bytes() if self.record.exists() else b""
        return [json.loads(line)["entry"] for line in raw.splitlines()]


@pytest.fixture(autouse=True)
def _few_engines(few_engines):
    """Every broker here composes with the rules of this version."""


@pytest.fixture
def counter(estate, model):
    return Counter(estate, model)


@pytest.fixture
def counter_with(estate, model):
    def make(**members):
        return Counter(estate, model, **members)

    return make
