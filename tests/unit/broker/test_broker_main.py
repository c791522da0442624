"""The program: check-config, serve, exit codes, one line or one document on every outcome."""

import base64
import contextlib
import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trustkit import __version__
from trustkit.broker import compose as room
from trustkit.broker.main import main
from trustkit.sealing.recipients import ephemeral_opener, unwrap_dek
from trustkit.sealing.release import ReleaseRequest, parse_answer, request_to_bytes

HEAD = b"POST /v1/release HTTP/1.1\r\nhost: b\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"


def run(capsys, *words, environ=None):
    """Run in this process and return status, stdout and stderr."""
    status = main([str(word) for word in words], environ or {})
    said = capsys.readouterr()
    return status, said.out, said.err


def document_of(text):
    """Return the one document; more or less of it is an error."""
    found, end = json.JSONDecoder().raw_decode(text)
    assert text[end:].strip() == ""
    return found


def test_check_config_says_that_all_is_well_and_what_it_found(capsys, estate):
    config = estate.broker_config()
    assert run(capsys, "check-config", "--config", config) == (0, "the configuration is valid\n", "")
    status, out, err = run(capsys, "check-config", "--config", config, "--json")
    document = document_of(out)
    assert (status, err) == (0, "")
    assert (document["ok"], document["code"]) == (True, "")
    assert document["evidence"] == {
        "spiffe_id": "spiffe://demo.test/broker",
        "policy_digest": str(estate.policy.digest),
        "rules_digest": document["evidence"]["rules_digest"],
        "openers": [str(estate.recipient.key_id)],
    }
    assert not (config.parent / "record.jsonl").exists()


@pytest.mark.parametrize("verb", ["check-config", "serve"])
def test_an_svid_that_expired_says_so_and_what_to_do(capsys, estate, verb):
    directory = estate.svid("/broker", ago=7200)
    status, out, err = run(capsys, verb, "--config", estate.broker_config(svid_directory=str(directory)))
    assert (status, out) == (1, "")
    assert f"{str(directory)!r}: the SVID is refused: it expired at 20" in err
    assert err.endswith("Z; have a new one issued [bad-svid]\n")


