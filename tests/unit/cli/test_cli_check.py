"""`trustkit check`: what it lists, in which form, and how it ends."""

import errno
import json
import os
import re

import jsonschema
import pytest

from trustkit.cli import manifests
from trustkit.digest import digest_of
from trustkit.workflows.checking import REMEDIES
from trustkit.workloads.extension import extended_table

POD = """\
apiVersion: v1
kind: Pod
metadata: {name: %s}
spec:
  containers:
  - {name: a, image: vllm/vllm-openai, args: [--model, "%s"]}
"""
PINNED = "trust://store/tiny@sha256:" + "a" * 64


@pytest.fixture
def deploy(tmp_path, monkeypatch):
    """A folder of manifests below the current one: one pinned, one mutable."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "deploy"
    (folder / "sub").mkdir(parents=True)
    (folder / "b.yaml").write_text(POD % ("b", PINNED), encoding="utf-8")
    (folder / "sub/a.yml").write_text(POD % ("a", "s3://b/m"), encoding="utf-8")
    (folder / "notes.md").write_text("s3://b/notes", encoding="utf-8")
    (folder / ".hidden").mkdir()
    (folder / ".hidden/c.yaml").write_text(POD % ("c", "s3://b/hidden"), encoding="utf-8")
    return folder


def test_what_can_be_moved_is_listed_and_refused(cli, deploy):
    ran = cli("check", "deploy")
    assert ran.status == 1
    assert ran.code == "manifests-refused"
    assert ran.out == (
        f"deploy/b.yaml:6: pinned: {PINNED} in document 1, spec.containers[0].args[1]\n"
        "deploy/sub/a.yml:6: refused, mutable: s3://b/m [not-pinned] in document 1, "
        "spec.containers[0].args[1]\n"
    )
    assert "1 of 2 model references in 2 objects of 2 files" in ran.err


def test_all_is_well_where_every_model_is_pinned(cli, deploy):
    ran = cli("check", deploy / "b.yaml")
    assert (ran.status, ran.err) == (0, "")
    assert ran.out.splitlines()[0] == "checked: 1 model reference in 1 object of 1 file; none is refused"
    assert cli("check", deploy / "b.yaml", "--quiet").out == ""


def test_quiet_still_says_why_it_refuses(cli, deploy):
    ran = cli("check", "deploy", "--quiet")
    assert (ran.status, ran.out, ran.code) == (1, "", "manifests-refused")


def test_the_document_says_everything_of_a_finding(cli, deploy):
    ran = cli("check", "deploy", "--json")
    assert ran.status == 1
    document = ran.document
    assert document["code"] == "manifests-refused"
    assert document["evidence"] == {
        "codes": ["not-pinned"],
        "files": 2,
        "objects": 2,
        "references": 2,
        "refused": 1,
    }
    assert [found["refused"] for found in document["findings"]] == [False, True]
    assert {**document["findings"][1], "remedy": "", "reason": ""} == {
        "file": "deploy/sub/a.yml",
        "line": 6,
        "document": 1,
        "object": "Pod a",
        "path": "spec.containers[0].args[1]",
        "reference": "s3://b/m",
        "state": "mutable",
        "refused": True,
        "code": "not-pinned",
        "scheme": "s3",
        "how": "argument",
        "confidence": "certain",
        "remedy": "",
        "reason": "",
        "locked": "",
    }
    assert cli("check", deploy / "b.yaml", "--json").document["findings"][0]["state"] == "pinned"


def test_an_unresolved_place_has_no_scheme(cli, deploy):
    (deploy / "b.yaml").write_text("{apiVersion: a.example/v1, kind: Unheard}", encoding="utf-8")
    found = cli("check", deploy / "b.yaml", "--json").document["findings"][0]
    assert (found["state"], found["scheme"], found["how"], found["confidence"]) == ("unresolved", "", "", "")


@pytest.fixture
def sarif_schema(pytestconfig):
    return json.loads(
        (pytestconfig.rootpath / "tests/vectors/sarif/sarif-2.1.0-rtm.5.json").read_text(encoding="utf-8")
    )


def test_sarif_is_valid_and_points_at_the_line(cli, deploy, sarif_schema):
    ran = cli("check", "deploy", "--format", "sarif", "--allow", "unresolved-gpu")
    assert ran.status == 1
    document = json.loads(ran.out)
    jsonschema.Draft4Validator(sarif_schema).validate(document)
    [run] = document["runs"]
    [result] = run["results"]
    assert (result["ruleId"], result["level"]) == ("not-pinned", "error")
    assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == "not-pinned"
    place = result["locations"][0]["physicalLocation"]
    assert place == {"artifactLocation": {"uri": "deploy/sub/a.yml"}, "region": {"startLine": 6}}
    broken = {**document, "version": "2.0.0"}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft4Validator(sarif_schema).validate(broken)


@pytest.mark.parametrize("name", ["a b%.yaml", "ü.yaml", "\x1b[2J.yaml"])
def test_sarif_names_files_by_address(cli, deploy, sarif_schema, name):
    (deploy / name).write_text(POD % ("a", "s3://b/m"), encoding="utf-8")
    for path in (f"deploy/{name}", deploy / name):
        ran = cli("check", path, "--format", "sarif", "--allow", "not-pinned")
        assert (ran.status, ran.out.isascii()) == (0, True)
        document = json.loads(ran.out)
        jsonschema.Draft4Validator(sarif_schema).validate(document)
        [result] = document["runs"][0]["results"]
        assert result["level"] == "note"
        uri = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
        assert uri.startswith("file:///" if path is not None and os.path.isabs(path) else "deploy/")  # noqa: PTH117
        assert uri.replace("%", "").isprintable()
        assert " " not in uri


def test_markdown_has_no_markup_of_a_manifest(cli, deploy):
    evil = "s3://b/|<img src=x>`[x](y)\x1b[2J"
    (deploy / "b.yaml").write_text(POD % ("b", json.dumps(evil)[1:-1]), encoding="utf-8")
    ran = cli("check", deploy / "b.yaml", "--format", "markdown")
    assert ran.status == 1
    [head, rule, *rows] = ran.out.splitlines()
    assert (head.count("|"), rule.count("|")) == (6, 6)
    assert rows
    for row in rows:
        assert row.replace("\\|", "").count("|") == 6
        assert not set("<`[]()").intersection(re.sub(r"\\.", "", row))
        assert row.isprintable()
    (deploy / "b.yaml").write_text("a: 1", encoding="utf-8")
    assert cli("check", deploy / "b.yaml", "--format", "markdown").out == "No models are named.\n"


def test_a_long_reference_is_cut_where_people_read(cli, deploy):
    (deploy / "b.yaml").write_text(POD % ("b", "s3://b/" + "x" * 1000), encoding="utf-8")
    assert f"{'x' * 190}" in cli("check", deploy / "b.yaml").out
    assert max(map(len, cli("check", deploy / "b.yaml").out.splitlines())) < 500
    assert len(cli("check", deploy / "b.yaml", "--json").document["findings"][0]["reference"]) == 1007


def test_standard_input_is_read(program, deploy):
    with (deploy / "sub/a.yml").open("rb") as stream:
        ran = program("check", "-", "--format", "sarif", stdin=stream)
    assert ran.status == 1
    [result] = json.loads(ran.out)["runs"][0]["results"]
    assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "stdin"


def test_standard_input_that_cannot_be_read_is_no_verdict(program, deploy):
    descriptor = os.open(deploy / "b.yaml", os.O_WRONLY)
    try:
        ran = program("check", "-", stdin=descriptor)
    finally:
        os.close(descriptor)
    assert (ran.status, ran.code) == (5, "unreadable")


def test_a_lockfile_and_a_table_are_read(cli, deploy):
    (deploy / "model.lock").write_text(
        json.dumps(
            {
                "version": "trustkit.dev/lock/v1",
                "models": [
                    {"reference": "s3://b/m", "digest": "sha256:" + "b" * 64},
                    {"reference": "trust://store/tiny", "digest": "sha256:" + "b" * 64},
                ],
            }
        ),
        encoding="utf-8",
    )
    ran = cli("check", "deploy", "--lock", deploy / "model.lock")
    assert ran.status == 1
    assert "deploy/b.yaml:6: refused, pinned" in ran.out
    assert "[lock-mismatch]" in ran.out
    assert f"spec.containers[0].args[1]; the lockfile has sha256:{'b' * 64}\n" in ran.out
    assert ran.err.rstrip().endswith(f"{REMEDIES['lock-mismatch']} [manifests-refused]")
    found = cli("check", deploy / "b.yaml", "--lock", deploy / "model.lock", "--json").document["findings"]
    assert [one["locked"] for one in found] == ["sha256:" + "b" * 64]
    sarif = json.loads(cli("check", deploy, "--lock", deploy / "model.lock", "--format", "sarif").out)
    [result] = sarif["runs"][0]["results"]
    assert f"; the lockfile has sha256:{'b' * 64}; {REMEDIES['lock-mismatch']}" in result["message"]["text"]
    assert "deploy/sub/a.yml:6: locked: s3://b/m in" in ran.out
    (deploy / "b.yaml").write_text("{apiVersion: a.example/v1, kind: Unheard}", encoding="utf-8")
    assert cli("check", deploy / "b.yaml").status == 1
    (deploy / "table").write_text(
        "version: trustkit.dev/workloads/v1\nbystanders: [a.example/Unheard]", encoding="utf-8"
    )
    assert cli("check", deploy / "b.yaml", "--table", deploy / "table").status == 0


def test_bases_and_rows_that_the_webhook_takes_are_taken_and_named(cli, tmp_path):
    for name, text in {
        "service.yaml": "{apiVersion: serving.kserve.io/v1, kind: LLMInferenceService, "
        "metadata: {name: x, namespace: team}, spec: {baseRefs: [{name: shared}]}}",
        "bases.yaml": "{apiVersion: serving.kserve.io/v1, kind: LLMInferenceServiceConfig, "
        "metadata: {name: shared}, spec: {model: {uri: 'trust://store/tiny@sha256:" + "a" * 64 + "'}}}",
        "table.yaml": "version: trustkit.dev/workloads/v1\nweights: [.brain]\n",
    }.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    ran = cli("check", tmp_path / "service.yaml", "--json")
    assert (ran.status, ran.document["evidence"]["codes"]) == (1, ["unresolved-model"])
    words = ("--bases", tmp_path / "bases.yaml", "--table", tmp_path / "table.yaml", "--json")
    ran = cli("check", tmp_path / "service.yaml", *words)
    assert ran.status == 0
    assert ran.document["bases_digest"] == str(digest_of((tmp_path / "bases.yaml").read_bytes()))
    assert ran.document["table_digest"] == str(extended_table((tmp_path / "table.yaml").read_bytes()).digest)
    (tmp_path / "bases.yaml").write_text("kind: Pod", encoding="utf-8")
    assert cli("check", tmp_path / "service.yaml", *words).code == "bad-bases"


GPU = """\
apiVersion: v1
kind: Pod
metadata: {name: g}
spec: {containers: [{name: a, image: b, resources: {limits: {nvidia.com/gpu: 1}}}]}
---
apiVersion: a.example/v1
kind: Unheard
"""


def test_every_code_that_refuses_is_told_with_what_to_do_about_it(cli, deploy):
    (deploy / "b.yaml").write_text(GPU, encoding="utf-8")
    ran = cli("check", deploy / "b.yaml")
    assert ran.out.splitlines()[-2:] == [
        f"{code}: {REMEDIES[code]}" for code in ("unknown-kind", "unresolved-gpu")
    ]
    assert "2 of 2 findings in 2 objects of 1 file" in ran.err, "neither of them is a model"
    assert "(unknown-kind, unresolved-gpu); the list says what to do about each [" in ran.err
    ran = cli("check", deploy / "b.yaml", "--allow", "unknown-kind", "--json")
    assert ran.document["message"].endswith(f"(unresolved-gpu); {REMEDIES['unresolved-gpu']}")
    assert (ran.document["references"], ran.document["refused"]) == (0, 1)
    ran = cli("check", deploy / "b.yaml", "--allow", "unknown-kind", "--allow", "unresolved-gpu")
    assert ran.out.startswith("checked: 2 findings in 2 objects of 1 file; none is refused\n")
    assert REMEDIES["unresolved-gpu"] not in ran.out


def test_sarif_says_once_what_was_found(cli, deploy):
    (deploy / "b.yaml").write_text(GPU, encoding="utf-8")
    results = json.loads(cli("check", deploy, "--format", "sarif").out)["runs"][0]["results"]
    texts = {result["ruleId"]: result["message"]["text"] for result in results}
    assert texts["unresolved-gpu"].count("asks for an accelerator") == 1
    assert texts["not-pinned"] == f"s3://b/m: value of --model; {REMEDIES['not-pinned']}"


def test_rows_that_take_something_out_of_judgement_are_said_aloud(cli, deploy):
    rows = deploy / "table"
    rows.write_text(
        "version: trustkit.dev/workloads/v1\nbystanders: [a.example/Unheard]\nflags: {names: [model]}\n",
        encoding="utf-8",
    )
    ran = cli("check", deploy / "b.yaml", "--table", rows)
    [said] = ran.err.splitlines()
    assert said.startswith(f"trustkit: warning: '{rows}' takes out of judgement")
    assert ": bystanders, flags.names; leave them out if nobody needs them" in said
    document = cli("check", deploy, "--table", rows, "--json").document
    assert document["exempts"] == ["bystanders", "flags.names"]
    assert len(document["warnings"]) == 1
    rows.write_text("version: trustkit.dev/workloads/v1\nweights: [.brain]\n", encoding="utf-8")
    document = cli("check", deploy, "--table", rows, "--json").document
    assert (document["exempts"], document["warnings"]) == ([], [])


@pytest.mark.parametrize(
    "text",
    [
        "apiVerson: apps/v1\nkind: Deployment\nmetadata: {name: x}\n",
        "apiVersion: 1\nkind: Deployment\nspec: {}\n",
        "apiVersion: apps/v1\nknd: Deployment\nmetadata: {name: x}\n",
        "spec: {template: {spec: {}}}\n",
        "spec: {containers: []}\n",
        "apiVerson: a/v1\nknd: Server\nmetadata: {name: x}\nspec: {model: a}\n",
        "apiVerson: v1\nkind: List\nitems: [{apiVersion: v1, metadata: {name: x}}]\n",
    ],
)
def test_an_object_that_cannot_be_read_is_refused_beside_others(cli, deploy, text):
    (deploy / "z.yaml").write_text("apiVersion: v1\nkind: Service\n---\n" + text, encoding="utf-8")
    ran = cli("check", deploy / "b.yaml", deploy / "z.yaml")
    assert (ran.status, ran.code) == (1, "manifests-refused")
    assert re.search(r"z\.yaml:[0-9]+: refused, unresolved: .* \[unread-object\] in document 2, ", ran.out)
    assert f"(unread-object); {REMEDIES['unread-object']}" in ran.err
    assert cli("check", deploy / "z.yaml", "--allow", "unread-object").status == 0


def test_a_model_of_an_object_that_cannot_be_read_is_listed(cli, deploy):
    text = POD % ("a", "s3://b/typo")
    (deploy / "z.yaml").write_text(text.replace("apiVersion", "apiVerson"), encoding="utf-8")
    found = cli("check", deploy / "z.yaml", "--json").document["findings"]
    assert [(one["code"], one["reference"]) for one in found] == [
        ("unread-object", ""),
        ("not-pinned", "s3://b/typo"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "apiVersion: v2\nname: chart\n",
        "a: {spec: {}}\n",
        "- {op: add}\n",
        "kind: pipeline\nname: x\n",
        "x",
        "spec: {replicas: 1}\n",
    ],
)
def test_what_has_nothing_of_an_object_is_somebody_elses(cli, deploy, text):
    (deploy / "z.yaml").write_text(text, encoding="utf-8")
    ran = cli("check", deploy / "b.yaml", deploy / "z.yaml")
    assert (ran.status, ran.err) == (0, "")


def test_a_text_that_cannot_be_read_is_told_once_where_it_stands_and_in_the_order_of_lines(cli, deploy):
    (deploy / "b.yaml").write_text(
        "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec:\n  containers:\n  - name: a\n"
        "    image: vllm/vllm-openai\n    args: [--model, $(MODEL), --tokenizer, org/t]\n"
        "    env:\n    - {name: MODEL, valueFrom: {configMapKeyRef: {name: x, key: y}}}\n",
        encoding="utf-8",
    )
    found = cli("check", deploy / "b.yaml", "--json").document["findings"]
    assert [(one["line"], one["path"], one["code"]) for one in found] == [
        (8, "spec.containers[0].args[3]", "not-pinned"),
        (8, "spec.containers[0].args[1]", "unresolved-model"),
        (10, "spec.containers[0].env[0]", "unresolved-model"),
    ]


def test_a_code_that_is_accepted_is_listed_and_refuses_nothing(cli, deploy):
    ran = cli("check", "deploy", "--allow", "not-pinned")
    assert ran.status == 0
    assert "deploy/sub/a.yml:6: mutable, allowed: s3://b/m [not-pinned]" in ran.out
    assert cli("check", "deploy", "--allow", "everything").code == "bad-arguments"


def test_folders_give_their_manifests_once_and_in_order(cli, deploy):
    (deploy / "A.JSON").write_text('{"apiVersion": "v1", "kind": "Pod"}', encoding="utf-8")
    document = cli(
        "check", deploy / "b.yaml", "deploy", deploy, deploy, "--json", "--allow", "not-pinned"
    ).document
    assert document["files"] == 6
    names = [found["file"].rsplit("deploy/")[-1] for found in document["findings"]]
    assert names == ["b.yaml", "A.JSON", "b.yaml", "sub/a.yml", "A.JSON", "sub/a.yml"]


@pytest.mark.parametrize("glob", ["a.yml", "sub", "sub/*", "s?b/a.y*l"])
def test_what_is_excluded_is_left_out_of_folders(cli, deploy, glob):
    assert cli("check", "deploy", "--exclude", glob).status == 0
    assert cli("check", "deploy/sub/a.yml", "--exclude", glob).status == 1


def test_a_run_has_a_largest_number_of_files(cli, deploy, monkeypatch):
    monkeypatch.setattr(manifests, "MAX_FILES", 1)
    ran = cli("check", "deploy")
    assert (ran.status, ran.code) == (4, "too-many-files")


def test_a_folder_that_cannot_be_read_is_no_verdict(cli, deploy, monkeypatch):
    def scandir(path):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr(os, "scandir", scandir)
    ran = cli("check", "deploy")
    assert (ran.status, ran.code) == (5, "unreadable")


@pytest.mark.parametrize("allowed", [(), ("--allow", "no-manifests")])
def test_a_folder_without_any_object_is_no_success_unless_that_is_said(cli, deploy, allowed):
    (deploy / "empty").mkdir()
    (deploy / "values").mkdir()
    (deploy / "values/values.yaml").write_text("replicas: 1\n", encoding="utf-8")
    (deploy / "values/kustomization.yaml").write_text(
        "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n", encoding="utf-8"
    )
    for folder, count in (("empty", "0 files"), ("values", "2 files"), (".hidden", None)):
        ran = cli("check", deploy / "b.yaml", f"deploy/{folder}", *allowed)
        if allowed or count is None:
            assert ran.status == (0 if count else 1)  # what is hidden is checked if it is named
            continue
        assert (ran.status, ran.code, ran.out) == (2, "no-manifests", "")
        assert f"no Kubernetes object in the folder 'deploy/{folder}' ({count} ending in" in ran.err
    ran = cli("check", "deploy/sub", "--exclude", "a.yml", *allowed)
    assert ran.status == (0 if allowed else 2)
    ran = cli("check", "deploy", "deploy/sub", "--allow", "not-pinned", *allowed)
    assert ran.status == 0


@pytest.mark.parametrize("printed", [b"", b"replicas: 1\n", b"---\n# nothing\n"])
def test_a_renderer_that_printed_nothing_is_no_success(cli, tmp_path, monkeypatch, printed):
    (tmp_path / "printed").write_bytes(printed)
    for allowed in ((), ("--allow", "no-manifests")):
        descriptor = os.open(tmp_path / "printed", os.O_RDONLY)
        kept = os.dup(0)
        os.dup2(descriptor, 0)
        try:
            ran = cli("check", "-", *allowed)
        finally:
            os.dup2(kept, 0)
            os.close(kept)
            os.close(descriptor)
        assert ran.status == (0 if allowed else 2)
        assert allowed or ran.code == "no-manifests"
        assert allowed or "no Kubernetes object on standard input; look at what should print it" in ran.err


def test_nothing_to_check_is_said(cli, deploy):
    ran = cli("check", deploy / "notes.md")
    assert ran.status == 0
    assert "there is no Kubernetes object in what was checked; look at the path" in ran.err


def test_one_file_that_does_not_parse_ends_the_run(cli, deploy):
    (deploy / "z.yaml").write_text("a: [\n", encoding="utf-8")
    ran = cli("check", "deploy")
    assert (ran.status, ran.code, ran.out) == (3, "bad-manifest", "")
    assert "z.yaml" in ran.err


def test_json_is_a_format_itself(cli, deploy):
    assert cli("check", "deploy", "--json", "--format", "sarif").code == "bad-arguments"
    assert cli("check", "deploy", "--format", "text").status == 1


def test_a_refusal_that_cannot_be_told_is_no_verdict(program, deploy):
    with open("/dev/full", "wb") as full:  # noqa: PTH123 - a device
        ran = program("check", "deploy", stdout=full)
    assert ran.status == 5


def test_a_policy_of_ours_beside_manifests_is_no_model(cli, world):
    ran = cli("check", world.policy)
    assert (ran.status, ran.err) == (0, "")
