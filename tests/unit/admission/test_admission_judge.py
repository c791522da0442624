"""The walk of a review: what is allowed, what is denied and why, and that nothing fails open."""

import dataclasses

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from admission.compose import entry_of
from trustkit.deciding.decision import Decision, Violation
from trustkit.digest import digest_of
from trustkit.errors import DeniedError, FormatError, LimitError, UnavailableError
from trustkit.programs.deadline import Deadline

SIDECAR = "trustkit-sidecar-"


def codes(verdict):
    return [violation.code for violation in verdict.violations]


def test_a_pinned_signed_model_is_allowed_and_gets_its_sidecar(world, tools):
    reference = world.publish("acme/llm/1")
    verdict = world.ask(tools.pod("--model", reference))
    assert verdict.allowed
    after = tools.applied(tools.pod("--model", reference), verdict.patch)
    (sidecar,) = after["spec"]["initContainers"]
    assert sidecar["name"].startswith(SIDECAR)
    assert sidecar["restartPolicy"] == "Always"
    probe = sidecar["startupProbe"]
    assert set(probe) == {
        "exec",
        "failureThreshold",
        "periodSeconds",
        "successThreshold",
        "timeoutSeconds",
    }
    words = sidecar["args"]
    flags = dict(zip(words[1::2], words[2::2], strict=True))
    assert words[0] == "run"
    assert flags == {
        "--reference": reference,
        "--output": flags["--output"],
        "--policy": "/trustkit/policy/policy.yaml",
        "--policy-digest": str(world.policy.digest),
        "--trust-bundle": "/trustkit/svid/bundle.pem",
        "--trust-bundle-digest": str(world.plan.trust_bundle_digest),
        "--store-id": "spiffe://demo.test/store",
        "--broker": "broker.trustkit:8443",
        "--broker-id": "spiffe://demo.test/broker",
        "--svid-directory": "/trustkit/svid",
        "--health": "0.0.0.0:8090",
    }
    assert probe["exec"] == {"command": ["trustkit-sidecar", "published", "--output", flags["--output"]]}
    container = after["spec"]["containers"][0]
    assert container["args"] == ["--model", flags["--output"]]
    assert all(mount["readOnly"] for mount in container["volumeMounts"])
    assert world.ask(after, "validate").allowed


def test_the_second_call_changes_nothing(world, tools):
    reference = world.publish("acme/llm/1")
    pod = tools.pod("--model", reference)
    after = tools.applied(pod, world.ask(pod).patch)
    second = world.ask(after)
    assert second.allowed
    assert second.patch == ()


def test_a_container_added_between_two_calls_is_served_too(world, tools):
    first, second = world.publish("acme/llm/1"), world.publish("acme/other/1", content=b"other")
    pod = tools.pod("--model", first)
    after = tools.applied(pod, world.ask(pod).patch)
    after["spec"]["containers"].append(
        {"name": "late", "image": "i", "env": [{"name": "X", "value": second}]}
    )
    again = tools.applied(after, world.ask(after).patch)
    assert [c["args"][-1] for c in again["spec"]["initContainers"]] == ["0.0.0.0:8090", "0.0.0.0:8091"]
    assert world.ask(again, "validate").allowed
    assert world.ask(again).patch == ()


def tag(world, tools):
    world.publish("acme/llm/1")
    return tools.pod("--model", f"trust://{tools.host}/acme/llm/1:latest")


def unpinned(world, tools):
    return tools.pod("--model", world.publish("acme/llm/1").partition("@")[0])


def unsigned(world, tools):
    reference = world.publish("acme/llm/1")
    del world.store.documents["acme/llm/1", "model.sig"]
    return tools.pod("--model", reference)


def wrong_signer(world, tools):
    return tools.pod("--model", world.publish("acme/llm/1", signer=world.stranger))


def wrong_digest(world, tools):
    reference = world.publish("acme/llm/1")
    return tools.pod("--model", reference[:-64] + "0" * 64)


def short_digest(world, tools):
    return tools.pod("--model", world.publish("acme/llm/1")[:-1])


def upper_digest(world, tools):
    head, _, digest = world.publish("acme/llm/1").rpartition(":")
    return tools.pod("--model", f"{head}:{digest.upper()}")


def foreign_store(world, tools):
    return tools.pod("--model", world.publish("acme/llm/1").replace(tools.host, "evil.example:8443"))


