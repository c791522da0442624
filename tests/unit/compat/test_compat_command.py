"""The reference's command line: spellings, defaults, statuses, and nothing that is passed over."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from trustkit.compat.model_signing import command, main
from trustkit.compat.model_signing.flags import METHODS, spellings
from trustkit.errors import UsageError

VERIFY = ("verify", "key", "model", "--signature", "model.sig", "--public_key", "key.pub")
SIGN = ("sign", "key", "model", "--private_key", "key")


def test_spellings():
    assert spellings("--a_b") == ("--a_b", "--a-b")
    assert spellings("--a-b") == ("--a-b", "--a_b")
    assert spellings("--no-ignore_unsigned_files") == (
        "--no-ignore_unsigned_files",
        "--no-ignore-unsigned-files",
        "--no_ignore_unsigned_files",
    )
    assert spellings("--signature") == ("--signature",)


def test_sign_and_verify_with_the_defaults_of_the_reference(place, cli):
    assert cli(*SIGN) == (0, "Signing succeeded\n", "")
    assert (place / "model.sig").is_file()
    assert cli(*VERIFY) == (0, "Verification succeeded\n", "")
    (place / "model/a-b").write_text("changed")
    status, out, err = cli(*VERIFY)
    assert (status, out) == (1, "")
    assert err.endswith("[digest-mismatch]\n")


def test_hyphens_underscores_and_equals_signs(place, cli):
    assert cli("sign", "key", "--private-key=key", "--signature=out.sig", "--", "model")[0] == 0
    words = ("verify", "key", "--public-key", "key.pub", "--ignore_unsigned-files", "model")
    assert cli(*words)[0] == 2
    assert cli("verify", "key", "--public-key", "key.pub", "--signature", "out.sig", "model")[0] == 0


def test_ignored_paths_are_relative_to_the_current_folder(place, cli):
    status, _, err = cli(*SIGN, "--ignore-paths", "model/notes", "--ignore_paths", "notes")
    assert status == 0
    assert "notes' does not lie in the model" in err
    (place / "model/notes/new").write_text("x")
    assert cli(*VERIFY)[0] == 0
    (place / "model/cache").mkdir()
    (place / "model/cache/x").write_text("x")
    assert cli(*VERIFY)[0] == 1
    status, _, err = cli(*VERIFY, "--ignore-paths", "model/cache")
    assert (status, err.splitlines()[-1]) == (
        0,
        "not compared, signed by nobody, and tolerated: 'cache/x'",
    )
    assert cli(*VERIFY, "--ignore_unsigned_files")[0] == 0
    assert cli(*VERIFY, "--ignore-unsigned-files", "--no-ignore-unsigned-files")[0] == 1
    assert cli("--log-level", "error", *VERIFY, "--ignore_unsigned_files")[2] == ""


def test_git_paths_and_links(place, cli):
    (place / "model/.gitignore").write_text("*")
    (place / "model/alias").symlink_to("a-b")
    assert cli(*SIGN)[0] == 1
    assert cli(*SIGN, "--allow-symlinks", "--no-ignore-git-paths")[0] == 0
    assert cli(*VERIFY)[0] == 0
    (place / "model/.gitignore").write_text("changed")
    assert cli(*VERIFY)[0] == 1
    assert cli(*SIGN, "--allow_symlinks", "--no-ignore-git-paths", "--ignore-git-paths")[0] == 0
    (place / "model/.gitignore").write_text("changed again")
    assert cli(*VERIFY)[0] == 0


def test_a_password_works_and_is_warned_of(place, cli):
    words = ("sign", "key", "model", "--private_key", "locked")
    status, _, err = cli(*words, "--password", "secret")
    assert status == 0
    assert "can be read by others" in err
    assert "secret" not in err
    status, _, err = cli(*words, "--password", "wrong")
    assert (status, err.splitlines()[-1].rsplit("[", 1)[1]) == (1, "wrong-passphrase]")
    assert cli(*words)[0] == 1


def test_certificates_are_passed_on(place, cli):
    words = ("sign", "certificate", "model", "--private_key", "key", "--signing_certificate", "key.pub")
    status, _, err = cli(*words, "--certificate_chain", "a", "--certificate-chain", "b")
    assert (status, err) == (1, "model_signing: there is no certificate at 'a' [no-such-file]\n")
    verify = ("verify", "certificate", "model", "--signature", "model.sig")
    assert cli(*verify, "--log_fingerprints")[2].endswith("[no-authority]\n")
    assert cli(*verify, "--certificate_chain", "gone")[0] == 1


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ((), "bad-arguments"),
        (("sign",), "bad-arguments"),
        (("attest", "model"), "bad-arguments"),
        (("sign", "key", "model"), "bad-arguments"),
        (("sign", "key", "--private_key", "key"), "bad-arguments"),
        ((*SIGN, "--private-key", "other"), "bad-arguments"),
        ((*SIGN, "--priv", "other"), "bad-arguments"),
        ((*SIGN, "--signature", ""), "bad-arguments"),
        ((*SIGN, "--passwort", "x"), "bad-arguments"),
        ((*VERIFY, "--password", "x"), "bad-arguments"),
        (("--log-level", "LOUD", *SIGN), "bad-arguments"),
        (("--log-level",), "bad-arguments"),
        (("--log_level=", *SIGN), "bad-arguments"),
        (("sign", "key", *["model"] * 10_001), "bad-arguments"),
        (("sign", "model"), "unsupported-method"),
        (("sign", "sigstore", "model", "--use_staging"), "unsupported-method"),
        (("sign", "pkcs11-key", "model"), "unsupported-method"),
        (("sign", "pkcs11-certificate", "--help"), "unsupported-method"),
        (("verify", "model", "--identity", "x"), "unsupported-method"),
        (("verify", "pkcs11-key", "model"), "unsupported-method"),
    ],
)
def test_what_cannot_be_read_is_exit_2_and_touches_nothing(place, cli, words, code):
    status, out, err = cli(*words)
    assert (status, out) == (2, "")
    assert err.endswith(f"[{code}]\n")
    assert not (place / "model.sig").exists()


@pytest.mark.parametrize(
    "words", [("--help",), ("-h",), ("sign", "-h"), ("verify", "--help"), ("--log-level=info", "-h")]
)
def test_help(cli, words):
    status, out, err = cli(*words)
    assert (status, err) == (0, "")
    for method in ("sign key", "verify certificate", "sigstore", "pkcs11-key"):
        assert method in out


@pytest.mark.parametrize(("verb", "method"), [(v, m) for v in METHODS for m in METHODS[v] if METHODS[v][m]])
def test_help_of_a_method_lists_its_flags_in_each_spelling(cli, verb, method):
    status, out, _ = cli(verb, method, "model", "--help")
    assert status == 0
    for flag in METHODS[verb][method]:
        for name in (flag.name, flag.off):
            assert not name or all(spelling in out for spelling in spellings(name))


def test_help_after_the_end_of_flags_is_a_model(place, cli):
    assert cli("sign", "key", "--private_key", "key", "--", "--help")[2].endswith("[no-such-path]\n")


@pytest.mark.parametrize("what", ["key", "key.pub", "model.sig", "model/a-b"])
def test_a_fifo_hangs_nobody(place, cli, what):
    """The reference waits for ever ; see README.md, difference 5."""
    assert cli(*SIGN)[0] == 0
    (place / what).unlink()
    os.mkfifo(place / what)
    status, _, err = cli(*(SIGN if what == "key" else VERIFY))
    assert (status, err.rsplit("[", 1)[1]) == (1, "special-file]\n")


def test_what_is_written_to_a_terminal_is_harmless(place, cli):
    _, _, err = cli("verify", "key", "mo\x1b[31mdel", "--signature", "model.sig", "--public_key", "key.pub")
    assert "\x1b" not in err
    assert err.count("\n") == 1


def test_a_result_that_cannot_be_told_is_no_success(place, monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    assert main.main([*SIGN]) == 1
    command_line = [sys.executable, "-m", "trustkit.compat.model_signing"]
    for words in (("--help",), VERIFY):
        with Path("/dev/full").open("w") as full:
            done = subprocess.run(
                [*command_line, *words],
                stdout=full,
                stderr=subprocess.PIPE,
                text=True,
                check=False,
                timeout=60,
            )
        assert (done.returncode, done.stderr.rsplit("[", 1)[1]) == (1, "unwritable]\n")


def test_a_bug_and_an_interruption(place, cli, monkeypatch):
    def raises(error):
        def perform(_):
            raise error

        monkeypatch.setattr(command, "perform", perform)

    raises(ZeroDivisionError("secret"))
    status, out, err = cli(*SIGN)
    assert (status, out) == (1, "")
    assert "ZeroDivisionError" in err
    assert "secret" not in err
    raises(KeyboardInterrupt())
    status, _, err = cli(*SIGN)
    assert (status, err) == (130, "model_signing: interrupted; nothing is left half-written [interrupted]\n")
    raises(UsageError("bad-ignore", "x"))
    assert cli(*SIGN)[0] == 1, "only words that cannot be read are exit 2"


def test_run_takes_its_words_from_the_process(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["model_signing", "--version"])
    with pytest.raises(SystemExit) as caught:
        main.run()
    assert caught.value.code == 0
    assert "model-signing 1.1.1" in capsys.readouterr().out
