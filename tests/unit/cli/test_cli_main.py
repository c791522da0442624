"""One answer, one line, one exit status: on success, refusal, misuse, bug, and whatever the system does."""

import json
import sys
import types

import pytest

from trustkit import errors
from trustkit.cli import verbs
from trustkit.cli.answer import Answer
from trustkit.cli.dispatch import help_text
from trustkit.cli.main import main


@pytest.fixture
def broken_verb(monkeypatch):
    """A verb whose file does what the test says."""

    def install(run):
        module = types.ModuleType("trustkit.cli.verbs.broken")
        module.configure = lambda parser: parser.story("A verb of the tests.")
        module.run = run
        monkeypatch.setitem(sys.modules, "trustkit.cli.verbs.broken", module)
        monkeypatch.setitem(verbs.VERBS, "broken", verbs.Verb("broken", "fails", "other"))

    return install


def raising(error):
    def run(arguments, terminal):
        raise error

    return run


def made_of(cause):
    """Wrap an exception as Python does what is raised while a class gets its members."""
    error = RuntimeError("Error calling __set_name__")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize("json_asked", [(), ("--json",)])
@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (errors.VerificationError("wrong-signer", "no"), 1, "wrong-signer"),
        (errors.SealError("tampered", "no"), 1, "tampered"),
        (errors.DeniedError("denied", "no"), 1, "denied"),
        (errors.ScreeningError("screened", "no"), 1, "screened"),
        (errors.UsageError("bad-arguments", "no"), 2, "bad-arguments"),
        (errors.FormatError("bad-json", "no"), 3, "bad-json"),
        (errors.LimitError("too-large", "no"), 4, "too-large"),
        (errors.UnavailableError("unreadable", "no"), 5, "unreadable"),
        (MemoryError(), 5, "out-of-memory"),
        (OSError(24, "Too many open files"), 5, "system-error"),
        (OSError("no number"), 5, "system-error"),
        (RuntimeError("secret text"), 70, "internal-error"),
        (RecursionError(), 70, "internal-error"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (made_of(KeyboardInterrupt()), 130, "interrupted"),
        (made_of(ValueError()), 70, "internal-error"),
    ],
)
def test_every_failure_has_its_status_its_code_and_one_line(
    cli, broken_verb, error, status, code, json_asked
):
    broken_verb(raising(error))
    ran = cli("broken", *json_asked)
    assert (ran.status, ran.code) == (status, code)
    assert len(ran.err.splitlines()) == 1
    if json_asked:
        assert ran.document["code"] == code
    else:
        assert ran.out == ""


def test_a_bug_names_its_type_and_nothing_else(cli, broken_verb):
    broken_verb(raising(RuntimeError("a secret that was in memory")))
    ran = cli("broken", "--json")
    assert "secret" not in ran.out + ran.err
    assert ran.document["evidence"] == {"type": "RuntimeError"}
    assert "--debug" in ran.document["message"]


def test_debug_shows_where_a_failure_comes_from_and_keeps_the_document_whole(cli, broken_verb):
    broken_verb(raising(RuntimeError("\x1b[31mred\u202e")))
    ran = cli("broken", "--debug", "--json")
    assert ran.status == 70
    assert "Traceback" in ran.err
    assert "test_cli_main.py" in ran.err
    assert "\x1b" not in ran.err
    assert "\u202e" not in ran.err
    assert "traceback above" in ran.document["message"]


def test_evidence_reaches_the_document_escaped(cli, broken_verb):
    evidence = {
        "name": "a\x1b[2Jb\u202ec\udcff",
        "list": ["\n"],
        "nested": {"\x07": 1.5},
        "none": None,
        "yes": True,
    }
    broken_verb(raising(errors.VerificationError("digest-mismatch", "x\r\ny\x1b[0m\udcff", **evidence)))
    ran = cli("broken", "--json")
    assert ran.document["evidence"] == {
        "name": "a\\x1b[2Jb\\u202ec\\udcff",
        "list": ["\\n"],
        "nested": {"\\x07": 1.5},
        "none": None,
        "yes": True,
    }
    assert ran.document["message"] == "x\\r\\ny\\x1b[0m\\udcff"
    assert "\x1b" not in ran.err + ran.out


def test_what_evidence_cannot_hold_is_written_as_text(cli, broken_verb):
    broken_verb(lambda arguments, terminal: Answer("done", "it", fields={"odd": {1, 2}, "pair": ("a", "b")}))
    document = cli("broken", "--json").document
    assert document["odd"] == "{1, 2}"
    assert document["pair"] == ["a", "b"]


def test_an_answer_of_fields_cannot_take_the_place_of_the_outcome(cli, broken_verb):
    broken_verb(
        lambda arguments, terminal: Answer("done", "it", fields={"ok": False, "code": "x", "message": "y"})
    )
    document = cli("broken", "--json").document
    assert (document["ok"], document["code"], document["message"]) == (True, "", "done: it")