def foreign_port(world, tools):
    return tools.pod("--model", world.publish("acme/llm/1").replace(":8443", ":8444"))


def store_down(world, tools):
    reference = world.publish("acme/llm/1")
    world.store.broken = tools.unavailable("connect-failed", "no answer")
    return tools.pod("--model", reference)


def store_broken(world, tools):
    reference = world.publish("acme/llm/1")
    world.store.documents["acme/llm/1", "model.sig"] = b"{"
    return tools.pod("--model", reference)


def forged_annotation(world, tools):
    pod = tools.pod("--model", world.publish("acme/llm/1"))
    pod["metadata"]["annotations"] = {"trustkit.dev/verified": "true"}
    return pod


def other_scheme(world, tools):
    return tools.pod("--model", "hf://org/name")


def bare_name(world, tools):
    return tools.pod("--model", "org/name")


def indirect(world, tools):
    return tools.pod("--model", "$(NOWHERE)")


def gpu_without_model(world, tools):
    pod = tools.pod()
    pod["spec"]["containers"][0].update(image="cuda", resources={"limits": {"nvidia.com/gpu": 1}})
    return pod


def image_volume(world, tools):
    return tools.pod(volumes=[{"name": "m", "image": {"reference": "r.io/m:1"}}])


def bad_init(world, tools):
    return tools.pod(initContainers=[{"name": "i", "image": "i", "args": ["--model", "org/name"]}])


def bad_ephemeral(world, tools):
    return tools.pod(ephemeralContainers=[{"name": "e", "image": "i", "args": ["--model", "org/name"]}])


def unknown_kind(world, tools):
    return {"apiVersion": "ml.example/v1", "kind": "Server", "metadata": {}, "spec": {}}


def too_many(world, tools):
    return tools.pod(*(f"trust://{tools.host}/m/{n}@sha256:{n:064x}" for n in range(20)))


DENIED = [
    (tag, "not-pinned"),
    (unpinned, "not-pinned"),
    (unsigned, "unsigned"),
    (wrong_signer, "wrong-signer"),
    (wrong_digest, "digest-mismatch"),
    (short_digest, "bad-reference"),
    (upper_digest, "bad-reference"),
    (foreign_store, "store-not-allowed"),
    (foreign_port, "store-not-allowed"),
    (store_down, "store-unreachable"),
    (store_broken, "bad-json"),
    (forged_annotation, "reserved-annotation"),
    (other_scheme, "unsupported-scheme"),
    (bare_name, "unsupported-scheme"),
    (indirect, "unresolved-model"),
    (gpu_without_model, "unresolved-gpu"),
    (image_volume, "unsupported-scheme"),
    (bad_init, "unsupported-scheme"),
    (bad_ephemeral, "unsupported-scheme"),
    (unknown_kind, "unresolved-model"),
    (too_many, "too-large"),
]


@pytest.mark.parametrize("hook", ["mutate", "validate"])
@pytest.mark.parametrize(("make", "code"), DENIED, ids=[row[0].__name__ for row in DENIED])
def test_denied(world, tools, make, code, hook):
    verdict = world.ask(make(world, tools), hook)
    assert not verdict.allowed
    assert code in codes(verdict)
    assert verdict.patch == ()
    assert all(violation.remedy for violation in verdict.violations)
    assert not any(violation.remedy in violation.message for violation in verdict.violations), "said twice"
    assert world.recorded[-1][1] is verdict


@pytest.mark.parametrize("hook", ["mutate", "validate"])
@pytest.mark.parametrize(("make", "code"), DENIED, ids=[row[0].__name__ for row in DENIED])
def test_denied_by_the_compiled_rules(world, tools, compiled, make, code, hook):
    world.rules = compiled
    verdict = world.ask(make(world, tools), hook)
    assert not verdict.allowed
    assert code in codes(verdict)
    assert "unknown-facts" not in codes(verdict)
    assert verdict.patch == ()
    assert all(violation.remedy for violation in verdict.violations)


@pytest.mark.parametrize("make", [tag, unsigned, wrong_signer, wrong_digest, foreign_store, store_down])
def test_the_record_of_a_denial_by_evidence_names_the_model(world, tools, compiled, make):
    world.rules = compiled
    pod = make(world, tools)
    [reference] = {word for word in pod["spec"]["containers"][0]["args"] if word.startswith("trust://")}
    world.ask(pod)
    entry = entry_of(*world.recorded[-1])
    assert entry["models"] == []
    assert any(f": {reference}: " in violation["message"] for violation in entry["violations"])


