"""The operator's own table and bases: what they make known, where they show, and what stops the start."""

import json
import time

import pytest
import yaml

from admission.compose import compose
from admission.config import load
from admission.deadline import Clocks, deadline_in
from admission.reading import Reading
from admission.review import parse_review
from trustkit import strictjson
from trustkit.deciding.decision import Decision
from trustkit.digest import digest_of
from trustkit.errors import TrustkitError
from trustkit.workloads.extension import extended_table
from trustkit.workloads.table import VERSION, default_table

HEAD = f"version: {VERSION}\n"
KIND = HEAD + "kinds:\n  ml.example/Server: {serves: true, models: [spec.brain]}\n"
BASE = {
    "apiVersion": "serving.kserve.io/v1alpha2",
    "kind": "LLMInferenceServiceConfig",
    "metadata": {"name": "shared", "namespace": "ml"},
    "spec": {"model": {"uri": "hf://org/base"}},
}


def composed(webhook, *, alarm=print, table=None, bases=None):
    members = {}
    for name, text in (("table", table), ("bases", bases)):
        if text is not None:
            (webhook.folder / f"{name}.yaml").write_text(text)
            members[name] = f"{name}.yaml"
    raw = yaml.safe_dump(webhook.document(**members)).encode()
    clocks = Clocks(monotonic=time.monotonic, now=time.time)
    return compose(load(raw, base=webhook.folder, environ={}), clocks=clocks, alarm=alarm)


def judged(judge, tools, obj, hook="validate", **request):
    review = parse_review(strictjson.to_bytes(tools.review(obj, **request)))
    return judge.judge(review, hook, deadline_in(20, time.monotonic))


def said(verdict):
    return [(violation.code, violation.message.split(" ", 1)[0]) for violation in verdict.violations]


def custom(**spec):
    return {"apiVersion": "ml.example/v1", "kind": "Server", "metadata": {"name": "x"}, "spec": spec}


def service(*names, **spec):
    return {
        "apiVersion": "serving.kserve.io/v1alpha2",
        "kind": "LLMInferenceService",
        "metadata": {"name": "x", "namespace": "ml"},
        "spec": {"baseRefs": [{"name": name} for name in names], **spec},
    }


def test_a_kind_of_the_operators_own_is_read_and_without_its_row_it_is_unresolved(webhook, tools, estate):
    model = webhook.reference(estate.sealed(f"acme/line-{time.monotonic_ns()}/1", size=5_000))
    without, with_table = composed(webhook).judge, composed(webhook, table=KIND).judge
    for subject in (custom(brain=model), custom(brain="hf://org/name")):
        assert ("unresolved-model", "kind:") in said(judged(without, tools, subject))
    assert judged(with_table, tools, custom(brain=model)).allowed
    denied = judged(with_table, tools, custom(brain="hf://org/name"))
    assert [violation.code for violation in denied.violations] == ["unsupported-scheme"]
    assert [code for code, _ in said(judged(with_table, tools, custom()))] == ["unresolved-model"]


def test_the_pod_of_a_kind_of_the_operators_own_is_where_its_row_says(webhook, tools):
    judge = composed(webhook, table=HEAD + "kinds:\n  ml.example/Server: spec.pod\n").judge
    pod = {"spec": {"containers": [{"name": "c", "image": "nginx:1", "args": ["run"]}]}}
    before, after = custom(pod=pod, size=1), custom(pod=pod, size=2)
    assert judged(judge, tools, after, operation="UPDATE", oldObject=before).reason == "unchanged"
    assert (
        judged(composed(webhook).judge, tools, after, operation="UPDATE", oldObject=before).reason == "judged"
    )


def test_what_rewrites_reads_by_the_same_table_as_what_finds(world, tools):
    """A scheme of the operator's own swallows what stands in its address: nobody sees a reference in it."""
    reference = world.publish("acme/llm/1")
    pod = tools.pod("--model", reference, "--other", f"mine://x/{reference}")
    world.rules = lambda _: Decision(allowed=True, violations=(), rules_digest=digest_of(b"rules"))

    def rewritten():
        return [change["path"] for change in world.ask(pod).patch if change["op"] == "replace"]

    assert rewritten() == ["/spec/containers/0/args/1", "/spec/containers/0/args/3"]
    own = extended_table((HEAD + "schemes:\n  anywhere: {'mine://': mine}\n").encode())
    world.reading = Reading(own)
    assert rewritten() == ["/spec/containers/0/args/1"]


