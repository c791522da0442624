"""The program: what it prints, with which status it ends, and that one document is one document."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from trustkit.errors import TrustkitError
from trustkit.programs.voice import Voice, harmless
from trustkit.spiffe.mtls import client_context, connect
from trustkit.spiffe.names import SpiffeID
from trustkit.spiffe.svid import svid_from_pem
from trustkit.store import main as program

HELP = "usage: trustkit-store"


@pytest.fixture
def place(tmp_path, svids):
    """A folder with a good configuration; `write` makes another one."""

    class Place:
        root = tmp_path / "root"
        file = tmp_path / "store.yaml"

        def write(self, **members):
            document = {
                "root": "root",
                "svid_directory": "svid",
                "listen": "127.0.0.1:0",
                "readers": ["spiffe://demo.test"],
                **members,
            }
            self.file.write_text(json.dumps(document))
            return self

    Place.root.mkdir()
    svids("/store", tmp_path / "svid")
    return Place().write()


def run(capsys, *words, environ=None):
    status = program.main([str(word) for word in words], environ or {})
    out, err = capsys.readouterr()
    return status, out, err


def one_document(text):
    document = json.loads(text)
    assert {"ok", "code", "message", "evidence"} == set(document)
    return document


def test_a_good_configuration_is_valid(place, capsys):
    assert run(capsys, "check-config", "--config", place.file) == (0, "the configuration is valid\n", "")


def test_and_one_document_where_that_is_asked_for(place, capsys):
    status, out, err = run(capsys, "check-config", "--config", place.file, "--json")
    assert (status, err) == (0, "")
    assert one_document(out)["ok"] is True


FAILURES = {
    "an unknown member": ({"insecure": True}, 2, "bad-config"),
    "no root": ({"root": "absent"}, 2, "no-such-folder"),
    "no SVID": ({"svid_directory": "absent"}, 2, "no-such-file"),
    "the SVID in the root": ({"root": "."}, 2, "bad-config"),
    "readers of another domain": ({"readers": ["spiffe://other.test"]}, 2, "foreign-trust-domain"),
}


@pytest.mark.parametrize(("members", "status", "code"), FAILURES.values(), ids=FAILURES.keys())
@pytest.mark.parametrize("verb", ["check-config", "serve"])
@pytest.mark.parametrize("form", ["text", "json"])
def test_a_failure_is_one_line_and_the_status_of_its_class(place, capsys, members, status, code, verb, form):
    place.write(**members)
    found, out, err = run(capsys, verb, "--config", place.file, *(["--json"] if form == "json" else []))
    assert found == status
    assert err.count("\n") == 1
    assert err.startswith("trustkit-store: ")
    assert err.endswith(f"[{code}]\n")
    if form == "json":
        assert one_document(out)["code"] == code
    else:
        assert out == ""


def test_check_config_away_from_its_pod_says_what_is_missing_and_what_it_left_out(place, capsys, tmp_path):
    (tmp_path / "svid" / "svid_key.pem").unlink()
    status, out, err = run(capsys, "check-config", "--config", place.file)
    assert (status, out) == (2, "")
    assert "svid_key.pem'; it is only there where the program runs; --without-svid checks all else" in err
    status, _, err = run(capsys, "serve", "--config", place.file)
    assert (status, "--without-svid" in err) == (2, False)
    status, out, err = run(capsys, "check-config", "--config", place.file, "--without-svid", "--json")
    document = one_document(out)
    assert (status, err) == (0, "")
    assert document["message"].startswith("the configuration is valid as far as was checked; NOT checked: ")
    assert document["evidence"]["unchecked"] == [
        f"the SVID in {str(tmp_path / 'svid')!r}",
        "whether readers are of its trust domain",
    ]


@pytest.mark.parametrize("verb", ["check-config", "serve"])
def test_an_svid_that_expired_says_so_and_what_to_do(place, capsys, estate, verb):
    directory = estate.svid("/store", ago=7200)
    place.write(svid_directory=str(directory))
    status, out, err = run(capsys, verb, "--config", place.file)
    assert (status, out) == (1, "")
    assert f"{str(directory)!r}: the SVID is refused: it expired at 20" in err
    assert err.endswith("Z; have a new one issued [bad-svid]\n")


@pytest.mark.parametrize("spoil", ["svid.pem", "svid_key.pem", "bundle.pem"])
def test_a_broken_svid_is_told_without_its_bytes(place, capsys, tmp_path, spoil):
    (tmp_path / "svid" / spoil).write_bytes(
        b"-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n"
    )
    status, out, err = run(capsys, "check-config", "--config", place.file)
    assert (status, out) == (3, "")
    assert "bad-svid" in err
    assert "c2VjcmV0" not in err


def test_a_configuration_that_is_not_there(place, capsys, tmp_path):
    status, _, err = run(capsys, "serve", "--config", tmp_path / "absent.yaml")
    assert (status, err.endswith("[no-such-file]\n")) == (2, True)
    os.mkfifo(tmp_path / "fifo")
    status, _, err = run(capsys, "serve", "--config", tmp_path / "fifo")
    assert (status, err.endswith("[special-file]\n")) == (2, True)


def test_a_name_that_plays_with_the_terminal_is_spelled_out(capsys):
    status, out, err = run(capsys, "serve", "--config", "/nowhere/\x1b[2J\u202e\nx", "--json")
    assert status == 2
    assert err.count("\n") == 1
    assert "\x1b" not in out + err
    assert "\u202e" not in out + err


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["serve"],
        ["sing", "--config", "x"],
        ["serve", "--config", "x", "--conf", "y"],
        ["serve", "--config"],
        ["serve", "--config", "x", "surplus"],
        ["serve", "--insecure", "--config", "x"],
    ],
)
def test_wrong_arguments_are_one_line(capsys, words):
    status, out, err = run(capsys, *words)
    assert (status, out) == (2, "")
    assert err.count("\n") == 1
    assert err.endswith("[bad-arguments]\n")


@pytest.mark.parametrize("words", [["--help"], ["serve", "--help"], ["check-config", "--help"]])
def test_help_is_printed(capsys, words):
    with pytest.raises(SystemExit) as caught:
        program.main(words, {})
    assert caught.value.code == 0
    assert capsys.readouterr().out.startswith(HELP)


def test_the_version_is_printed(capsys):
    with pytest.raises(SystemExit):
        program.main(["--version"], {})
    assert capsys.readouterr().out.startswith("trustkit-store ")


def test_a_bug_is_70_and_shows_itself_only_with_debug(place, capsys, monkeypatch):
    def broken(*_):
        raise RuntimeError("a secret")

    monkeypatch.setattr("trustkit.store.config.check_places", broken)
    status, out, err = run(capsys, "serve", "--config", place.file)
    assert (status, out, err.count("\n")) == (70, "", 1)
    assert "secret" not in err
    with pytest.raises(RuntimeError):
        program.main(["serve", "--config", str(place.file), "--debug"], {})


def test_an_interrupt_before_it_serves_is_130(place, capsys, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("trustkit.store.config.check_places", interrupted)
    status, out, err = run(capsys, "serve", "--config", place.file, "--json")
    assert (status, one_document(out)["code"]) == (130, "interrupted")
    assert err.count("\n") == 1


@contextmanager
def started(place, *words, stdout=subprocess.PIPE, environ=None):
    process = subprocess.Popen(
        [sys.executable, "-m", "trustkit.store", "serve", "--config", place.file, *words],
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **(environ or {})},
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def test_it_says_where_it_listens_and_ends_at_a_signal(place):
    for number in (signal.SIGTERM, signal.SIGINT):
        with started(place) as process:
            line = process.stdout.readline()
            assert line.startswith("trustkit-store: listening on 127.0.0.1:")
            process.send_signal(number)
            assert process.wait(20) == 0
            assert (process.stdout.read(), process.stderr.read()) == ("", "")


def test_one_document_says_so_too(place):
    with started(place, "--json") as process:
        text = ""
        while not text.endswith("\n}\n"):
            text += process.stdout.readline()
        document = one_document(text)
        assert document["evidence"]["listen"].startswith("127.0.0.1:")
        process.terminate()
        assert process.wait(20) == 0
        assert process.stdout.read() == ""


def test_a_flag_and_a_variable_say_where(place):
    place.write(listen="192.0.2.1:1")
    with started(place, environ={"TRUSTKIT_STORE_LISTEN": "127.0.0.1:0"}) as process:
        assert process.stdout.readline().startswith("trustkit-store: listening on 127.0.0.1:")
    with started(place, "--listen", "127.0.0.1:0") as process:
        assert process.stdout.readline().startswith("trustkit-store: listening on 127.0.0.1:")


def test_an_address_that_cannot_be_had_is_unavailable(place):
    with started(place, "--listen", "192.0.2.1:1") as process:
        assert process.wait(20) == 5
        assert process.stderr.read().endswith("[cannot-listen]\n")


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_a_stdout_that_nobody_reads_is_unwritable(place, form):
    reader, writer = os.pipe()
    os.close(reader)
    with started(place, *form, stdout=writer) as process:
        os.close(writer)
        assert process.wait(20) == 5
        err = process.stderr.read()
    assert err.count("\n") == 1
    assert err.endswith("[unwritable]\n")


def test_a_stdout_that_is_full_or_closed_is_unwritable(place):
    with Path("/dev/full").open("w") as full, started(place, stdout=full) as process:
        assert process.wait(20) == 5
        assert process.stderr.read().endswith("[unwritable]\n")
    command = f"exec {sys.executable} -m trustkit.store check-config --config {place.file} >&-"
    done = subprocess.run(["sh", "-c", command], stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr.endswith("[unwritable]\n")) == (5, True)


def test_an_alarm_is_a_line_on_stderr_and_no_end(place, tmp_path, svids):
    folder = svids("/sidecar", tmp_path / "sidecar")
    files = [(folder / name).read_bytes() for name in ("svid.pem", "svid_key.pem", "bundle.pem")]
    context = client_context(svid_from_pem(*files, now=time.time()))
    with started(place) as process:
        port = int(process.stdout.readline().rpartition(":")[2])
        (tmp_path / "svid/svid.pem").write_bytes(b"half")
        for _ in range(3):
            connect(
                "127.0.0.1",
                port,
                context,
                expected=SpiffeID("demo.test", "/store"),
                timeout_seconds=20,
                now=time.time(),
            ).close()
        process.terminate()
        assert process.wait(20) == 0
        err = process.stderr.read()
    assert err.count("\n") == 1
    assert err.startswith("trustkit-store: warning: ")
    assert err.endswith("[bad-svid]\n")


def test_evidence_is_harmless_however_deep(capsys):
    assert harmless({"a\n": ["\x1b", {"b": "\u202e"}, 5, None, True]}) == {
        "a\\n": ["\\x1b", {"b": "\\u202e"}, 5, None, True]
    }


def test_without_any_stream_the_status_remains(monkeypatch):
    """As in a process that was started with both closed."""
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)

    def voice(*, as_json):
        return Voice(program.PROGRAM, sys.stdout, sys.stderr, as_json=as_json)

    assert voice(as_json=True).end(2, "bad-config", "x") == 5
    assert voice(as_json=False).end(2, "bad-config", "x") == 2
    voice(as_json=False).warn(TrustkitError("bad-svid", "x"))
