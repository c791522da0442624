"""`trustkit pin`: proven digests go into manifests and lockfile, nothing else changes, nothing is guessed."""

import json
import stat

import pytest

from trustkit.cli.verbs import pin as verb
from trustkit.workflows import pinning

OWN = "trust://store/acme/tiny"
HELM = """\
---
# Source: chart/templates/deployment.yaml
apiVersion: apps/v1
kind: Deployment
metadata: {name: llm, namespace: team}   # kept
spec:
  template:
    spec:
      containers:
        - name: server
          image: 'vllm/vllm-openai:v0.9.1'
          args: ["--model", "trust://store/acme/tiny"]   # and this
---
# Source: chart/templates/other.yaml
apiVersion: v1
kind: Service
metadata: {name: llm}
"""
ISVC = """\
apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata:
    name: i
    namespace: team
spec:
    predictor:
        model:
            modelFormat: {name: sklearn}
            storageUri: s3://models/tiny
"""
LIST = {
    "apiVersion": "v1",
    "kind": "List",
    "items": [
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "p", "namespace": "team"},
            "spec": {"containers": [{"name": "a", "command": ["sh", "-c", f"vllm serve {OWN} --port 80"]}]},
        },
    ],
}


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A folder of rendered manifests, below the current one."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "deploy"
    folder.mkdir()
    (folder / "helm.yaml").write_bytes(HELM.encode())
    (folder / "isvc.yml").write_bytes(ISVC.replace("\n", "\r\n").encode("utf-8-sig"))
    (folder / "list.json").write_text(json.dumps(LIST, indent=1), encoding="utf-8")
    return folder


@pytest.fixture
def pin(cli, world, sealed):
    """Pin with what the sealed folder proves, by the keys that are believed."""

    def run(*words, meanings=(OWN, "s3://models/tiny"), proof=sealed, key=world.author):
        given = [word for reference in meanings for word in ("--from", f"{reference}={proof}")]
        keys = ["--key", world.public(key)]
        keys += ["--publisher-key", world.public(world.publisher)] if proof == sealed else []
        return cli("pin", *words, *given, *keys)

    return run


@pytest.fixture
def digest(cli, model):
    """The manifest digest of the world's model."""
    return cli("manifest", model, "--json").document["manifest_digest"]


def test_a_repository_is_pinned_and_then_clean(cli, pin, repository, digest, snapshot):
    assert cli("check", "deploy").status == 1
    ran = pin("deploy")
    assert (ran.status, ran.err) == (0, "")
    pinned = f"{OWN}@{digest}"
    assert (repository / "helm.yaml").read_bytes() == HELM.replace(OWN, pinned).encode()
    assert (repository / "list.json").read_text(encoding="utf-8") == json.dumps(LIST, indent=1).replace(
        OWN, pinned
    )
    assert (repository / "isvc.yml").read_bytes() == ISVC.replace("\n", "\r\n").encode("utf-8-sig")
    assert json.loads((repository.parent / "model.lock").read_text(encoding="utf-8")) == {
        "version": "trustkit.dev/lock/v1",
        "models": [
            {"reference": "s3://models/tiny", "digest": digest},
            {"reference": OWN, "digest": digest},
        ],
    }
    assert cli("check", "deploy", "--lock", "model.lock").status == 0
    before = snapshot(repository.parent)
    ran = pin("deploy")
    assert (ran.status, ran.out) == (0, "pinned: 3 references; nothing changes\n")
    assert snapshot(repository.parent) == before


def test_a_dry_run_shows_and_writes_nothing(pin, repository, digest, snapshot):
    before = snapshot(repository.parent)
    ran = pin("deploy", "--dry-run", "--diff")
    assert ran.status == 0
    assert ran.out.startswith("would pin: 3 references in 3 changed files\n")
    assert f'-          args: ["--model", "{OWN}"]   # and this\n' in ran.out
    assert f'+          args: ["--model", "{OWN}@{digest}"]   # and this\n' in ran.out
    assert snapshot(repository.parent) == before
    document = pin("deploy", "--dry-run", "--diff", "--json").document
    assert (document["written"], document["references"]) == (False, 3)
    assert document["changed"] == ["deploy/helm.yaml", "deploy/list.json", "model.lock"]
    assert digest in document["diff"]


def test_a_bundle_and_a_signed_folder_prove_it_as_well(pin, repository, digest, model):
    for proof in (model, model / "model.sig"):
        assert pin("deploy", "--json", proof=proof).status == 0
        assert digest in (repository / "helm.yaml").read_text(encoding="utf-8")


def test_another_digest_in_a_reference_is_replaced_by_the_proven_one(pin, repository, digest):
    (repository / "helm.yaml").write_text(HELM.replace(OWN, f"{OWN}@sha256:{'0' * 64}"), encoding="utf-8")
    assert pin("deploy").status == 0
    assert (repository / "helm.yaml").read_bytes() == HELM.replace(OWN, f"{OWN}@{digest}").encode()