def test_long_messages_lose_their_middle_and_keep_their_advice(cli, broken_verb):
    broken_verb(raising(errors.UsageError("bad-arguments", "head " + "x" * 100_000 + " what to do")))
    message = cli("broken", "--json").document["message"]
    assert message.startswith("head ")
    assert message.endswith(" what to do")
    assert len(message) <= 2000


def test_quiet_says_warnings_alone_on_success_and_everything_on_failure(cli, broken_verb):
    broken_verb(lambda arguments, terminal: Answer("done", "it"))
    assert cli("broken", "--quiet") == type(cli("broken", "--quiet"))(0, "", "")
    broken_verb(lambda arguments, terminal: Answer("done", "it", warnings=["careful"]))
    quiet = cli("broken", "--quiet")
    assert (quiet.status, quiet.out, quiet.err) == (0, "", "trustkit: warning: careful\n")
    loud = cli("broken")
    assert loud.out == "done: it\n"
    assert loud.err == "trustkit: warning: careful\n"
    assert cli("broken", "--quiet", "--json").document["warnings"] == ["careful"]
    broken_verb(raising(errors.VerificationError("wrong-signer", "no")))
    assert cli("broken", "--quiet").err == "trustkit: no [wrong-signer]\n"


def test_no_verb_no_work(cli):
    ran = cli()
    assert (ran.status, ran.code, ran.out) == (2, "bad-arguments", help_text())
    assert "trustkit --help" in ran.err
    assert cli("--json").document["code"] == "bad-arguments"


def test_an_interrupted_demo_leaves_its_folder(cli, monkeypatch):
    from trustkit.cli.verbs import demo

    monkeypatch.setattr(demo, "run", raising(KeyboardInterrupt()))
    ran = cli("demo", "--json")
    assert (ran.status, ran.code) == (130, "interrupted")
    assert "the demo's folder" in ran.document["message"]


@pytest.mark.parametrize(
    ("words", "near"),
    [
        (("verifyy", "x"), "verify"),
        (("sing", "x"), "sign"),
        (("key-generate",), "key generate"),
        (("generate",), "key generate"),
        (("unseal",), "seal"),
    ],
)
def test_an_unknown_verb_suggests_the_near_one(cli, words, near):
    ran = cli(*words, "--json")
    assert (ran.status, ran.document["code"]) == (2, "unknown-verb")
    assert f"did you mean '{near}'?" in ran.document["message"]


def test_an_unknown_verb_far_from_all_suggests_none(cli):
    ran = cli("\x1b[31mzzzzzzzzz")
    assert ran.code == "unknown-verb"
    assert "did you mean" not in ran.err
    assert "\x1b" not in ran.err


@pytest.mark.parametrize(
    ("words", "near"),
    [(("key", "generaate"), "generate"), (("key", "pub"), "public"), (("kserve", "sel"), "seal")],
)
def test_an_unknown_verb_of_a_group_suggests_the_near_one(cli, words, near):
    ran = cli(*words)
    assert (ran.status, ran.code) == (2, "unknown-verb")
    assert f", did you mean '{near}'?" in ran.err


@pytest.mark.parametrize("words", [("key",), ("key", "generator"), ("key", "--json"), ("policy", "--quiet")])
def test_a_group_without_its_verb_lists_them(cli, words):
    ran = cli(*words)
    assert (ran.status, ran.code) == (2, "unknown-verb")
    assert "generate or public" in ran.err or "check" in ran.err


@pytest.mark.parametrize(
    "words", [("-x",), ("--nonsense",), ("--version", "sign"), ("--quiet", "-v"), ("--",)]
)
def test_flags_before_a_verb_are_refused(cli, words):
    assert (cli(*words).status, cli(*words).code) == (2, "bad-arguments")


@pytest.mark.parametrize("flag", ["--json", "--quiet", "--debug"])
@pytest.mark.parametrize("words", [("verify", "model", "--key", "author.pem.pub"), ("key", "generate")])
def test_a_flag_of_every_verb_before_it_is_told_its_place(cli, flag, words):
    ran = cli(flag, *words)
    assert (ran.status, ran.code) == (2, "bad-arguments")
    assert f"flags come after the verb, and '{flag}' comes before it" in ran.err


@pytest.mark.parametrize(
    "words",
    [
        ("sign", "model", "--passphrase", "hunter2secret"),
        ("sign", "model", "--passphrase=hunter2secret"),
        ("sign", "model", "-phunter2secret"),
        ("sign", "model", "-p=hunter2secret"),
        ("--passphrase", "hunter2secret", "sign", "model"),
        ("--passphrase=hunter2secret", "sign", "model"),
    ],
)
def test_what_follows_a_flag_that_there_is_not_is_never_shown(cli, words):
    """It may be a secret, and what we say ends in logs."""
    ran = cli(*words, "--json")
    assert (ran.status, ran.code) == (2, "bad-arguments")
    assert "hunter2" not in ran.out + ran.err