def changed(estate, forger, name):
    """Return a configuration with one fault, and the code and status it must end with."""
    folder = estate.fresh("fault")

    def file(content, mode=0o600):
        path = folder / f"file-{len(list(folder.iterdir()))}"
        path.write_bytes(content)
        path.chmod(mode)
        return str(path)

    opener = {"file": str(estate.kek), "passphrase_file": str(estate.kek_passphrase)}
    outside = estate.policy_document()
    outside["spec"]["authorities"][0]["key"] = {"file": "author.pub"}
    wrong_line = estate.grant(lines=["acme/other"])
    root = forger.Issuer(estate.now, name="root", uris=())
    rooted = estate.policy_document()
    rooted["spec"]["authorities"].append(
        {"name": "corp", "roles": ["author"], "certificate": {"roots": {"pem": root.pem.decode()}}}
    )
    empty = estate.fresh("empty")
    faults = {
        "no policy": ({"policy": str(folder / "gone")}, "no-such-file", 2),
        "no policy at all": ({"policy": file(b"x")}, "bad-policy", 2),
        "a policy that names another file": (
            {"policy": file(json.dumps(outside).encode())},
            "policy-not-self-contained",
            2,
        ),
        "a policy that is a folder": ({"policy": str(folder)}, "special-file", 2),
        "no opener": ({"openers": [{"file": str(folder / "gone")}]}, "no-such-file", 2),
        "an opener that is none": ({"openers": [{"file": file(b"x")}]}, "bad-key", 3),
        "an opener that is public": (
            {"openers": [{"file": file(b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n")}]},
            "public-key-given",
            2,
        ),
        "an opener for signing": (
            {"openers": [{"file": str(estate.folder / "author.pem")}]},
            "recipient-signs",
            2,
        ),
        "an opener that certifies": (
            {
                "policy": file(json.dumps(rooted).encode()),
                "openers": [opener, {"file": file(forger.key_pem(root.key))}],
            },
            "recipient-signs",
            2,
        ),
        "no passphrase": ({"openers": [{"file": str(estate.kek)}]}, "passphrase-needed", 2),
        "a wrong passphrase": (
            {"openers": [{**opener, "passphrase_file": file(b"x\n")}]},
            "wrong-passphrase",
            2,
        ),
        "an empty passphrase": (
            {"openers": [{**opener, "passphrase_file": file(b"\nx")}]},
            "empty-passphrase",
            2,
        ),
        "no passphrase file": (
            {"openers": [{**opener, "passphrase_file": str(folder / "gone")}]},
            "no-such-file",
            2,
        ),
        "an opener twice": ({"openers": [opener, opener]}, "bad-config", 2),
        "no rules": ({"rules": str(folder / "gone")}, "no-such-file", 2),
        "rules that are none": ({"rules": file(b"x")}, "bad-rules", 3),
        "no SVID": ({"svid_directory": str(empty)}, "no-such-file", 2),
        "a record that others may write to": ({"record": file(b"", 0o666)}, "bad-record", 3),
        "a record that is none": ({"record": file(b"x\n")}, "bad-record", 3),
        "a record nowhere": ({"record": str(folder / "gone" / "record")}, "record-failed", 5),
        "a grant for a line of somebody else": ({"grants": [wrong_line]}, "bad-config", 2),
        "a grant for another trust domain": (
            {"grants": [estate.grant(spiffe_id="spiffe://other.test/ns/ml/sa/server")]},
            "foreign-trust-domain",
            2,
        ),
        "an unknown member": ({"insecure_no_record": True}, "bad-config", 2),
    }
    members, code, status = faults[name]
    return estate.broker_config(**members), code, status


FAULTS = [
    "no policy",
    "no policy at all",
    "a policy that names another file",
    "a policy that is a folder",
    "no opener",
    "an opener that is none",
    "an opener that is public",
    "an opener for signing",
    "an opener that certifies",
    "no passphrase",
    "a wrong passphrase",
    "an empty passphrase",
    "no passphrase file",
    "an opener twice",
    "no rules",
    "rules that are none",
    "no SVID",
    "a record that others may write to",
    "a record that is none",
    "a record nowhere",
    "a grant for a line of somebody else",
    "a grant for another trust domain",
    "an unknown member",
]


@pytest.mark.parametrize("name", FAULTS)
def test_what_is_wrong_is_one_line_and_its_exit_code(capsys, estate, forger, name):
    config, code, expected = changed(estate, forger, name)
    for verb in ("check-config", "serve"):
        status, out, err = run(capsys, verb, "--config", config)
        assert (status, out) == (expected, "")
        assert err.count("\n") == 1
        assert err.endswith(f" [{code}]\n")
    status, out, err = run(capsys, "check-config", "--config", config, "--json")
    document = document_of(out)
    assert (status, document["ok"], document["code"]) == (expected, False, code)
    assert err.count("\n") == 1


def test_check_config_away_from_its_pod_says_what_is_missing_and_what_it_left_out(capsys, estate, forger):
    nowhere = estate.fresh("nowhere")
    config = estate.broker_config(svid_directory=str(nowhere))
    status, out, err = run(capsys, "check-config", "--config", config)
    assert (status, out) == (2, "")
    assert (
        f"there is no SVID at {str(nowhere / 'svid.pem')!r}; it is only there where the program runs; " in err
    )
    assert "--without-svid checks all else [no-such-file]\n" in err
    status, out, err = run(capsys, "serve", "--config", config)
    assert (status, "--without-svid" in err) == (2, False)
    status, out, err = run(capsys, "check-config", "--config", config, "--without-svid", "--json")
    document = document_of(out)
    assert (status, err) == (0, "")
    assert document["message"].startswith("the configuration is valid as far as was checked; NOT checked: ")
    assert document["evidence"]["unchecked"] == [
        f"the SVID in {str(nowhere)!r}",
        "whether grants are of its trust domain",
    ]
    assert document["evidence"]["policy_digest"] == str(estate.policy.digest)
    assert "spiffe_id" not in document["evidence"]
    for name in set(FAULTS) - {"no SVID", "a grant for another trust domain"}:
        config, code, expected = changed(estate, forger, name)
        status, _, err = run(capsys, "check-config", "--config", config, "--without-svid")
        assert (status, err.endswith(f" [{code}]\n")) == (expected, True), name


@pytest.mark.parametrize(
    ("name", "member", "file"),
    [
        ("no policy at all", None, "policy"),
        ("an opener that is none", None, "openers"),
        ("a wrong passphrase", None, "openers"),
        ("an opener for signing", "config.openers[0] ", "openers"),
        ("an opener twice", "config.openers ", "configuration"),
        ("a grant for a line of somebody else", "config.grants[0].lines", "configuration"),
        ("a grant for another trust domain", "config.grants[0].spiffe_id", "configuration"),
        ("an unknown member", "'insecure_no_record'", "configuration"),
    ],
)
def test_what_is_wrong_names_its_file(capsys, estate, forger, name, member, file):
    config, _, _ = changed(estate, forger, name)
    document = yaml.safe_load(Path(config).read_text())
    files = {
        "policy": document["policy"],
        "openers": document["openers"][0]["file"],
        "configuration": str(config),
    }
    _, _, err = run(capsys, "check-config", "--config", config)
    assert repr(files[file]) in err
    assert (member or "") in err


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["serve"],
        ["serve", "--config"],
        ["serve", "--config", ""],
        ["serve", "--config", "a\0b"],
        ["serve", "--conf", "x"],
        ["serve", "--config", "x", "--config", "y"],
        ["serve", "--config", "x", "--listen", "a:1", "--listen", "b:1"],
        ["serve", "--config", "x", "--insecure"],
        ["reload", "--config", "x"],
    ],
)
def test_wrong_arguments_are_one_line(capsys, words):
    status, out, err = run(capsys, *words)
    assert (status, out) == (2, "")
    assert err.count("\n") == 1
    assert err.endswith(" [bad-arguments]\n")
    status, out, _ = run(capsys, *words, "--json")
    assert (status, document_of(out)["code"]) == (2, "bad-arguments")


def test_version_and_help(capsys):
    for words, said in (
        (["--version"], f"trustkit-broker {__version__}"),
        (["--help"], "check-config"),
        (["serve", "--help"], "Answer POST /v1/release over mutual TLS 1.3 until SIGTERM."),
    ):
        with pytest.raises(SystemExit) as caught:
            main(words, {})
        assert caught.value.code == 0
        assert said in capsys.readouterr().out


def test_text_from_elsewhere_reaches_no_terminal_as_it_is(capsys):
    status, out, err = run(capsys, "serve", "--config", "\x1b[31m\udcff" + "x" * 5000, "--json")
    assert status == 2
    assert "\x1b" not in err
    assert len(err) < 4300
    assert "\\x1b[31m" in document_of(out)["message"]


def test_a_bug_is_a_line_and_a_traceback_on_demand(capsys, estate, monkeypatch):
    def broken(*_arguments, **_more):
        raise RuntimeError("the secret")

    monkeypatch.setattr(room, "compose", broken)
    status, out, err = run(capsys, "serve", "--config", estate.broker_config(), "--json")
    assert (status, document_of(out)["code"]) == (70, "internal-error")
    assert "RuntimeError" in err
    assert "secret" not in err + out
    with pytest.raises(RuntimeError):
        run(capsys, "serve", "--config", estate.broker_config(), "--debug")


def test_an_interruption_before_serving_is_130(capsys, estate, monkeypatch):
    def interrupted(*_arguments, **_more):
        raise KeyboardInterrupt

    monkeypatch.setattr(room, "compose", interrupted)
    assert run(capsys, "serve", "--config", estate.broker_config())[0] == 130


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_until_it_is_told_to_stop(estate, model, number):
    process, address = estate.broker()
    with process:
        opener, ephemeral = ephemeral_opener()
        body = request_to_bytes(ReleaseRequest(estate.documents(model), ephemeral, model.manifest_digest))
        status, headers, answer = estate.post(address, "/sidecar", body)
        assert (status, headers["cache-control"]) == (200, "no-store")
        assert "server" not in headers
        unwrap_dek(parse_answer(answer).wrapped, estate.proof(model).descriptor.context, opener).wipe()
        assert process.end(number) == 0
        assert process.said == f"trustkit-broker: listening on {address}\n"
        assert process.complained == ""


def test_serve_with_json_says_one_document(estates, estate):
    with estates.Process(
        "trustkit.broker", ["serve", "--config", estate.broker_config(), "--json"]
    ) as process:
        process.line_with("}")
        assert process.end(signal.SIGTERM) == 0
        document = document_of(process.said)
    assert document["ok"] is True
    assert document["message"] == f"trustkit-broker: listening on {document['evidence']['listen']}"


def test_the_environment_and_the_flag_choose_where_to_listen_and_nothing_else(estates, estate):
    config = estate.broker_config(listen="192.0.2.1:1")
    environ = {"TRUSTKIT_BROKER_LISTEN": "127.0.0.1:0"}
    with estates.Process("trustkit.broker", ["serve", "--config", config], environ) as process:
        assert process.line_with("listening on ").startswith("127.0.0.1:")
    with estates.Process(
        "trustkit.broker",
        ["serve", "--config", config, "--listen", "127.0.0.1:0"],
        {"TRUSTKIT_BROKER_LISTEN": "x:1"},
    ) as process:
        assert process.line_with("listening on ").startswith("127.0.0.1:")


def test_an_address_in_use_is_unavailable(estates, estate, broker):
    words = ["serve", "--config", estate.broker_config(), "--listen", broker]
    with estates.Process("trustkit.broker", words) as process:
        assert process.end() == 5
        assert process.complained.endswith("[cannot-listen]\n")
        assert process.complained.count("\n") == 1


def test_nobody_to_tell_is_exit_5_without_a_traceback(estates, estate):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "trustkit.broker", "check-config", "--config", estate.broker_config()],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 5
    assert done.stderr.count("\n") == 1
    assert done.stderr.endswith("[unwritable]\n")


def test_core_dumps_are_forbidden(estate, broker_process):
    process, _ = broker_process
    limits = (Path("/proc") / str(process.pid) / "limits").read_text()
    [line] = [line for line in limits.splitlines() if line.startswith("Max core file size")]
    assert line.split()[4:6] == ["1", "1"]


def test_a_new_svid_that_is_half_written_is_said_once_and_the_old_one_serves_on(estate, estates):
    config = estate.broker_config()
    svid = json.loads(config.read_text())["svid_directory"]
    process, address = estate.broker(config=config)
    with process:
        (Path(svid) / "svid.pem").write_text("half")
        for _ in range(2):
            assert estate.post(address, "/sidecar", b"{}")[0] == 400
        assert process.end(signal.SIGTERM) == 0
        assert process.complained.count("warning: ") == 1


@pytest.fixture(scope="module")
def broker_process(estate):
    process, address = estate.broker()
    with process:
        yield process, address


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        ({"body": b"{}"}, 400, "missing-field"),
        ({"body": b"\xff"}, 400, "bad-json"),
        ({"body": b"{}", "headers": ()}, 400, "bad-content-type"),
        ({"body": b"", "target": "/metrics"}, 404, "no-such-endpoint"),
        ({"body": b"", "method": "PUT"}, 405, "no-such-endpoint"),
    ],
)
def test_refusals_over_the_wire(estate, broker_process, sent, status, code):
    found, headers, body = estate.post(broker_process[1], "/sidecar", sent.pop("body"), **sent)
    assert (found, json.loads(body)["code"]) == (status, code)
    assert headers["content-type"] == "application/json"