def test_who_is_not_believed_proves_nothing(pin, repository, world, snapshot):
    before = snapshot(repository.parent)
    ran = pin("deploy", key=world.publisher)
    assert (ran.status, ran.code) == (1, "wrong-signer")
    assert snapshot(repository.parent) == before


def test_what_is_not_what_was_signed_is_not_pinned(pin, repository, model, sealed, snapshot):
    (model / "weights.bin").write_bytes(bytes(256 * 64))
    blob = max((sealed / "blobs").iterdir(), key=lambda path: path.stat().st_size)
    raw = bytearray(blob.read_bytes())
    raw[-1] ^= 1
    blob.write_bytes(raw)
    before = snapshot(repository.parent)
    for proof, code in ((model, "digest-mismatch"), (sealed, "tampered")):
        ran = pin("deploy", proof=proof)
        assert (ran.status, ran.code) == (1, code)
        assert str(proof) in ran.err
        assert snapshot(repository.parent) == before
    assert pin("deploy", proof=model / "model.sig").status == 0  # of a bundle alone, nothing else is promised


@pytest.mark.parametrize(("change", "code"), [(b"x", "trailing-bytes"), (None, "file-missing")])
def test_a_sealed_folder_is_whole_or_proves_nothing(pin, repository, sealed, change, code):
    [blob, *_] = sorted((sealed / "blobs").iterdir())
    if change is None:
        blob.unlink()
    else:
        blob.write_bytes(blob.read_bytes() + change)
    assert pin("deploy").code == code


def test_a_signed_file_is_verified_as_a_folder_is(cli, pin, repository, world, tmp_path):
    weights = tmp_path / "tiny.gguf"
    weights.write_bytes(b"GGUF")
    assert cli("sign", weights, "--key", world.author).status == 0
    assert pin("deploy", "--dry-run", proof=weights).status == 0
    weights.write_bytes(b"GGUG")
    assert pin("deploy", proof=weights).code == "digest-mismatch"


def test_a_folder_without_a_signature_proves_nothing(pin, repository, model):
    (model / "model.sig").unlink()
    ran = pin("deploy", proof=model)
    assert (ran.status, ran.code) == (1, "unsigned")
    assert "--bundle" not in ran.err


def test_a_reference_that_nobody_names_is_told_before_anything_is_hashed(pin, repository, model, monkeypatch):
    monkeypatch.setattr(pinning, "proven_digest", None)  # it is not even asked
    assert pin("deploy", meanings=("s3://models/elsewhere",), proof=model).code == "nothing-selected"


def test_what_two_references_mean_is_hashed_once(pin, repository, model, monkeypatch):
    prove, proven = pinning.proven_digest, []
    monkeypatch.setattr(
        pinning,
        "proven_digest",
        lambda path, *words, **more: proven.append(path) or prove(path, *words, **more),
    )
    assert pin("deploy", proof=model).status == 0
    assert proven == [model]


def test_nothing_is_guessed(cli, pin, repository, world, sealed, snapshot):
    before = snapshot(repository.parent)
    assert pin("deploy", meanings=("s3://models/elsewhere",)).code == "nothing-selected"
    assert pin("deploy", meanings=(OWN, OWN)).code == "bad-arguments"
    assert pin("deploy", meanings=(f"{OWN}@sha256:{'0' * 64}",)).code == "bad-arguments"
    assert cli("pin", "deploy", "--from", f"{OWN}={sealed}").code == "no-authority"
    assert cli("pin", "deploy", "--from", OWN, "--key", world.public(world.author)).code == "bad-arguments"
    assert (
        cli("pin", "deploy", "--from", f"{OWN}=", "--key", world.public(world.author)).code == "bad-arguments"
    )
    assert cli("pin", "-", "--from", f"{OWN}=x", "--key", world.public(world.author)).code == "bad-arguments"
    assert pin("deploy", proof=repository / "absent").code == "no-such-file"
    assert snapshot(repository.parent) == before


def test_a_meaning_the_wrong_way_round_is_told(cli, repository, world):
    ran = cli("pin", "deploy", "--from", f"model={OWN}", "--key", world.public(world.author))
    assert (ran.status, ran.code) == (2, "bad-arguments")
    assert "in this order: what manifests name comes first" in ran.err


def test_a_folder_without_objects_and_a_model_that_is_not_there_are_told(pin, repository, tmp_path):
    (tmp_path / "empty").mkdir()
    ran = pin("empty")
    assert ran.code == "nothing-selected"
    assert "there is no Kubernetes object in what was named" in ran.err
    ran = pin("deploy", proof=tmp_path / "absent")
    assert ran.code == "no-such-file"
    assert f"there is nothing at '{tmp_path / 'absent'}'" in ran.err