def test_of_a_long_reference_both_ends_are_named_and_the_reason_after_them(world, tools, compiled):
    world.rules = compiled
    digest = f"@sha256:{'0' * 64}"
    start = f"trust://{tools.host}/{'m/' * 60}"
    verdict = world.ask(tools.pod("--model", f"{start}{'m/' * 700}end{digest}"))
    [message] = [violation.message for violation in verdict.violations if violation.code == "unsigned"]
    assert start in message
    assert f"/m/end{digest}: nothing lies there in the store, neither a descriptor nor a sig" in message
    assert len(message) < 600


def test_a_store_named_without_its_port_is_told_its_whole_name(world, tools):
    host = tools.host.partition(":")[0]
    verdict = world.ask(tools.pod("--model", world.publish("acme/llm/1").replace(tools.host, host)))
    assert codes(verdict) == ["store-not-allowed"]
    assert f"{host} is not an allowed store; write {tools.host}" in verdict.message
    for make in (foreign_port, foreign_store):
        assert "; write" not in world.ask(make(world, tools)).message


def test_what_is_no_reference_is_not_repeated(world, tools):
    """It could hold anything, a password too."""
    verdict = world.ask(tools.pod("--model", f"trust://user:hunter2@{tools.host}/m@sha256:{'0' * 64}"))
    assert codes(verdict) == ["bad-reference"]
    assert "hunter2" not in verdict.message


def test_allowed_by_the_compiled_rules(world, tools, compiled):
    world.rules = compiled
    pod = tools.pod("--model", world.publish("acme/llm/1"))
    after = tools.applied(pod, world.ask(pod).patch)
    assert world.ask(after, "validate").allowed
    quiet = tools.pod()
    quiet["spec"]["containers"][0]["image"] = "nginx:1"
    assert world.ask(quiet).allowed


@pytest.mark.parametrize("make", [tag, unpinned, foreign_store, foreign_port, short_digest, other_scheme])
def test_nothing_is_fetched_for_what_is_refused_by_its_text(world, tools, make):
    world.ask(make(world, tools))
    assert world.store.asked == []


def test_a_pod_without_a_model_is_allowed_unchanged(world, tools):
    pod = tools.pod()
    pod["spec"]["containers"][0]["image"] = "nginx:1"
    verdict = world.ask(pod)
    assert (verdict.allowed, verdict.patch, world.store.asked) == (True, (), [])


def test_a_possible_carrier_is_a_warning_and_in_strict_mode_a_denial(world, tools):
    pod = tools.pod(volumes=[{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}])
    pod["spec"]["containers"][0]["image"] = "postgres:17"
    verdict = world.ask(pod)
    assert verdict.allowed
    assert "persistentVolumeClaim" in verdict.warnings[0]
    world.strict = True
    assert codes(world.ask(pod)) == ["unsupported-scheme"]


