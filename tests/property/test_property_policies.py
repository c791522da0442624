"""Policies and keys under fire: whatever the bytes, the answer is a policy or a UsageError."""

import json

import pytest
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from trustkit.errors import UsageError
from trustkit.verifying.keys import public_key_from_pem
from trustkit.verifying.policy import parse_policy
from trustkit.verifying.strictyaml import StrictLoader

PEM = (
    ec.derive_private_key(0xC0FFEE, ec.SECP256R1())
    .public_key()
    .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
)
POLICY = {
    "apiVersion": "trustkit.dev/v1alpha1",
    "kind": "VerificationPolicy",
    "metadata": {"name": "house"},
    "spec": {
        "authorities": [{"name": "alice", "roles": ["author"], "key": {"pem": PEM.decode()}}],
        "threshold": 1,
        "lines": ["acme/tiny"],
    },
}
# YAML 1.1 folds these like line feeds, inside quotes too; JSON does not.
BREAKS = "\x85\u2028\u2029"
texts = st.text(st.characters(codec="utf-8", exclude_characters=BREAKS), max_size=20)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=10,
)


def parse(raw):
    return parse_policy(raw, read_file=lambda name: PEM)


def places(value, path=()):
    """Yield the path of every value inside a document."""
    yield path
    for key, inner in (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    ):
        yield from places(inner, (*path, key))


def put(value, path, new):
    """Return a copy of the document with another value at a path."""
    if not path:
        return new
    copied = value.copy()
    copied[path[0]] = put(value[path[0]], path[1:], new)
    return copied


@settings(deadline=None)
@given(st.binary(max_size=100) | st.text(max_size=100).map(str.encode))
def test_any_bytes_are_answered(raw):
    with pytest.raises(UsageError):
        parse(raw)


@settings(deadline=None, max_examples=300)
@given(st.text(alphabet="ab:-?[]{},&*!|>'\"%@`#\n \t<=~.019\\\u2028\ufeff", max_size=40))
def test_any_yaml_is_answered(text):
    with pytest.raises(UsageError):
        parse(text.encode())


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(list(places(POLICY))), json_values)
def test_any_value_in_any_place_is_answered(path, value):
    try:
        policy = parse(json.dumps(put(POLICY, path, value)).encode())
    except UsageError:
        return
    assert policy.threshold == 1
    assert len(policy.authorities) == 1
    assert {type(line) for line in policy.lines} <= {str}


@settings(deadline=None, max_examples=300)
@given(json_values)
def test_what_json_says_the_loader_says(value):
    """A policy in JSON is the same policy in YAML; dumps without escapes, since YAML's are not JSON's."""
    text = json.dumps(value, ensure_ascii=False)
    try:
        found = yaml.load(text, Loader=StrictLoader)
    except yaml.YAMLError:
        return  # what YAML 1.1 cannot say: some characters, and keys longer than a line
    assert json.dumps(found, sort_keys=True) == json.dumps(value, sort_keys=True)


@settings(deadline=None, max_examples=300)
@given(st.integers(0, 8 * len(PEM) - 1).filter(lambda bit: PEM[bit // 8 : bit // 8 + 1] != b"\n"))
def test_one_flipped_bit_of_a_key_is_no_key(bit):
    raw = bytearray(PEM)
    raw[bit // 8] ^= 1 << bit % 8
    with pytest.raises(UsageError):
        public_key_from_pem(bytes(raw), what="the key")


@settings(deadline=None)
@given(st.binary(max_size=120))
def test_any_bytes_inside_a_key_are_answered(raw):
    with pytest.raises(UsageError):
        public_key_from_pem(
            b"-----BEGIN PUBLIC KEY-----\n" + raw + b"\n-----END PUBLIC KEY-----\n", what="the key"
        )