def test_who_gets_nothing_here_gets_no_second_answer(estate, broker_process):
    """Three requests at once: a stranger is told once, and so is who asks for what is not here."""
    _, address = broker_process
    ask = HEAD % 2 + b"{}"
    for path, sent, status, count in (
        ("/stranger", ask, b"403", 1),
        ("/sidecar", ask.replace(b"/v1/release", b"/metrics"), b"404", 1),
        ("/sidecar", ask, b"400", 3),
    ):
        with estate.connection(address, path) as tls:
            tls.sendall(sent * 3)
            got = b""
            tls.settimeout(3)
            with contextlib.suppress(OSError):
                while got.count(b"HTTP/1.1 ") < 3 and (piece := tls.recv(65536)):
                    got += piece
        assert got.count(b"HTTP/1.1 " + status) == got.count(b"HTTP/1.1 ") == count
        assert got.lower().count(b"connection: close") == (1 if count == 1 else 0)


def test_a_request_that_claims_too_much_is_refused_before_it_is_sent(estate, broker_process):
    _, address = broker_process
    with estate.connection(address, "/sidecar") as tls:
        tls.sendall(HEAD % 99_999_999)
        assert tls.recv(65536).startswith(b"HTTP/1.1 413 ")


@given(st.binary(max_size=400))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_garbage_over_the_wire_is_a_refusal(estate, broker_process, raw):
    status, _, body = estate.post(broker_process[1], "/sidecar", raw)
    assert status in {400, 413}
    assert set(json.loads(body)) == {"code", "message"}


def test_a_request_that_dribbles_is_given_up(estate):
    process, address = estate.broker(config=estate.broker_config(limits={"body_timeout_seconds": 0.3}))
    with process, estate.connection(address, "/sidecar") as tls:
        tls.sendall(HEAD % 100 + b"{")
        assert tls.recv(65536).startswith(b"HTTP/1.1 408 ")


def test_documents_of_any_bytes_are_refused_and_recorded(estate, broker_process, model):
    documents = {
        name: base64.b64encode(b"{}").decode() for name in ("descriptor", "author_bundle", "recipients")
    }
    good = ReleaseRequest(estate.documents(model), bytes(range(32)), model.manifest_digest)
    body = json.dumps({**json.loads(request_to_bytes(good)), **documents}).encode()
    status, _, answer = estate.post(broker_process[1], "/sidecar", body)
    assert status == 400
    assert json.loads(answer)["code"]