@pytest.mark.parametrize(
    "words",
    [
        ("verify", "--json", "--nonsense"),
        ("--json",),
        ("--json", "verify"),
        ("nothing", "--json"),
        ("key", "--json"),
    ],
)
def test_misuse_gets_its_document_too(cli, words):
    ran = cli(*words)
    assert ran.status == 2
    assert ran.document["ok"] is False


def test_json_after_two_dashes_is_a_name(cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ran = cli("inspect", "--", "--json")
    assert (ran.status, ran.out, ran.code) == (2, "", "no-such-file")


@pytest.mark.parametrize("words", [("--version",), ("--version", "--quiet")])
def test_version(cli, words):
    from trustkit.version import __version__

    assert cli(*words).out == f"trustkit {__version__}\n"
    assert cli(*words, "--json").document["version"] == __version__


def test_an_answer_nobody_can_read_is_no_success(world, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdout", None)
    words = ["verify", str(world.model), "--key", str(world.public(world.author))]
    for more in ([], ["--json"]):
        assert main([*words, *more], {}) == 5
        assert "[unwritable]" in capsys.readouterr().err
    assert main([*words, "--quiet"], {}) == 0


def test_a_refusal_nobody_can_read_is_unavailable_in_json_only(world, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdout", None)
    words = ["verify", str(world.model), "--key", str(world.public(world.stranger))]
    assert main(words, {}) == 1
    assert "[wrong-signer]" in capsys.readouterr().err
    assert main([*words, "--json"], {}) == 5
    err = capsys.readouterr().err
    assert len(err.splitlines()) == 1
    assert "no author we believe" in err
    assert err.endswith("[unwritable]\n")


def test_without_any_stream_the_status_has_to_do(world, monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    assert main(["verify", str(world.model), "--key", str(world.public(world.stranger)), "--debug"], {}) == 1
    assert main(["--json"], {}) == 5


def test_a_stream_that_was_closed_meanwhile_is_one_that_is_closed(world, monkeypatch, capsys):
    import io

    out, err = io.StringIO(), io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    out.close()
    assert main(["--version"], {}) == 5
    monkeypatch.setattr(sys, "stderr", err)
    err.close()
    assert main(["--version"], {}) == 5


def test_a_stream_without_bytes_gets_the_document_as_text(world, monkeypatch):
    import io

    out = io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    assert main(["--version", "--json"], {}) == 0
    assert json.loads(out.getvalue())["ok"] is True


@pytest.mark.parametrize("json_asked", [[], ["--json"]])
def test_an_interruption_while_modules_load_is_one(monkeypatch, capsys, json_asked):
    """The earliest moment: not even the terminal exists."""

    class Interrupting:
        def find_spec(self, name, path=None, target=None):
            if name.startswith("trustkit.cli.terminal"):
                raise KeyboardInterrupt

    for name in [
        name for name in sys.modules if name.startswith("trustkit.cli.") and name != "trustkit.cli.main"
    ]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Interrupting(), *sys.meta_path])
    assert main(["sign", "x", *json_asked], {}) == 130
    out, err = capsys.readouterr()
    assert err == "trustkit: interrupted; nothing is left half-written [interrupted]\n"
    assert (json.loads(out)["code"] == "interrupted") if json_asked else out == ""


def test_what_was_told_stands_although_an_interruption_follows(broken_verb, monkeypatch, capsys):
    from trustkit.cli.terminal import Terminal

    broken_verb(lambda arguments, terminal: Answer("done", "it"))
    say = Terminal.say

    def said_then_interrupted(self, answer):
        say(self, answer)
        raise KeyboardInterrupt

    monkeypatch.setattr(Terminal, "say", said_then_interrupted)
    assert main(["broken", "--json"], {}) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["ok"] is True
    assert err == ""


def test_a_document_that_was_begun_is_not_followed_by_another(broken_verb, monkeypatch, capsys):
    """Long texts may be interrupted half-way: a reader could make us wait for ever."""
    from trustkit.cli.terminal import Terminal

    broken_verb(lambda arguments, terminal: Answer("done", "it"))

    def interrupted(self, text):
        raise KeyboardInterrupt

    monkeypatch.setattr(Terminal, "_write", interrupted)
    assert main(["broken", "--json"], {}) == 130
    out, err = capsys.readouterr()
    assert out == ""
    assert "[interrupted]" in err


def test_an_interruption_that_cannot_be_told_is_one(broken_verb, monkeypatch):
    broken_verb(raising(KeyboardInterrupt()))
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, None)
    assert main(["broken", "--json"], {}) == 130
    import io

    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stdout", closed)
    assert main(["broken", "--json"], {}) == 130


def test_words_in_another_order_are_told_that_the_verb_comes_first(cli):
    ran = cli("model", "sign", "--key", "x")
    assert (ran.status, ran.code) == (2, "unknown-verb")
    assert "there is no verb 'model', and the verb comes first: trustkit sign;" in ran.err
    assert "the verb comes first: trustkit key public;" in cli("x.pem", "key", "public").err
