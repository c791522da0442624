"""Every rule is a page: whole metadata, a code of its own, a test beside it; and none objects to nothing."""

import hashlib
import io
import json
import re
import tarfile

import pytest
import yaml

from trustkit.deciding.wasm import packaged_bundle

PAGE = re.compile(r"^(admission|broker)/([a-z_]+)/rule\.rego$")
METADATA = re.compile(r"((?:^#[^\n]*\n)+)violation contains \{(.*?)\n\}", re.MULTILINE | re.DOTALL)
NEGATED_CALL = re.compile(r"\bnot\s+[\w.]+\(([^()]*)\)")


@pytest.fixture(scope="session")
def pages(sources):
    return {name: text for name, text in sources.items() if PAGE.match(name)}


def documented(text):
    """Yield the metadata and the body of every documented violation of a page."""
    for comment, body in METADATA.findall(text):
        assert comment.startswith("# METADATA\n"), comment
        yield yaml.safe_load("".join(line[2:] for line in comment.splitlines(keepends=True)[1:])), body


def test_there_are_rules_of_both_faces(pages):
    faces = [PAGE.match(name)[1] for name in pages]
    assert (faces.count("admission"), faces.count("broker")) == (7, 7)


def test_every_page_says_what_why_and_what_to_do(pages):
    for name, text in pages.items():
        found = list(documented(text))
        assert found, name
        for metadata, body in found:
            assert set(metadata) == {"title", "description", "custom"}, name
            assert set(metadata["custom"]) == {"code", "remedy", "in_force_since"}, name
            assert len(metadata["description"].split()) > 12, name
            assert str(metadata["custom"]["in_force_since"]) >= "2026-11-25"
            assert f'"code": "{metadata["custom"]["code"]}"' in body, name
            assert "rego.metadata.rule().custom.remedy" in body, name


def test_packages_are_named_after_their_folders(sources):
    for name, text in sources.items():
        (package,) = re.findall(r"^package (\S+)$", text, re.MULTILINE)
        match = PAGE.match(name)
        if match:
            assert package == f"trustkit.{match[1]}.rules.{match[2]}"
        elif name.endswith("decision.rego"):
            assert package == f"trustkit.{name.split('/')[0]}"
        else:
            assert package == f"trustkit.{name.removesuffix('.rego').replace('/', '.')}"


def test_every_source_has_its_test_beside_it(sources, policies):
    for name in sources:
        assert (policies / name.replace(".rego", "_test.rego")).is_file(), name


def test_every_page_stands_in_the_table(pages, policies):
    text = (policies / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| \[([\w/]+)\]\(\1/rule\.rego\) \|", text, re.MULTILINE)
    assert rows == [name.removesuffix("/rule.rego") for name in sorted(pages, key=rows_of(rows))]
    for name, page in pages.items():
        row = next(line for line in text.splitlines() if f"[{name.removesuffix('/rule.rego')}]" in line)
        for metadata, _ in documented(page):
            assert f"`{metadata['custom']['code']}`" in row, name


def rows_of(rows):
    return lambda name: rows.index(name.removesuffix("/rule.rego"))


def test_no_negation_is_undefined_by_its_argument(sources):
    """`not f(x.y)` objects to nothing where x has no y: arguments are evaluated before the negation."""
    for name, text in sources.items():
        code = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
        for arguments in NEGATED_CALL.findall(code):
            assert "." not in arguments, f"{name}: not …({arguments})"
            assert "[" not in arguments, f"{name}: not …({arguments})"


def test_the_negation_that_is_looked_for_would_be_found():
    assert NEGATED_CALL.findall("not somebody(model.evidence.authors)") == ["model.evidence.authors"]


def test_decisions_deny_by_default_and_hear_every_rule(sources):
    for face in ("admission", "broker"):
        text = sources[f"{face}/decision.rego"]
        assert re.search(r'default decision := \{\s*"allowed": false,', text)
        assert f"data.trustkit.{face}.rules[name].violation" in text
        assert '"allowed": count(violations) == 0' in text


def test_rules_reach_nothing_but_their_facts(sources):
    for name, text in sources.items():
        assert not re.search(r"\b(http|net|opa|rand|time|trace|print)\b[.(]", text), name


def manifest():
    with tarfile.open(fileobj=io.BytesIO(packaged_bundle())) as archive:
        return json.load(archive.extractfile("/.manifest"))


def test_the_compiled_rules_are_those_of_these_sources(sources, policies):
    """Holds without OPA; `policies/compile --check` compiles and compares bytes."""
    names = [*sorted(sources), "capabilities"]
    lines = "".join(
        f"{hashlib.sha256((policies / name).read_bytes()).hexdigest()}  {name}\n" for name in names
    )
    assert manifest()["metadata"]["sources"] == f"sha256:{hashlib.sha256(lines.encode()).hexdigest()}"


def test_the_bundle_says_nothing_of_where_and_when(policies):
    raw = (policies / "compiled" / "rules.tar.gz").read_bytes()
    assert raw[4:8] == b"\0\0\0\0"
    with tarfile.open(fileobj=io.BytesIO(raw)) as archive:
        members = archive.getmembers()
    assert [member.name for member in members] == ["/.manifest", "/data.json", "/policy.wasm"]
    assert {(m.mtime, m.uid, m.gid, m.uname, m.gname, m.mode) for m in members} == {(0, 0, 0, "", "", 0o644)}


def test_the_same_opa_compiles_and_tests(policies, root):
    compile_script = (policies / "compile").read_text(encoding="utf-8")
    (version,) = re.findall(r'^OPA = "([\d.]+)"$', compile_script, re.MULTILINE)
    tools = (root / ".ci" / "tools.py").read_text(encoding="utf-8")
    assert f'"opa": Tool("github.com/open-policy-agent/opa", "v{version}")' in tools
    assert manifest()["metadata"]["opa"] == version


@pytest.fixture(scope="session")
def root(policies):
    return policies.parent