KINDS = ["Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "CronJob"]


@pytest.mark.parametrize("kind", KINDS)
def test_templates_get_the_verdict_of_their_pods_and_no_patch(world, tools, kind):
    def wrapped(pod):
        template = {"template": {"spec": pod["spec"]}}
        if kind == "CronJob":
            template = {"jobTemplate": {"spec": template}}
        version = "batch/v1" if kind in {"Job", "CronJob"} else "apps/v1"
        return {"apiVersion": version, "kind": kind, "metadata": {"name": "x"}, "spec": template}

    good = world.ask(wrapped(tools.pod("--model", world.publish("acme/llm/1"))))
    assert (good.allowed, good.patch) == (True, ())
    assert codes(world.ask(wrapped(tag(world, tools)))) == ["not-pinned"]


@pytest.mark.parametrize("operation", ["DELETE", "CONNECT"])
def test_delete_and_connect_pass_without_a_look(world, tools, operation):
    for obj in (None, tag(world, tools)):
        assert world.ask(obj, "validate", operation=operation).allowed


@pytest.mark.parametrize("operation", ["CREATE", "UPDATE"])
def test_no_object_is_no_pass(world, operation):
    assert codes(world.ask(None, "validate", operation=operation)) == ["bad-review"]


def test_an_old_pod_that_does_not_change_is_left_alone(world, tools):
    pod = tag(world, tools)
    relabelled = {**pod, "metadata": {"name": "p", "labels": {"a": "b"}, "deletionTimestamp": "now"}}
    verdict = world.ask(relabelled, "validate", operation="UPDATE", oldObject=pod)
    assert (verdict.allowed, verdict.reason) == (True, "unchanged")


def changed_image(pod):
    pod["spec"]["containers"][0]["image"] = "vllm/other"


def added_model(pod):
    pod["spec"]["containers"][0]["args"].append("hf://org/name")


def added_claim(pod):
    pod["metadata"]["annotations"] = {"trustkit.dev/verified": "true"}


def added_reference(pod):
    pod["metadata"]["annotations"] = {"model": "trust://store.ml:8443/x:tag"}


def added_ephemeral(pod):
    pod["spec"]["ephemeralContainers"] = [{"name": "e", "args": ["--model", "org/name"]}]


@pytest.mark.parametrize(
    "change", [changed_image, added_model, added_claim, added_reference, added_ephemeral]
)
def test_an_update_that_changes_anything_is_judged_whole(world, tools, change):
    pod = tag(world, tools)
    old = tools.applied(pod, ())
    change(pod)
    assert not world.ask(pod, "validate", operation="UPDATE", oldObject=old).allowed


def unknown(**spec):
    return {"apiVersion": "ml.example/v1", "kind": "Server", "metadata": {"labels": {"a": "b"}}, "spec": spec}


def test_an_update_of_a_kind_nobody_knows_is_judged_by_all_of_it(world):
    """We do not know where its pod lies, so any change may be one of what runs."""
    old = unknown(model="small")
    for changed in (unknown(model="large"), unknown(), {**old, "data": {}}):
        verdict = world.ask(changed, "validate", operation="UPDATE", oldObject=old)
        assert set(codes(verdict)) == {"unresolved-model"}
    touched = {**old, "metadata": {"labels": {}}, "status": {"ready": True}}
    assert world.ask(touched, "validate", operation="UPDATE", oldObject=old).reason == "unchanged"


def test_true_that_becomes_one_is_a_change(world, tools):
    pod = tag(world, tools)
    old = tools.applied(pod, ())
    old["spec"]["hostIPC"], pod["spec"]["hostIPC"] = True, 1
    assert not world.ask(pod, "validate", operation="UPDATE", oldObject=old).allowed


def test_an_ephemeral_container_cannot_bring_a_model(world, tools):
    reference = world.publish("acme/llm/1")
    pod = tools.pod("--model", reference)
    after = tools.applied(pod, world.ask(pod).patch)
    old = tools.applied(after, ())
    after["spec"]["ephemeralContainers"] = [{"name": "e", "image": "i", "args": ["--model", reference]}]
    request = {"operation": "UPDATE", "subResource": "ephemeralcontainers", "oldObject": old}
    assert world.ask(after, **request).patch == ()
    verdict = world.ask(after, "validate", **request)
    assert codes(verdict) == ["unresolved-model"]


@pytest.mark.parametrize("operation", ["DELETE", "CONNECT"])
def test_what_is_not_judged_needs_no_record(world, tools, operation):
    """A full disk must not keep anybody from deleting."""
    world.ask(tag(world, tools), "validate", operation=operation)
    assert world.recorded == []


def test_a_denial_that_no_rule_spoke_is_recorded_too(world, tools):
    world.rules = failing(RuntimeError("secret"))
    verdict = world.ask(tools.pod("--model", world.publish("acme/llm/1")))
    ((_, recorded),) = world.recorded
    assert (recorded is verdict, verdict.reason) == (True, "error")


def test_dry_run_records_nothing(world, tools):
    pod = tools.pod("--model", world.publish("acme/llm/1"))
    world.ask(tag(world, tools), "validate", dryRun=True)
    assert world.ask(pod, dryRun=True).patch
    assert world.recorded == []


def test_an_allowance_is_recorded_once_in_the_last_hook(world, tools):
    pod = tools.pod("--model", world.publish("acme/llm/1"))
    after = tools.applied(pod, world.ask(pod).patch)
    assert world.recorded == []
    world.ask(after, "validate")
    assert len(world.recorded) == 1


def failing(error):
    def rules(facts):
        raise error

    return rules


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (RuntimeError("secret"), "internal-error"),
        (KeyError("secret"), "internal-error"),
        (RecursionError(), "internal-error"),
        (MemoryError(), "internal-error"),
        (DeniedError("no-decision", "undefined"), "no-decision"),
    ],
)
def test_whatever_the_rules_raise_is_a_denial_that_quotes_nothing(world, tools, error, code):
    world.rules = failing(error)
    verdict = world.ask(tools.pod("--model", world.publish("acme/llm/1")))
    assert codes(verdict) == [code]
    assert "secret" not in verdict.message


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (UnavailableError("no-decision", "late"), 5),
        (LimitError("too-many-references", "too many"), 4),
        (FormatError("bad-field", "no object"), 3),
        (DeniedError("no-decision", "undefined"), 1),
        (RuntimeError("a bug"), 70),
    ],
)
def test_a_denial_keeps_the_class_of_what_went_wrong(world, tools, error, status):
    world.rules = failing(error)
    assert world.ask(tools.pod("--model", world.publish("acme/llm/1"))).denied_with == status