def test_what_nobody_named_is_left_and_said(pin, repository):
    ran = pin("deploy", meanings=(OWN,))
    assert ran.status == 0
    assert "1 finding left that trustkit check --lock refuses" in ran.err
    assert (
        "deploy/isvc.yml:10: refused, mutable: s3://models/tiny [not-locked] in document 1, spec" in ran.out
    )
    assert "add the reference and its manifest digest to the lockfile" in ran.out
    [left] = pin("deploy", "--json", meanings=(OWN,)).document["left"]
    assert (left["reference"], left["code"]) == ("s3://models/tiny", "not-locked")


def test_a_path_is_locked_for_its_object(pin, repository, digest):
    (repository / "helm.yaml").write_text(HELM.replace(OWN, "/mnt/models"), encoding="utf-8")
    assert pin("deploy/helm.yaml", meanings=("/mnt/models",)).status == 0
    lock = json.loads((repository.parent / "model.lock").read_text(encoding="utf-8"))
    assert lock["models"] == [
        {"reference": "/mnt/models", "digest": digest, "object": "apps/Deployment team/llm"}
    ]


def test_entries_of_others_stay_in_the_lockfile_and_the_file_keeps_its_permissions(pin, repository):
    other = {"reference": "s3://models/other", "digest": "sha256:" + "b" * 64}
    lock = repository / "my.lock"
    lock.write_text(json.dumps({"version": "trustkit.dev/lock/v1", "models": [other]}), encoding="utf-8")
    lock.chmod(0o640)
    (repository / "helm.yaml").chmod(0o600)
    assert pin("deploy", lock, "--lock", lock).status == 0
    assert other in json.loads(lock.read_text(encoding="utf-8"))["models"]
    assert stat.S_IMODE(lock.stat().st_mode) == 0o640
    assert stat.S_IMODE((repository / "helm.yaml").stat().st_mode) == 0o600


def test_a_link_to_a_manifest_stays_a_link(pin, repository, digest):
    (repository / "link.yaml").symlink_to("helm.yaml")
    assert pin("deploy/link.yaml", meanings=(OWN,)).status == 0
    assert (repository / "link.yaml").is_symlink()
    assert digest in (repository / "helm.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "written",
    [r'"trust:\/\/store/acme/tiny"', '"trust://store/acme/\\\n  tiny"', '"trust\\x3a//store/acme/tiny"'],
)
def test_what_cannot_be_changed_in_place_is_refused_and_nothing_is_written(
    pin, repository, written, snapshot
):
    (repository / "helm.yaml").write_text(HELM.replace(f'"{OWN}"', written), encoding="utf-8")
    before = snapshot(repository.parent)
    ran = pin("deploy")
    assert (ran.status, ran.code) == (3, "not-editable")
    assert snapshot(repository.parent) == before


def test_a_text_under_an_anchor_changes_for_all_that_stand_for_it(pin, repository, digest):
    text = (
        f"apiVersion: v1\nkind: Pod\nmetadata: {{name: a}}\nspec:\n  containers:\n"
        f"  - {{name: a, image: vllm/vllm-openai, args: [--model, &m {OWN}]}}\n"
        "  - {name: b, image: vllm/vllm-openai, args: [--model, *m]}\n"
    )
    (repository / "helm.yaml").write_text(text, encoding="utf-8")
    assert pin("deploy/helm.yaml", meanings=(OWN,)).status == 0
    assert (repository / "helm.yaml").read_text(encoding="utf-8") == text.replace(OWN, f"{OWN}@{digest}")


def test_what_somebody_else_changed_meanwhile_is_kept(pin, repository, monkeypatch):
    write = verb._write

    def late(path, before, content):
        path.write_bytes(b"# mine\n")
        write(path, before, content)

    (repository.parent / "model.lock").write_text(
        '{"version": "trustkit.dev/lock/v1", "models": []}', encoding="utf-8"
    )
    monkeypatch.setattr(verb, "_write", late)
    ran = pin("deploy")
    assert (ran.status, ran.code) == (1, "file-changed")
    assert (repository.parent / "model.lock").read_bytes() == b"# mine\n"
    assert (repository / "helm.yaml").read_bytes() == HELM.encode()


def test_rows_of_a_table_are_heeded(pin, repository):
    (repository / "table").write_text(
        "version: trustkit.dev/workloads/v1\nbystanders: [a.example/Unheard]", encoding="utf-8"
    )
    (repository / "z.yaml").write_text("{apiVersion: a.example/v1, kind: Unheard}", encoding="utf-8")
    assert "1 finding left" in pin("deploy").err
    ran = pin("deploy", "--table", repository / "table", "--json")
    assert ran.document["exempts"] == ["bystanders"]
    [said] = ran.document["warnings"]
    assert "takes out of judgement what these rows name: bystanders" in said
    assert pin("deploy", "--exclude", "z.*").err == ""