def test_rules_are_told_of_the_account_of_such_a_pod(world):
    subject = custom(pod={"spec": {"serviceAccountName": "robot", "containers": []}})
    world.ask(subject)
    world.reading = Reading(extended_table((HEAD + "kinds:\n  ml.example/Server: spec.pod\n").encode()))
    world.ask(subject)
    assert [facts["object"]["service_account"] for facts in world.seen] == ["default", "robot"]


def test_bases_are_merged_in_the_namespace_that_they_are_of(webhook, tools):
    without = composed(webhook).judge
    judge = composed(webhook, bases=yaml.safe_dump(BASE)).judge
    unresolved = "spec.baseRefs[0].name:"
    assert ("unresolved-model", unresolved) in said(judged(without, tools, service("shared")))
    found = judged(judge, tools, service("shared"))
    assert [violation.code for violation in found.violations] == ["unsupported-scheme"]
    assert ("unresolved-model", unresolved) in said(
        judged(judge, tools, service("shared"), namespace="other")
    )
    assert ("unresolved-model", unresolved) in said(judged(judge, tools, service("another")))


def test_an_update_is_compared_with_its_bases_merged_in(webhook, tools):
    """Else the old one, unresolved, would differ from the new one, and nothing would ever be unchanged."""
    judge = composed(webhook, bases=yaml.safe_dump(BASE)).judge
    subject = service("shared")
    assert judged(judge, tools, subject, operation="UPDATE", oldObject=subject).reason == "unchanged"


def test_who_reads_a_decision_knows_which_table_and_bases_made_it(webhook, tools):
    bases = yaml.safe_dump(BASE)
    made = composed(webhook, table=KIND, bases=bases)
    digests = {
        "table_digest": str(extended_table(KIND.encode()).digest),
        "bases_digest": str(digest_of(bases.encode())),
    }
    assert digests["table_digest"] != str(default_table().digest)
    assert digests.items() <= made.summary.items()
    verdict = judged(made.judge, tools, custom(brain="hf://org/name"))
    assert (verdict.audit["table-digest"], verdict.audit["bases-digest"]) == tuple(digests.values())
    [line] = webhook.record.read_bytes().splitlines()
    assert digests.items() <= json.loads(line)["entry"].items()


def test_rows_that_take_something_out_of_judgement_are_said_at_every_start(webhook):
    alarms = []
    composed(webhook, alarm=alarms.append, table=HEAD + "volumes:\n  harmless_drivers: [my.csi]\n")
    assert [(alarm.code, "volumes.harmless_drivers" in alarm.message) for alarm in alarms] == [
        ("table-exempts", True)
    ]
    composed(webhook, alarm=alarms.append, table=KIND)
    assert len(alarms) == 1


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({"table": "kinds: {}\n"}, "bad-table"),
        ({"table": HEAD + "kinds:\n  v1/Pod: null\n"}, "bad-table"),
        ({"table": HEAD + "kindz: {}\n"}, "bad-table"),
        ({"table": HEAD + "flags: {values: [brain]}\n"}, "bad-table"),
        ({"table": KIND + "images: [x]\n"}, "bad-table"),
        ({"table": HEAD + "a: [\n"}, "bad-table"),
        ({"bases": "kind: Pod\n"}, "bad-bases"),
        ({"bases": yaml.safe_dump({**BASE, "kind": "ServingRuntime"})}, "bad-bases"),
    ],
)
def test_what_is_not_understood_stops_the_start(webhook, members, code):
    with pytest.raises(TrustkitError) as caught:
        composed(webhook, **members)
    assert caught.value.code == code


@pytest.mark.parametrize("name", ["table", "bases"])
def test_a_file_that_is_not_there_stops_the_start(webhook, name):
    raw = yaml.safe_dump(webhook.document(**{name: "nowhere.yaml"})).encode()
    config = load(raw, base=webhook.folder, environ={})
    with pytest.raises(TrustkitError) as caught:
        compose(config, clocks=Clocks(monotonic=time.monotonic, now=time.time), alarm=print)
    assert caught.value.code == "no-such-file"


def test_the_program_says_which_table_it_runs_with_and_why_it_does_not_start(webhook):
    (webhook.folder / "own.yaml").write_text(KIND)
    done = webhook.run("check-config", "--config", webhook.config(table="own.yaml"), "--json")
    digest = str(extended_table(KIND.encode()).digest)
    assert (done.returncode, json.loads(done.stdout)["evidence"]["table_digest"]) == (0, digest)
    (webhook.folder / "own.yaml").write_text(KIND + "kind: {}\n")
    done = webhook.run("serve", "--config", webhook.config(table="own.yaml"))
    assert done.returncode == 3
    assert done.stderr.endswith("[bad-table]\n")