def test_rules_that_were_late_could_not_tell_unless_we_object_ourselves(world, tools):
    reasons = (Violation("no-decision", "late"),)
    world.rules = lambda facts: Decision(False, reasons, digest_of(b"rules"), unavailable=True)
    pod = tools.pod("--model", world.publish("acme/llm/1"))
    assert world.ask(pod).denied_with == 5
    assert world.ask(pod, "validate").denied_with == 1  # the reference still stands there
    world.rules = lambda facts: Decision(False, reasons, digest_of(b"rules"))
    assert world.ask(pod).denied_with == 1


def late_after_the_rules(world, rules):
    """Run a deadline out while the rules are asked, and return what is said of two models."""
    at = [0.0]

    def slow(facts):
        at[0] = 99.0
        return rules(facts)

    world.rules = slow
    return lambda pod: world.judge().judge(world.review(pod), "mutate", Deadline(5.0, lambda: at[0]))


def test_a_refusal_is_not_hidden_by_a_deadline_that_ends_behind_it(world, tools):
    stranger = world.publish("acme/bad/1", signer=world.stranger)
    verdict = late_after_the_rules(world, world.rules)(tools.pod("--model", stranger))
    assert (verdict.allowed, codes(verdict), verdict.denied_with) == (False, ["wrong-signer", "deadline"], 1)


def test_a_deadline_that_ends_behind_what_could_not_be_told_can_be_tried_again(world, tools):
    reference = world.publish("acme/llm/1")
    world.store.broken = tools.unavailable("connect-failed", "no answer")
    verdict = late_after_the_rules(world, world.rules)(tools.pod("--model", reference))
    assert (codes(verdict), verdict.denied_with) == (["store-unreachable", "deadline"], 5)


def test_a_refused_model_is_not_hidden_by_rules_that_were_late(world, tools):
    reasons = (Violation("no-decision", "late"),)
    world.rules = lambda facts: Decision(False, reasons, digest_of(b"rules"), unavailable=True)
    stranger = world.publish("acme/bad/1", signer=world.stranger)
    assert world.ask(tools.pod("--model", stranger)).denied_with == 1


def test_rules_that_allow_everything_still_cannot_admit_an_unproven_reference(world, tools):
    class Generous:
        allowed, violations, rules_digest, unavailable = True, (), "none", False

    world.rules = lambda facts: Generous
    pod = tag(world, tools)
    assert world.ask(pod).patch == ()
    assert codes(world.ask(pod, "validate")) == ["unresolved-model"]


@pytest.mark.parametrize("allowed", ["true", 1, [True], None])
def test_only_true_is_true(world, tools, allowed):
    class Odd:
        violations, rules_digest, unavailable = (), "none", False

    Odd.allowed = allowed
    world.rules = lambda facts: Odd
    assert codes(world.ask(tools.pod())) == ["denied"]


def test_rules_that_say_no_without_a_reason_are_obeyed(world, tools):
    class Silent:
        allowed, violations, rules_digest, unavailable = False, (), "none", False

    world.rules = lambda facts: Silent
    assert codes(world.ask(tools.pod())) == ["denied"]


def test_a_record_that_cannot_be_written_is_a_denial(world, tools):
    class Full(list):
        def append(self, entry):
            raise OSError(28, "no space left")

    pod = tools.pod("--model", world.publish("acme/llm/1"))
    after = tools.applied(pod, world.ask(pod).patch)
    world.recorded = Full()
    assert codes(world.ask(after, "validate")) == ["internal-error"]


