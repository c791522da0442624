"""Configuration files: read strictly, and every fault is the caller's, named by its member."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import admission.config
import trustkit.broker.config
import trustkit.store.config
from trustkit.errors import FormatError, LimitError, UsageError
from trustkit.programs.settings import (
    MAX_BYTES,
    TELLING,
    count,
    host_and_port,
    host_port,
    load_file,
    parse_settings,
    seconds,
    split_host_port,
)
from trustkit.strictjson import Fields


def whole(fields):
    found = (fields.take("name", str), fields.maybe("many", int))
    fields.done()
    return found


def test_yaml_and_json_are_read():
    assert parse_settings(b"name: a\nmany: 3\n", whole) == ("a", 3)
    assert parse_settings(b'{"name": "a"}', whole) == ("a", None)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (
            b"name: a\nmany: [",
            "not valid YAML in line 2, column 8: expected the node content, but found '<stream end>'",
        ),
        (
            b'name: a\nmany: "\\q"',
            "not valid YAML in line 2, column 9: found unknown escape character (not shown)",
        ),
        (b"\xff\xfe\xff", "not valid YAML in line 1, column 1: it is not UTF-8"),
        (b"[" * 5_000, "not valid YAML in line 1, column 65: it nests too deep"),
        (b"#" * (MAX_BYTES + 1), f"the configuration is larger than {MAX_BYTES} bytes"),
        (b"- a", "config must be an object"),
        (b"many: 3", "config lacks 'name'"),
        (
            b"name: a\nname: b",
            "not valid YAML in line 2, column 1: a key that is there already, in line 1; leave one out",
        ),
        (b"{1: a}", "not valid YAML in line 1, column 2: a key that is no text"),
        (b"name: a\nother: b", "config has an unknown member 'other'"),
        (b"name: a\nmany: true", "config.many must be a whole number"),
    ],
)
def test_every_fault_is_a_bad_configuration(raw, message):
    with pytest.raises(UsageError) as caught:
        parse_settings(raw, whole)
    assert (caught.value.code, caught.value.message) == (
        "bad-config",
        f"the configuration is not valid: {message}",
    )


def test_the_fields_of_an_error_are_kept():
    def read(_fields):
        raise LimitError("too-large", "too much", field="config.x", limit=3)

    with pytest.raises(UsageError) as caught:
        parse_settings(b"{}", read)
    assert caught.value.evidence == {"field": "config.x", "limit": 3}


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_an_error_of_the_caller(raw):
    with pytest.raises(UsageError):
        parse_settings(raw, lambda fields: fields.take("\N{SNOWMAN}", dict))


def test_a_file_is_loaded_with_its_folder(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real/a.yaml").write_bytes(b"x")
    (tmp_path / "link").symlink_to("real")

    def load(raw, *, base, environ, argv):
        return raw, base, environ, argv

    found = load_file(tmp_path / "link/a.yaml", load, environ={"A": "b"}, argv=["c"])
    assert found == (b"x", tmp_path / "real", {"A": "b"}, ["c"])
    with pytest.raises(UsageError) as caught:
        load_file(Path(tmp_path, "absent"), load, environ={}, argv=[])
    assert caught.value.code == "no-such-file"


@pytest.mark.parametrize("text", ["a.b:0", "[::1]:65535", "127.0.0.1:80"])
def test_addresses_are_split_and_kept(text):
    host, _, port = text.rpartition(":")
    assert host_and_port(text) == split_host_port(text, "x") == (host.strip("[]"), int(port))
    assert host_port(text, "x") == text


@pytest.mark.parametrize("text", ["", "a", "a:", ":1", "a:65536", "::1:80", "a b:1", "a:1 ", "a:-1", "a:1\n"])
def test_what_is_no_address_is_refused_by_the_members_name(text):
    assert host_and_port(text) is None
    for read in (split_host_port, host_port):
        with pytest.raises(UsageError) as caught:
            read(text, "config.listen")
        assert (caught.value.code, caught.value.evidence) == ("bad-config", {"field": "config.listen"})
        assert caught.value.message == (
            "the configuration is not valid: config.listen must be HOST:PORT, such as 0.0.0.0:8443, with an "
            "IPv6 address in brackets"
        )
        with pytest.raises(
            UsageError, match=r"config\.stores\[0\]\.host must be HOST:PORT, such as host\.ex"
        ):
            read(text, "config.stores[0].host")


def test_numbers_have_defaults_bounds_and_a_place():
    fields = Fields({"a": 2, "b": 1.5}, "config")
    assert (count(fields, "a", 9, most=2), count(fields, "absent", 9, most=2)) == (2, 9)
    assert (seconds(fields, "b", 9, most=2), seconds(fields, "a", 9, most=2)) == (1.5, 2.0)
    assert seconds(fields, "absent", 1, most=2) == 1.0
    for value in (0, 3, -1):
        with pytest.raises(FormatError, match=r"^config\.limits\.a must be from 1 to 2 "):
            count(Fields({"a": value}, "config"), "a", 1, most=2, within="config.limits.")
    for value in (0, 2.5, True, "1", None, -1):
        with pytest.raises(FormatError, match=r"^config\.a must be more than 0 and at most 2 seconds "):
            seconds(Fields({"a": value}, "config"), "a", 1, most=2)


LOADS = {
    "trustkit-admission": admission.config,
    "trustkit-broker": trustkit.broker.config,
    "trustkit-store": trustkit.store.config,
}


@pytest.mark.parametrize("name", LOADS)
@pytest.mark.parametrize("port", ["8443", "[8443]", "1.5", '"8443"', "''"])
def test_a_port_alone_is_told_what_is_missing(name, port):
    text = {
        "trustkit-admission": "svid_directory: x\ntls: {}\npolicy: x\nstores: []\nsidecar: {}\n",
        "trustkit-broker": "svid_directory: x\npolicy: x\nopeners: []\nrecord: x\ngrants: []\n",
        "trustkit-store": "svid_directory: x\nroot: x\nreaders: []\n",
    }[name]
    with pytest.raises(UsageError) as caught:
        LOADS[name].load(f"{text}listen: {port}\n".encode(), base=Path(), environ={}, argv=[])
    assert caught.value.message == (
        "the configuration is not valid: config.listen must be HOST:PORT, such as 0.0.0.0:8443, with an IPv6 "
        "address in brackets"
    )


@pytest.mark.parametrize("name", LOADS)
@pytest.mark.parametrize("other", LOADS)
def test_the_configuration_of_another_program_is_named(name, other):
    text = "".join(f"{member}: x\n" for member in LOADS[other].MEMBERS["config"])
    with pytest.raises(UsageError) as caught:
        LOADS[name].load(text.encode(), base=Path(), environ={}, argv=[])
    assert caught.value.code == "bad-config"
    said = f"; this looks like the configuration of {other}"
    assert caught.value.message.endswith(said) == (name != other)


def test_what_tells_a_program_s_configuration_is_in_no_other():
    for name, own in TELLING.items():
        assert own <= set(LOADS[name].MEMBERS["config"])
        others = [LOADS[other].MEMBERS["config"] for other in LOADS if other != name]
        assert own.isdisjoint(member for members in others for member in members)
