"""The configuration is one value or one error, and there is no way to serve our own secrets."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustkit.errors import UnavailableError, UsageError
from trustkit.spiffe.listening import Limits
from trustkit.spiffe.names import SpiffeID
from trustkit.store.config import MAX_READERS, check_places, check_readers, load, opened

GOOD = {"root": "models", "svid_directory": "/run/svid", "readers": ["spiffe://demo.test/sidecar"]}
BASE = Path("/etc/store")


def loaded(document=None, *, environ=None, argv=(), **members):
    raw = json.dumps({**(GOOD if document is None else document), **members}).encode()
    return load(raw, base=BASE, environ=environ or {}, argv=argv)


def refused(raw, field=None):
    with pytest.raises(UsageError) as caught:
        load(raw if isinstance(raw, bytes) else json.dumps(raw).encode(), base=BASE, environ={})
    assert caught.value.code == "bad-config"
    if field is not None:
        assert field in caught.value.message + str(caught.value.evidence)


def test_defaults_and_paths():
    config = loaded()
    assert config.root == Path("/etc/store/models")
    assert config.svid_directory == Path("/run/svid")
    assert config.listen == "0.0.0.0:8443"
    assert config.readers == (SpiffeID("demo.test", "/sidecar"),)
    assert config.limits == Limits()


def test_yaml_is_read_too():
    raw = b"root: models\nsvid_directory: svid\nlisten: '[::1]:0'\nreaders:\n  - spiffe://demo.test\n"
    raw += b"limits: {connections: 8}\n"
    config = load(raw, base=BASE, environ={})
    assert (config.listen, config.limits.connections) == ("[::1]:0", 8)


def test_flags_go_before_the_environment_before_the_file():
    environ = {"TRUSTKIT_STORE_LISTEN": "127.0.0.1:2", "TRUSTKIT_STORE_READERS": "spiffe://evil"}
    assert loaded(listen="127.0.0.1:1").listen == "127.0.0.1:1"
    assert loaded(listen="127.0.0.1:1", environ=environ).listen == "127.0.0.1:2"
    argv = ["serve", "--config", "x", "--listen", "127.0.0.1:3"]
    assert loaded(listen="127.0.0.1:1", environ=environ, argv=argv).listen == "127.0.0.1:3"
    assert loaded(environ=environ).readers == loaded().readers


@pytest.mark.parametrize("where", ["file", "environment", "flag"])
def test_an_address_that_is_none_is_refused_wherever_it_comes_from(where):
    with pytest.raises(UsageError) as caught:
        loaded(
            listen="nowhere" if where == "file" else "127.0.0.1:1",
            environ={"TRUSTKIT_STORE_LISTEN": "nowhere"} if where == "environment" else {},
            argv=["--listen", "nowhere"] if where == "flag" else [],
        )
    assert caught.value.code == "bad-config"


@pytest.mark.parametrize("name", ["root", "svid_directory", "readers"])
def test_what_is_required_is_missed(name):
    refused({key: value for key, value in GOOD.items() if key != name}, name)


@pytest.mark.parametrize(
    ("members", "field"),
    [
        ({"reader": ["spiffe://demo.test"]}, "reader"),
        ({"insecure": True}, "insecure"),
        ({"limits": {"connectionz": 1}}, "connectionz"),
        ({"limits": []}, "limits"),
        ({"root": 5}, "root"),
        ({"root": ""}, "root"),
        ({"root": "a\0b"}, "root"),
        ({"svid_directory": ""}, "svid_directory"),
        ({"listen": 8443}, "listen"),
        ({"readers": []}, "readers"),
        ({"readers": "spiffe://demo.test"}, "readers"),
        ({"readers": [5]}, "readers[0]"),
        ({"readers": ["demo.test"]}, "readers[0]"),
        ({"readers": ["spiffe://demo.test/a", "spiffe://demo.test/"]}, "readers[1]"),
        ({"readers": ["spiffe://demo.test/*"]}, "readers[0]"),
        ({"readers": ["spiffe://demo.test/a", "spiffe://demo.test/a"]}, "readers[1]"),
        ({"readers": ["spiffe://demo.test/a"] * (MAX_READERS + 1)}, "readers"),
        *(
            ({"limits": {name: value}}, name)
            for name, values in {
                "connections": (0, -1, 1.5, True, "8", 10**6, None),
                "head_bytes": (0, 1 << 21),
                "headers": (0, 1001),
                "idle_seconds": (0, -1, True, "8", 3601, None),
                "grace_seconds": (0,),
            }.items()
            for value in values
        ),
    ],
)
def test_what_is_wrong_is_named(members, field):
    refused({**GOOD, **members}, field)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b"5",
        b"root: a\nroot: b\nsvid_directory: c\nreaders: [spiffe://d/e]\n",
        b"root: &a x\nsvid_directory: *a\nreaders: [spiffe://d/e]\n",
        b"root: !!python/object/apply:os.system ['true']\n",
        b"root: [",
        b"\xff\xfe",
        b"root: x\n" + b"#" * (1 << 20),
        b"[" * 5000,
    ],
    ids=["empty", "a list", "a number", "twice", "an alias", "code", "no YAML", "not UTF-8", "huge", "deep"],
)
def test_a_file_that_is_none_is_refused(raw):
    refused(raw)


def test_limits_are_taken_by_their_names():
    config = loaded(limits={"connections": 7, "idle_seconds": 5, "stall_seconds": 0.5})
    assert (config.limits.connections, config.limits.idle_seconds, config.limits.stall_seconds) == (
        7,
        5.0,
        0.5,
    )


def test_readers_are_exact_or_a_whole_domain():
    exact = loaded(readers=["spiffe://demo.test/a", "spiffe://demo.test/b/c"])
    whole = loaded(readers=["spiffe://demo.test"])
    assert exact.may_read(SpiffeID("demo.test", "/a"))
    assert exact.may_read(SpiffeID("demo.test", "/b/c"))
    for path in ("/b", "/a/b", "/A", "/b/c/d"):
        assert not exact.may_read(SpiffeID("demo.test", path))
        assert whole.may_read(SpiffeID("demo.test", path))
    assert not whole.may_read(SpiffeID("demo.test2", "/a"))


def test_readers_of_another_trust_domain_can_never_come():
    config = loaded(readers=["spiffe://demo.test", "spiffe://other.test/a"])
    with pytest.raises(UsageError) as caught:
        check_readers(config, SpiffeID("demo.test", "/store"))
    assert caught.value.evidence["field"] == "config.readers[1]"
    check_readers(loaded(), SpiffeID("demo.test", "/store"))


class TestPlaces:
    """Neither our key nor our configuration may lie below what we serve, by whatever path."""

    def config(self, root, svid):
        return loaded(root=str(root), svid_directory=str(svid))

    def test_apart_is_well(self, tmp_path):
        check_places(self.config(tmp_path / "root", tmp_path / "svid"), tmp_path / "store.yaml")
        check_places(self.config(tmp_path / "root", tmp_path / "root2"), tmp_path / "rooted")
        check_places(self.config(tmp_path / "svid/root", tmp_path / "svid"), tmp_path / "store.yaml")

    @pytest.mark.parametrize("svid", ["root", "root/svid", "root/a/../svid", "link/svid", "root/link"])
    def test_the_svid_below_the_root_is_refused(self, tmp_path, svid):
        (tmp_path / "root/svid").mkdir(parents=True)
        (tmp_path / "link").symlink_to("root")
        (tmp_path / "root/link").symlink_to("svid")
        with pytest.raises(UsageError) as caught:
            check_places(self.config(tmp_path / "root", tmp_path / svid), tmp_path / "store.yaml")
        assert caught.value.code == "bad-config"
        assert "svid_directory" in caught.value.message

    @pytest.mark.parametrize("name", ["svid.pem", "svid_key.pem", "bundle.pem"])
    def test_a_file_of_the_svid_that_lies_below_the_root_is_refused(self, tmp_path, name):
        """The folder is apart, and what it holds is a link to a file that everybody may read."""
        for folder in ("root/deep", "svid", "elsewhere"):
            (tmp_path / folder).mkdir(parents=True)
        (tmp_path / "root/deep" / name).write_bytes(b"")
        config = self.config(tmp_path / "root", tmp_path / "svid")
        (tmp_path / "svid" / name).symlink_to("../elsewhere/link")
        check_places(config, tmp_path / "store.yaml")
        (tmp_path / "elsewhere/link").symlink_to(f"../root/deep/{name}")
        with pytest.raises(UsageError) as caught:
            check_places(config, tmp_path / "store.yaml")
        assert caught.value.code == "bad-config"
        assert f"{name} of svid_directory lies below config.root" in caught.value.message

    def test_the_root_behind_a_link_is_the_same_root(self, tmp_path):
        (tmp_path / "svid").mkdir()
        (tmp_path / "root").symlink_to(".")
        with pytest.raises(UsageError):
            check_places(self.config(tmp_path / "root", tmp_path / "svid"), Path("/etc/store.yaml"))

    def test_the_configuration_below_the_root_is_refused(self, tmp_path):
        with pytest.raises(UsageError) as caught:
            check_places(self.config(tmp_path / "root", tmp_path / "svid"), tmp_path / "root/store.yaml")
        assert "configuration" in caught.value.message

    def test_everything_is_below_the_root_of_all(self, tmp_path):
        with pytest.raises(UsageError):
            check_places(self.config("/", tmp_path / "svid"), tmp_path / "store.yaml")


def test_a_root_that_is_none_is_told(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "loop").symlink_to("loop")
    for name in ("absent", "file"):
        with pytest.raises(UsageError) as caught:
            opened(tmp_path / name)
        assert caught.value.code == "no-such-folder"
    with pytest.raises(UnavailableError) as caught:
        opened(tmp_path / "loop")
    assert caught.value.code == "unreadable"


@given(st.binary(max_size=200))
def test_any_bytes_are_a_configuration_or_one_error(raw):
    refused(raw)