def test_the_deadline_is_kept_before_every_step(world, tools):
    verdict = world.ask(tools.pod("--model", world.publish("acme/llm/1")), seconds=0.0)
    assert "deadline" in codes(verdict)
    assert world.store.asked == []


def test_success_is_cached_by_reference_and_namespace_and_ages(world, tools):
    pod = tools.pod("--model", world.publish("acme/llm/1"))
    for _ in range(2):
        world.ask(pod)
    assert len(world.store.asked) == 2
    world.ask(pod, namespace="other")
    assert len(world.store.asked) == 4
    world.now = 61.0
    world.ask(pod)
    assert len(world.store.asked) == 6


@pytest.mark.parametrize("make", [lambda w, t: None, unsigned, store_down, store_broken, wrong_signer])
def test_connections_are_closed_whatever_comes(world, tools, make):
    pod = make(world, tools) or tools.pod("--model", world.publish("acme/llm/1"))
    world.ask(pod)
    assert world.store.asked
    assert world.store.open == 0


def test_failures_are_not_cached(world, tools):
    reference = world.publish("acme/llm/1")
    world.store.broken = tools.unavailable("connect-failed", "no answer")
    assert not world.ask(tools.pod("--model", reference)).allowed
    world.store.broken = None
    assert world.ask(tools.pod("--model", reference)).allowed


def test_the_cache_is_bounded(world, tools):
    for n in range(20):
        assert world.ask(tools.pod("--model", world.publish(f"m/{n}", content=bytes([n])))).allowed
    assert len(world.cache) == 8


def test_a_policy_that_speaks_for_lines_does_not_speak_for_plain_models(world, tools):
    """A store that hides the descriptor must not free a sealed model of its line."""
    reference = world.publish("acme/llm/1")
    assert world.ask(tools.pod("--model", reference)).allowed
    for lines, refused in (((), []), (("acme/llm",), ["line-not-in-policy"])):
        world.cache.__init__(entries=8, seconds=60, clock=lambda: world.now)
        world.policy = dataclasses.replace(world.policy, lines=lines)
        assert codes(world.ask(tools.pod("--model", reference))) == refused


def test_an_absent_document_is_not_any_failure(world, tools):
    """Only *not found* may turn a sealed artifact into a plain one; a refusal of the store may not."""
    reference = world.publish("acme/llm/1")
    world.store.broken = tools.refused("peer-mismatch", "another peer")
    assert codes(world.ask(tools.pod("--model", reference))) == ["peer-mismatch"]


def test_facts_hold_no_text_of_the_object_but_references(world, tools):
    pod = tools.pod("--model", world.publish("acme/llm/1"))
    pod["spec"]["containers"][0]["env"] = [{"name": "PASSWORD", "value": "hunter2"}]
    pod["spec"]["serviceAccountName"] = "robot"
    world.ask(pod)
    (facts,) = world.seen
    assert "hunter2" not in str(facts)
    assert facts["object"]["service_account"] == "robot"
    assert facts["models"][0]["evidence"]["authors"] == ["key"]
    assert facts["models"][0]["evidence"]["sealed"] is False


MALFORMED = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=12)
    | st.sampled_from(["trustkit-x", "trust://h/p"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["name", "args", "env", "value", "volumeMounts", "mountPath", "image", "emptyDir", "command"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    spec=st.dictionaries(
        st.sampled_from(["containers", "initContainers", "ephemeralContainers", "volumes", "resources"]),
        MALFORMED,
    ),
    good=st.booleans(),
    hook=st.sampled_from(["mutate", "validate"]),
)
def test_any_pod_is_answered_and_none_with_a_bad_reference_allowed(world, tools, spec, good, hook):
    pod = tools.pod(world.publish("acme/llm/1") if good else "trust://store.ml:8443/acme/llm:tag")
    pod["spec"] = {**spec, "containers": pod["spec"]["containers"]} if not good else {**pod["spec"], **spec}
    verdict = world.ask(pod, hook)
    assert verdict.allowed is (not verdict.violations)
    if not good:
        assert not verdict.allowed
    if verdict.allowed and hook == "mutate":
        after = tools.applied(pod, verdict.patch)
        assert world.ask(after).patch == ()
        assert world.ask(after, "validate").allowed
