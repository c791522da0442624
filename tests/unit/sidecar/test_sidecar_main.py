"""The program from end to end: states, probes, signals, exit codes, one line or one document each time."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from trustkit import __version__
from trustkit.digest import digest_of
from trustkit.sidecar import main as room
from trustkit.sidecar.main import main
from trustkit.spiffe.authority import Authority


def document_of(text):
    """Return the one document; more or less of it is an error."""
    found, end = json.JSONDecoder().raw_decode(text)
    assert text[end:].strip() == ""
    return found


WAITING = "trustkit-sidecar: waiting: "


def ended(process, output, status, code, *, waited=0):
    """Demand an end with this status and code, so often a line about waiting, and an empty folder."""
    assert (process.end(), process.complained.rstrip().rpartition(" ")[2]) == (status, f"[{code}]")
    *before, last = process.complained.splitlines()
    assert [line[: len(WAITING)] for line in before] == [WAITING] * waited
    assert last.startswith("trustkit-sidecar: ")
    assert list(output.parent.iterdir()) == []


def test_it_brings_the_model_and_stays(estate, estates, model, broker, store):
    process, output = estate.sidecar(model, store=store, broker=broker)
    with process:
        health = process.line_with("listening on ")
        process.line_with("published ")
        assert estates.probe(health) == 200
        assert estates.probe(health, "/healthz") == 200
        assert estates.tree_of(output) == estates.tree_of(model.source)
        modes = {path.stat().st_mode & 0o777 for path in output.rglob("*") if path.is_file()}
        folders = {path.stat().st_mode & 0o777 for path in (output, output / "sub")}
        assert (modes, folders) == ({0o444}, {0o555})
        assert [path.name for path in output.parent.iterdir()] == ["model"]
        assert process.running
        assert process.end(signal.SIGTERM) == 0
        assert process.complained == ""
    lines = process.said.splitlines()
    assert lines[0].startswith("trustkit-sidecar: listening on ")
    assert [line.removeprefix("trustkit-sidecar: ").split()[0] for line in lines] == [
        "listening",
        "identified",
        "verified",
        "keyed",
        "opened",
        "published",
    ]
    assert lines[2] == f"verified acme/tiny-llm version 1, {model.manifest_digest}"
    assert lines[5] == f"published {output}: 4 files, 3000013 bytes"


@pytest.mark.parametrize("verb", ["check-config", "run"])
def test_an_svid_that_expired_says_so_and_what_to_do(capsys, estate, model, verb):
    directory = estate.svid("/sidecar", ago=7200)
    words, output = estate.arguments(model, store="127.0.0.1:1", broker="127.0.0.1:1", svid=directory)
    assert main([verb, *words[1:]]) == 1
    said = capsys.readouterr().err
    assert f"{str(directory)!r}: the SVID is refused: it expired at 20" in said
    assert said.endswith("Z; have a new one issued [bad-svid]\n")
    assert not output.exists()


def asked(estate, output, *words):
    """Ask as the kubelet does: by the command of the probe that the webhook injects, in the same place."""
    command = [sys.executable, "-m", "trustkit.sidecar", "published", "--output", str(output), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_a_probe_asks_the_folder_and_no_port(estate, estates, model, broker, store):
    process, output = estate.sidecar(model, store=store, broker=broker)
    with process:
        process.line_with("published ")
        answer = asked(estate, output)
        assert (answer.returncode, answer.stdout) == (0, f"a model is published at {output}\n")
        assert document_of(asked(estate, output, "--json").stdout)["evidence"] == {"output": str(output)}
        assert process.end(signal.SIGTERM) == 0
    elsewhere = asked(estate, output.with_name("other"))
    assert (elsewhere.returncode, elsewhere.stdout) == (1, "")
    assert elsewhere.stderr.endswith("[not-published]\n")
    assert elsewhere.stderr.count("\n") == 1


def test_a_probe_needs_neither_network_nor_cryptography():
    """It is started again and again beside a sidecar that has better things to do."""
    code = (
        "import sys; before = set(sys.modules)\n"  # whoever measures coverage is here already
        "from trustkit.sidecar.main import main\n"
        "assert main(['published', '--output', '/nowhere/model']) == 1\n"
        "heavy = {'cryptography', 'yaml', 'ssl', 'socket', 'http', 'hashlib'}\n"
        "print(sorted(heavy & (set(sys.modules) - before)))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.stdout == "[]\n"


def test_with_json_it_says_one_document(estate, estates, model, broker, store):
    process, output = estate.sidecar(model, "--json", store=store, broker=broker)
    with process:
        process.line_with("}")
        assert process.end(signal.SIGINT) == 0
        document = document_of(process.said)
    assert document == {
        "ok": True,
        "code": "",
        "message": f"published {output}: 4 files, 3000013 bytes",
        "evidence": {
            "manifest_digest": str(model.manifest_digest),
            "output": str(output),
            "files": 4,
            "bytes": 3000013,
        },
    }


@pytest.fixture
def lineless(estate):
    """A policy that does not speak for lines alone, so that a plain model can be believed."""
    document = estate.policy_document()
    del document["spec"]["lines"]
    path = estate.fresh("policy") / "policy.json"
    path.write_text(json.dumps(document))
    return path


def test_a_plain_model_needs_no_key(estate, estates, store, lineless):
    plain = estate.plain("plain/one")
    process, output = estate.sidecar(plain, store=store, broker="127.0.0.1:1", policy=lineless)
    with process:
        process.line_with("published ")
        assert estates.tree_of(output) == estates.tree_of(plain.source)
        assert "keyed" not in process.said
        assert process.end(signal.SIGTERM) == 0


def test_a_plain_model_has_no_line_that_the_policy_could_speak_for(estate, store):
    """The webhook says the same; a store that hides a descriptor frees no model of its line."""
    plain = estate.plain("plain/lineless")
    process, output = estate.sidecar(plain, store=store, broker="127.0.0.1:1")
    with process:
        ended(process, output, 1, "line-not-in-policy")


def test_a_plain_model_has_a_cap(estate, store, lineless):
    plain = estate.plain("plain/capped")
    process, output = estate.sidecar(
        plain, store=store, broker="127.0.0.1:1", policy=lineless, plain_max_bytes=1_000_000
    )
    with process:
        ended(process, output, 4, "too-large")


def test_a_plain_model_without_a_signature_is_unsigned(estate, estates, store, lineless):
    plain = estate.plain("plain/unsigned")
    arguments, output = estate.arguments(plain, store=store, broker="127.0.0.1:1", policy=lineless)
    (plain.folder / "model.sig").unlink()
    with estates.Process("trustkit.sidecar", arguments) as process:
        ended(process, output, 1, "unsigned")
        assert (
            f"no model.sig of the model's author at trust://{store}/plain/unsigned; check"
            in process.complained
        )


def test_a_missing_descriptor_is_unavailable_at_once(estate, estates, model, broker, store):
    gone = estate.copied(model, "main/gone")
    arguments, output = estate.arguments(gone, store=store, broker=broker)
    (gone.folder / "descriptor.sigstore.json").unlink()
    with estates.Process("trustkit.sidecar", arguments) as process:
        ended(process, output, 5, "not-found")
        there = f"there is no descriptor.sigstore.json at trust://{store}/main/gone"
        assert f"{there}; check path and version" in process.complained


def test_a_bigger_model_than_there_is_room_for_asks_for_no_key(estate, model, store, monkeypatch, capsys):
    arguments, output = estate.arguments(model, store=store, broker="127.0.0.1:1")
    status = os.statvfs(output.parent)
    full = type("Full", (), {"f_bavail": 100, "f_frsize": status.f_frsize})
    monkeypatch.setattr(os, "statvfs", lambda _path: full)
    assert main(arguments) == 5
    assert capsys.readouterr().err.endswith("[no-space]\n")
    assert list(output.parent.iterdir()) == []


@pytest.mark.parametrize(
    ("trouble", "code", "status"),
    [(FileNotFoundError(2, "x"), "no-such-folder", 2), (PermissionError(13, "x"), "unreadable", 5)],
)
def test_a_folder_that_cannot_be_looked_at(estate, model, store, monkeypatch, capsys, trouble, code, status):
    def refuse(_path):
        raise trouble

    monkeypatch.setattr(os, "statvfs", refuse)
    arguments, _ = estate.arguments(model, store=store, broker="127.0.0.1:1")
    assert main(arguments) == status
    assert capsys.readouterr().err.endswith(f"[{code}]\n")


def test_check_config_reads_everything_and_fetches_nothing(estate, model, capsys):
    arguments, output = estate.arguments(model, store="127.0.0.1:1", broker="127.0.0.1:1")
    arguments[0] = "check-config"
    assert main(arguments) == 0
    assert capsys.readouterr() == ("the arguments are valid\n", "")
    assert main([*arguments, "--json"]) == 0
    document = document_of(capsys.readouterr().out)
    assert document["evidence"]["spiffe_id"] == "spiffe://demo.test/sidecar"
    assert list(output.parent.iterdir()) == []


@pytest.mark.parametrize("verb", ["run", "check-config"])
@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda output: output.parent.rmdir(), "no-such-folder"),
        (lambda output: (output.mkdir(), output.chmod(0o755)), "output-exists"),
        (lambda output: output.touch(), "output-exists"),
        (lambda output: output.symlink_to("/nowhere"), "output-exists"),
    ],
    ids=["nowhere", "folder", "file", "link"],
)
def test_check_config_refuses_an_output_that_a_run_would(estate, model, store, capsys, verb, make, code):
    arguments, output = estate.arguments(model, store=store, broker="127.0.0.1:1")
    make(output)
    arguments[0] = verb
    assert main(arguments) == 2
    assert capsys.readouterr().err.endswith(f" [{code}]\n")


def test_check_config_takes_what_a_run_before_published(estate, model, store, broker, capsys):
    arguments, output = estate.arguments(model, store=store, broker=broker)
    arguments[0] = "check-config"
    output.mkdir(0o700)  # as it lies there for a moment
    assert main(arguments) == 0
    output.chmod(0o500)
    assert main(arguments) == 0
    assert capsys.readouterr().err == ""


def test_check_config_away_from_the_pod_says_what_is_missing_and_what_it_left_out(estate, model, capsys):
    nowhere = estate.fresh("nowhere")
    arguments, output = estate.arguments(model, store="127.0.0.1:1", broker="127.0.0.1:1", svid=nowhere)
    output.parent.rmdir()
    arguments[0] = "check-config"
    assert main(arguments) == 5
    said = capsys.readouterr().err
    assert f"there is no svid.pem in {str(nowhere)!r} yet" in said
    assert "it is only there where the program runs; --without-svid checks all else [no-svid]\n" in said
    assert main([*arguments, "--without-svid", "--json"]) == 0
    document = document_of(capsys.readouterr().out)
    unchecked = [
        f"the SVID in {str(nowhere)!r}",
        "whether the trust bundle vouches for it",
        "whether store and broker are of its trust domain",
        f"whether a model can be published at {str(output)!r}",
    ]
    assert document["message"].startswith(
        "the arguments are valid as far as was checked; NOT checked: the SVID"
    )
    assert document["evidence"]["unchecked"] == unchecked
    assert "spiffe_id" not in document["evidence"]


@pytest.mark.parametrize("verb", ["run", "check-config"])
@pytest.mark.parametrize("flag", ["store_id", "broker_id"])
def test_who_could_never_prove_himself_is_not_asked(estate, model, capsys, flag, verb):
    """Without that, a sidecar would wait for its whole budget, and then hear of a peer that is another."""
    named = {flag: "spiffe://other.test/machine"}
    arguments, output = estate.arguments(
        model, store="127.0.0.1:1", broker="127.0.0.1:1", budget_seconds=1, **named
    )
    arguments[0] = verb
    assert main(arguments) == 2
    said = capsys.readouterr()
    word = f"--{flag.replace('_', '-')}"
    assert f"{word} names spiffe://other.test/machine, which could never prove itself to us" in said.err
    assert "our trust domain is spiffe://demo.test;" in said.err
    assert said.err.endswith("[foreign-trust-domain]\n")
    assert "identified" not in said.out
    assert list(output.parent.iterdir()) == []


def faulty(estate, name):
    """Return changed flags, and how it must end."""
    folder = estate.fresh("fault")
    garbage = folder / "garbage"
    garbage.write_bytes(b"garbage")
    outside = estate.policy_document()
    outside["spec"]["authorities"][0]["key"] = {"file": "author.pub"}
    policy = folder / "policy"
    policy.write_text(json.dumps(outside))
    other = digest_of(b"another")
    faults = {
        "another policy": ({"policy_digest": other}, "pin-mismatch", 1),
        "another trust bundle": ({"trust_bundle_digest": other}, "pin-mismatch", 1),
        "no policy": ({"policy": folder / "gone"}, "no-such-file", 2),
        "no trust bundle": ({"trust_bundle": folder / "gone"}, "no-such-file", 2),
        "a policy that is none": (
            {"policy": garbage, "policy_digest": digest_of(b"garbage")},
            "bad-policy",
            2,
        ),
        "a policy that names another file": (
            {"policy": policy, "policy_digest": digest_of(policy.read_bytes())},
            "policy-not-self-contained",
            2,
        ),
        "a trust bundle that is none": (
            {"trust_bundle": garbage, "trust_bundle_digest": digest_of(b"garbage")},
            "bad-svid",
            3,
        ),
        "a policy that is a folder": ({"policy": folder}, "special-file", 2),
    }
    return faults[name]


FAULTS = [
    "another policy",
    "another trust bundle",
    "no policy",
    "no trust bundle",
    "a policy that is none",
    "a policy that names another file",
    "a trust bundle that is none",
    "a policy that is a folder",
]


@pytest.mark.parametrize("verb", ["run", "check-config"])
@pytest.mark.parametrize("name", FAULTS)
def test_pins_are_checked_before_any_network(estate, model, capsys, name, verb):
    changes, code, status = faulty(estate, name)
    arguments, output = estate.arguments(model, store="192.0.2.1:1", broker="192.0.2.1:1")
    for flag, value in changes.items():
        arguments[arguments.index(f"--{flag.replace('_', '-')}") + 1] = str(value)
    arguments[0] = verb
    if verb == "check-config":  # and none of it rests on our SVID
        assert main([*arguments, "--without-svid"]) == status
        assert capsys.readouterr().err.endswith(f"[{code}]\n")
    assert main(arguments) == status
    said = capsys.readouterr()
    assert said.err.endswith(f"[{code}]\n")
    assert said.err.count("\n") == 1
    assert "identified" not in said.out
    assert list(output.parent.iterdir()) == []
    assert main([*arguments, "--json"]) == status
    assert document_of(capsys.readouterr().out)["code"] == code


def test_the_svid_directorys_own_bundle_is_not_believed(estate, model, broker, store):
    """Whoever may write there could bring a CA of his own, and a broker and a store under it."""
    other = Authority("demo.test", now=estate.now, lifetime_seconds=3600)
    svid = estate.svid("/sidecar", authority=other)
    process, output = estate.sidecar(model, store=store, broker=broker, svid=svid)
    with process:
        ended(process, output, 1, "bad-svid")
    good = estate.svid("/sidecar")
    (good / "bundle.pem").write_bytes(other.bundle_pem)
    process, output = estate.sidecar(model, store=store, broker=broker, svid=good)
    with process:
        process.line_with("published ")


def test_an_svid_that_is_late_is_waited_for(estate, model, broker, store):
    ready = estate.svid("/sidecar")
    later = estate.fresh("svid")
    process, output = estate.sidecar(model, store=store, broker=broker, svid=later)
    with process:
        process.line_with("listening on ")
        for name in ("svid_key.pem", "svid.pem"):
            (later / f".{name}").write_bytes((ready / name).read_bytes())
            (later / f".{name}").rename(later / name)
        process.line_with("published ")
        assert output.exists()


def test_an_svid_that_never_comes_is_unavailable(estate, model):
    process, output = estate.sidecar(
        model, store="192.0.2.1:1", broker="192.0.2.1:1", svid=estate.fresh("svid"), budget_seconds=1
    )
    with process:
        ended(process, output, 5, "no-svid", waited=1)


def test_a_broker_that_is_away_is_asked_again_until_the_budget_ends(estate, model, store):
    process, output = estate.sidecar(model, store=store, broker="127.0.0.1:1", budget_seconds=1)
    with process:
        ended(process, output, 5, "connect-failed", waited=1)


def test_waiting_is_said_and_so_is_its_end(estate, estates, model, broker, store):
    """With --json as well: what is waited for is no outcome, and stdout holds one document."""
    busy = estates.answer(429, b'{"code":"busy","message":"come again"}')
    with estates.Scripted(estate, [busy, busy, estates.forward(estate, broker)]) as evil:
        process, _ = estate.sidecar(model, "--json", store=store, broker=evil.address)
        with process:
            process.line_with("}")
            assert process.end(signal.SIGTERM) == 0
    assert document_of(process.said)["ok"] is True
    first, last = process.complained.splitlines()
    assert first.startswith("trustkit-sidecar: waiting: the broker answered with the status 429: [busy] come")
    assert re.search(r"; asked again, for (19|20) s at most \[broker-unavailable\]$", first)
    assert re.fullmatch(r"trustkit-sidecar: going on after [01] s \[broker-unavailable\]", last)


@pytest.mark.parametrize("away", ["store", "broker"])
def test_who_is_waited_for_is_said_before_the_time_is_up(estate, model, broker, store, away):
    addresses = {"store": store, "broker": broker, away: "127.0.0.1:1"}
    process, output = estate.sidecar(model, budget_seconds=1, **addresses)
    with process:
        assert process.end() == 5
    first, *_, last = process.complained.splitlines()
    assert first.startswith("trustkit-sidecar: waiting: cannot connect to 127.0.0.1:1: ")
    assert first.endswith("; asked again, for 1 s at most [connect-failed]")
    assert "waiting" not in last
    assert last.endswith("[connect-failed]")
    assert list(output.parent.iterdir()) == []


def test_a_broker_that_comes_back_is_enough(estate, estates, model, broker, store):
    busy = estates.answer(429, b'{"code":"busy","message":"come again"}')
    with estates.Scripted(estate, [busy, b"", estates.forward(estate, broker)]) as evil:
        process, output = estate.sidecar(model, store=store, broker=evil.address)
        with process:
            process.line_with("published ")
            assert estates.tree_of(output) == estates.tree_of(model.source)
        assert evil.connections == 3


def test_a_broker_that_says_no_is_asked_once(estate, estates, model, store):
    no = estates.answer(403, b'{"code":"no-grant","message":"there is no grant"}')
    with estates.Scripted(estate, [no]) as evil:
        process, output = estate.sidecar(model, "--json", store=store, broker=evil.address)
        with process:
            assert process.end() == 1
            document = document_of(process.said)
        assert evil.connections == 1
    assert (document["code"], document["evidence"]) == ("key-denied", {"broker_code": "no-grant"})
    assert process.complained == (
        "trustkit-sidecar: the broker said no: [no-grant] there is no grant [key-denied]\n"
    )
    assert list(output.parent.iterdir()) == []


def test_a_denial_by_the_rules_names_its_code_once(estate, model, broker, store):
    """Grants give this SPIFFE ID nothing, and the real rules say so, with their codes in front."""
    config = estate.broker_config(grants=[estate.grant(authors=["acme-publisher-too"])])
    document = estate.policy_document()
    document["spec"]["authorities"].append(
        {"name": "acme-publisher-too", "roles": ["author"], "key": {"pem": estate.stranger_pem.decode()}}
    )
    document["spec"]["threshold"] = 1
    (config.parent / "policy.json").write_text(json.dumps(document))
    settings = json.loads(config.read_text()) | {"policy": "policy.json"}
    config.write_text(json.dumps(settings))
    real, address = estate.broker(config=config)
    with real:
        process, _ = estate.sidecar(model, store=store, broker=address)
        with process:
            assert process.end() == 1
    assert process.complained.startswith("trustkit-sidecar: the broker said no: [author-not-granted] ")
    assert process.complained.count("author-not-granted") == 1
    assert process.complained.endswith(" [key-denied]\n")


def test_a_restarted_container_finds_what_it_published_and_needs_no_key(
    estate, estates, model, broker, store
):
    arguments, output = estate.arguments(model, store=store, broker=broker)
    with estates.Process("trustkit.sidecar", arguments) as process:
        process.line_with("published ")
        process.kill()
    before = {path: path.stat().st_ino for path in output.rglob("*")}
    arguments[arguments.index("--broker") + 1] = "127.0.0.1:1"
    with estates.Process("trustkit.sidecar", arguments) as process:
        health = process.line_with("listening on ")
        process.line_with("published ")
        assert estates.probe(health) == 200
        assert "keyed" not in process.said
        assert process.end(signal.SIGTERM) == 0
    assert {path: path.stat().st_ino for path in output.rglob("*")} == before


def _spoil(output, name):
    if name == "a changed byte":
        path = output / "config.json"
        path.chmod(0o644)
        path.write_bytes(b"{}")
        path.chmod(0o444)
    elif name == "a file more":
        output.chmod(0o755)
        (output / "more.py").write_text("import os")
        output.chmod(0o555)
    elif name == "a file less":
        output.chmod(0o755)
        (output / "empty").unlink()
        output.chmod(0o555)
    elif name == "a folder that others may write to":
        output.chmod(0o777)
    elif name == "a link":
        output.rename(output.with_name("elsewhere"))
        output.symlink_to("elsewhere")
    elif name == "a file":
        output.rename(output.with_name("elsewhere"))
        output.write_text("x")
        output.chmod(0o444)


@pytest.mark.parametrize(
    "name",
    [
        "a changed byte",
        "a file more",
        "a file less",
        "a folder that others may write to",
        "a link",
        "a file",
    ],
)
def test_what_lies_there_and_is_not_the_model_stays_and_is_refused(
    estate, estates, model, broker, store, name
):
    arguments, output = estate.arguments(model, store=store, broker=broker)
    with estates.Process("trustkit.sidecar", arguments) as process:
        process.line_with("published ")
        process.kill()
    _spoil(output, name)
    before = estates.tree_of(output.parent)
    with estates.Process("trustkit.sidecar", arguments) as process:
        assert process.end() == 2
        assert process.complained.endswith(" [output-exists]\n")
    assert estates.tree_of(output.parent) == before


def test_an_output_without_a_folder_is_usage(estate, model, broker, store):
    process, _ = estate.sidecar(
        model, store=store, broker=broker, output=estate.folder / "no-such-folder" / "model"
    )
    with process:
        assert process.end() == 2
        assert process.complained.endswith("[no-such-folder]\n")


@pytest.mark.parametrize("words", [[], ["run"], ["run", "--output", "x"], ["fetch"], ["run", "--insecure"]])
def test_wrong_arguments_are_one_line(capsys, words):
    assert main(words) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert said.err.endswith(" [bad-arguments]\n")
    assert main([*words, "--json"]) == 2
    assert document_of(capsys.readouterr().out)["code"] == "bad-arguments"


def test_version_and_help(capsys):
    for words, said in (
        (["--version"], f"trustkit-sidecar {__version__}"),
        (["--help"], "check-config"),
        (["run", "--help"], "--descriptor-digest DIGEST"),
    ):
        with pytest.raises(SystemExit) as caught:
            main(words)
        assert caught.value.code == 0
        assert said in capsys.readouterr().out


def test_a_bug_is_a_line_and_a_traceback_on_demand(capsys, monkeypatch):
    def broken(_argv):
        raise RuntimeError("the secret")

    monkeypatch.setattr(room, "load", broken)
    assert main(["run"]) == 70
    said = capsys.readouterr()
    assert "RuntimeError" in said.err
    assert "secret" not in said.err + said.out
    with pytest.raises(RuntimeError):
        main(["run", "--debug"])


def test_an_address_in_use_is_unavailable(estate, model, broker, store):
    process, output = estate.sidecar(model, store=store, broker=broker, health=store)
    with process:
        ended(process, output, 5, "cannot-listen")


def test_nobody_to_tell_is_exit_5_and_nothing_is_left(estate, model, broker, store):
    arguments, output = estate.arguments(model, store=store, broker=broker)
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "trustkit.sidecar", *arguments],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 5
    assert done.stderr.endswith("[unwritable]\n")
    assert list(output.parent.iterdir()) == []


def test_core_dumps_are_forbidden_and_the_environment_is_not_read(estate, estates, model, broker, store):
    arguments, _ = estate.arguments(model, store=store, broker=broker)
    environ = {
        f"TRUSTKIT_{name}": "/x" for name in ("POLICY", "OUTPUT", "INSECURE", "SIDECAR_POLICY", "VERIFY")
    }
    with estates.Process("trustkit.sidecar", arguments, environ) as process:
        process.line_with("published ")
        limits = Path("/proc", str(process.pid), "limits").read_text()
        [line] = [line for line in limits.splitlines() if line.startswith("Max core file size")]
        assert line.split()[4:6] == ["1", "1"]


def test_what_it_needs_is_the_core(tmp_path):
    """No framework, no rules engine, no YAML of anybody's but the policy's (ADR 0033)."""
    code = (
        "import sys, trustkit.sidecar.main, trustkit.sidecar.fetch, trustkit.sidecar.health, "
        "trustkit.sidecar.store; "
        "print(sorted(set(name.split('.')[0] for name in sys.modules) & "
        "{'fastapi', 'starlette', 'uvicorn', 'httptools', 'uvloop', 'opapywasm', 'wasmtime', 'pydantic'}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert done.stdout == "[]\n"
