"""The verb of the demo: what it hands to the story, and how it sums it up. The story has tests of its own."""

import sys

import pytest

from trustkit.cli.demo import story as told
from trustkit.cli.verbs import demo
from trustkit.errors import UsageError, VerificationError


@pytest.fixture
def story(monkeypatch):
    """A story that is told in no time; it keeps what it was given."""
    given = {}

    def tell(folder, *, overwrite, environ, say, colour):
        given.update(folder=folder, overwrite=overwrite, environ=environ, colour=colour)
        say("1  A first step")
        return told.Told(
            folder.absolute(), (("first", "a thing", "ok"), ("last", "a refusal", "exit 1 unsigned")), 1.26
        )

    monkeypatch.setattr(told, "tell", tell)
    monkeypatch.setattr(demo, "NEEDED", ())
    return given


def test_the_story_is_told_line_by_line(cli, story, tmp_path):
    ran = cli("demo", "--folder", tmp_path, "--overwrite", environ={"A": "b"})
    assert (ran.status, ran.err) == (0, "")
    assert ran.out == f"1  A first step\nproven: 2 things in 1 s; look around in {str(tmp_path)!r}\n"
    assert (story["folder"], story["overwrite"], story["colour"]) == (tmp_path, True, False)
    assert story["environ"] == {"A": "b"}


def test_a_program_gets_the_sum_alone(cli, story, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    document = cli("demo", "--json").document
    assert document["folder"] == str(tmp_path / "demo")
    assert document["proven"][1] == {"scene": "last", "what": "a refusal", "outcome": "exit 1 unsigned"}
    assert document["seconds"] == 1.3
    assert story["overwrite"] is False
    assert cli("demo", "--quiet").out == ""


@pytest.mark.parametrize(
    ("error", "status"), [(VerificationError("demo-failed", "no"), 1), (UsageError("output-exists", "no"), 2)]
)
def test_a_story_that_fails_fails_the_verb(cli, story, monkeypatch, error, status):
    def tell(folder, **_):
        raise error

    monkeypatch.setattr("trustkit.cli.demo.story.tell", tell)
    assert cli("demo").status == status


def test_without_the_extra_the_demo_says_what_it_needs(cli, monkeypatch):
    """As where only the core is installed."""
    for name in [name for name in sys.modules if name.startswith("trustkit.cli.demo")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "trustkit.cli.demo.story", None)
    ran = cli("demo")
    assert (ran.status, ran.code) == (2, "extra-needed")
    assert "pip install '.[demo]'" in ran.err


def test_what_is_missing_is_said_before_anything_is_made(cli, story, monkeypatch, tmp_path):
    monkeypatch.setattr(demo, "NEEDED", ("sys", "no_such_library"))
    ran = cli("demo", "--folder", tmp_path / "demo")
    assert (ran.status, ran.code) == (2, "extra-needed")
    assert "the demo needs no_such_library; install it from the source of trustkit" in ran.err
    assert "pip install '.[demo]'" in ran.err
    assert (story, list(tmp_path.iterdir())) == ({}, [])
