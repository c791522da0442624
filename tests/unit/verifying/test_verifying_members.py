"""A member that policies are said to have and that nobody reads yet is refused: it might narrow the trust."""

import copy
import json

import pytest

from trustkit.errors import UsageError
from trustkit.verifying import policy as policies
from trustkit.verifying.policy import parse_policy

NOW = 1_800_000_000.0
PLACES = {
    "policy": (),
    "metadata": ("metadata",),
    "spec": ("spec",),
    "spec.authorities[]": ("spec", "authorities", 0),
    "spec.authorities[].key": ("spec", "authorities", 0, "key"),
    "spec.authorities[].certificate": ("spec", "authorities", 1, "certificate"),
    "spec.authorities[].certificate.roots": ("spec", "authorities", 1, "certificate", "roots"),
}


@pytest.fixture(scope="module")
def document(policy_text, forger):
    """A sound policy with an authority of each kind."""
    whole = json.loads(policy_text({"alice": ["author"]}))
    roots = {"pem": forger.Issuer(NOW, name="root", uris=()).pem.decode()}
    whole["spec"]["authorities"].append(
        {"name": "ca", "roles": ["publisher"], "certificate": {"roots": roots}}
    )
    return whole


def test_every_place_is_looked_at():
    assert PLACES.keys() == policies.MEMBERS.keys()


@pytest.mark.parametrize("place", PLACES)
def test_a_member_that_is_known_and_not_read(document, no_files, monkeypatch, place):
    changed = copy.deepcopy(document)
    inner = changed
    for step in PLACES[place]:
        inner = inner[step]
    parse_policy(json.dumps(changed).encode(), read_file=no_files)
    inner["later"] = 1
    monkeypatch.setitem(policies.MEMBERS, place, (*policies.MEMBERS[place], "later"))
    with pytest.raises(UsageError, match="unknown member 'later'") as caught:
        parse_policy(json.dumps(changed).encode(), read_file=no_files)
    assert caught.value.code == "bad-policy"
