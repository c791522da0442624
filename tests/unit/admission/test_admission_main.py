"""The real program: its verbs, exits and streams; served over TLS, judged with real AdmissionReviews."""

import base64
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time

import pytest

from trustkit.deciding.record import verify_records
from trustkit.spiffe.authority import Authority
from trustkit.version import __version__

SECRET = "hunter2"


@pytest.fixture
def pod(webhook, tools, model):
    return tools.pod("--model", webhook.reference(model))


def written(webhook, body):
    path = webhook.folder / "review.json"
    path.write_bytes(body if isinstance(body, bytes) else json.dumps(body).encode())
    return path


# check-config -----------------------------------------------------------------------------------


def test_a_good_configuration_is_valid_and_says_what_it_means(webhook):
    done = webhook.run("check-config", "--config", webhook.config())
    assert (done.returncode, done.stdout, done.stderr) == (0, "the configuration is valid\n", "")
    done = webhook.run("check-config", "--config", webhook.config(), "--json")
    answer = json.loads(done.stdout)
    assert (answer["ok"], answer["code"]) == (True, "")
    assert answer["evidence"]["policy_digest"] == str(webhook.estate.policy.digest)
    assert answer["evidence"]["spiffe_id"] == "spiffe://demo.test/webhook"
    assert not webhook.record.exists()


def crossed(webhook):
    """The certificate of one, the key of another."""
    files = {"certificate": "tls/svid.pem", "private_key": "apiserver/svid_key.pem"}
    return {"tls": {**files, "client_ca": "tls/bundle.pem"}}


def open_to_anybody(webhook, **members):
    """TLS of a webhook that was told, in so many words, to answer anybody."""
    files = {"certificate": "tls/svid.pem", "private_key": "tls/svid_key.pem"}
    return {"tls": {**files, "insecure_no_client_ca": True, **members}}


crossed_tls = (crossed, 2, "bad-tls")
WRONG = [
    (lambda w: {"verify": False}, 2, "bad-config"),
    (lambda w: {"policy": "nowhere"}, 2, "no-such-file"),
    (lambda w: {"policy": str(w.folder)}, 2, "special-file"),
    (lambda w: {"record": "nowhere/record"}, 5, "record-failed"),
    (lambda w: {"tls": {"certificate": "tls/svid.pem", "private_key": "tls/svid_key.pem"}}, 2, "bad-config"),
    (lambda w: {"tls": {**w.document()["tls"], "certificate": "nowhere"}}, 2, "bad-tls"),
    crossed_tls,
    (lambda w: {"stores": []}, 2, "bad-config"),
]


@pytest.mark.parametrize(("make", "status", "code"), WRONG)
def test_a_bad_configuration_is_one_line_and_its_exit(webhook, make, status, code):
    done = webhook.run("check-config", "--config", webhook.config(**make(webhook)), "--json")
    answer = json.loads(done.stdout)
    assert (done.returncode, answer["ok"], answer["code"]) == (status, False, code)
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("trustkit-admission: ")
    assert done.stderr.endswith(f"[{code}]\n")


@pytest.mark.parametrize(("make", "status", "code"), WRONG)
def test_what_rests_on_no_svid_is_checked_without_one(webhook, make, status, code):
    config = webhook.config(svid_directory="nowhere", **make(webhook))
    done = webhook.run("check-config", "--config", config, "--without-svid")
    assert (done.returncode, done.stdout) == (status, "")
    assert done.stderr.endswith(f"[{code}]\n")
    if code == "bad-config":
        assert repr(str(config)) in done.stderr


@pytest.mark.parametrize("own_bundle", [False, True])
def test_check_config_away_from_its_pod_says_what_is_missing_and_what_it_left_out(webhook, own_bundle):
    nowhere = webhook.folder / "nowhere"
    more = {"trust_bundle": "tls/bundle.pem"} if own_bundle else {}
    config = webhook.config(svid_directory=str(nowhere), **more)
    done = webhook.run("check-config", "--config", config)
    assert (done.returncode, done.stdout) == (2, "")
    missing = str(nowhere / "svid.pem")
    assert f"there is no SVID at {missing!r}; it is only there where the program runs; " in done.stderr
    assert "--without-svid checks all else [no-such-file]\n" in done.stderr
    done = webhook.run("check-config", "--config", config, "--without-svid", "--json")
    document = json.loads(done.stdout)
    assert (done.returncode, document["ok"]) == (0, True)
    assert document["message"].startswith("the configuration is valid as far as was checked; NOT checked: ")
    assert document["evidence"]["unchecked"] == [
        f"the SVID in {str(nowhere)!r}",
        "whose the trust bundle is" if own_bundle else "the trust bundle in it",
        "whether stores and sidecar.broker_id are of its trust domain",
    ]
    assert ("trust_bundle_digest" in document["evidence"]) is own_bundle
    assert not webhook.record.exists()


@pytest.mark.parametrize(("make", "status", "code"), [WRONG[1], crossed_tls, WRONG[3]])
def test_nothing_is_served_with_a_bad_configuration(webhook, make, status, code):
    done = webhook.run("serve", "--config", webhook.config(**make(webhook)))
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (status, "", 1)
    assert done.stderr.endswith(f"[{code}]\n")


@pytest.mark.parametrize("verb", ["check-config", "serve", "decide"])
def test_an_svid_that_expired_says_so_and_what_to_do(webhook, tools, pod, verb):
    directory = webhook.estate.svid("/webhook", ago=7200)
    more = ["--review", written(webhook, tools.review(pod))] if verb == "decide" else []
    done = webhook.run(verb, "--config", webhook.config(svid_directory=str(directory)), *more)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"{str(directory)!r}: the SVID is refused: it expired at 20" in done.stderr
    assert done.stderr.endswith("Z; have a new one issued [bad-svid]\n")


# Arguments and streams --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("judge",),
        ("serve",),
        ("serve", "--config"),
        ("serve", "--conf", "x"),
        ("serve", "--config", "a", "--config", "b"),
        ("serve", "--config", ""),
        ("decide", "--config", "x"),
        ("decide", "--config", "x", "--review", "y", "--hook", "both"),
        ("check-config", "--config", "x", "--listen", "y"),
        ("check-config", "--config", "nowhere.yaml"),
        ("serve", "--config", "nowhere.yaml", "--insecure"),
    ],
)
def test_wrong_arguments_are_one_line(webhook, words):
    done = webhook.run(*words, "--json")
    assert (done.returncode, json.loads(done.stdout)["ok"], done.stderr.count("\n")) == (2, False, 1)
    assert "Traceback" not in done.stderr


HELP = [("--help",), ("serve", "--help"), ("decide", "--help"), ("check-config", "--help")]


@pytest.mark.parametrize("words", HELP)
def test_help_says_what_it_is(webhook, words):
    done = webhook.run(*words)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("usage: trustkit-admission")


def test_the_version_is_printed(webhook):
    assert webhook.run("--version").stdout == f"trustkit-admission {__version__}\n"


@pytest.mark.parametrize("json_flag", [(), ("--json",)])
def test_an_answer_that_cannot_be_written_is_no_success(webhook, json_flag):
    words = ["check-config", "--config", str(webhook.config()), *json_flag]
    for out in (">/dev/full", ">&-"):
        done = subprocess.run(
            ["sh", "-c", f'exec "$@" {out}', "sh", sys.executable, "-m", "admission", *words],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert (done.returncode, "[unwritable]" in done.stderr) == (5, True), done.stderr
        assert "Traceback" not in done.stderr
        assert "Exception ignored" not in done.stderr


def test_no_variable_weakens_anything(webhook, tools):
    review = written(webhook, tools.review(tools.pod("--model", "hf://org/name")))
    environ = {
        **os.environ,
        **{f"TRUSTKIT_ADMISSION_{name}": "0" for name in ("VERIFY", "RULES", "POLICY", "INSECURE", "RECORD")},
        "TRUSTKIT_INSECURE": "1",
    }
    done = webhook.run("decide", "--config", webhook.config(), "--review", review, env=environ)
    assert done.returncode == 1


def test_a_bug_is_named_without_a_traceback_unless_asked(webhook):
    """`compose` is made to fail as only a bug would, in an interpreter of its own."""
    code = (
        "import sys, admission.compose as c\n"
        "def broken(*a, **k): raise RuntimeError('secret hunter2')\n"
        "c.compose = broken\n"
        "from admission.main import main\n"
        "sys.exit(main(sys.argv[1:], {}))\n"
    )
    words = ["check-config", "--config", str(webhook.config())]
    for more in ((), ("--json",), ("--debug",)):
        done = subprocess.run(
            [sys.executable, "-c", code, *words, *more],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        if "--debug" in more:
            assert "RuntimeError: secret hunter2" in done.stderr
            continue
        assert (done.returncode, done.stderr.count("\n")) == (70, 1)
        assert "a bug (RuntimeError)" in done.stderr
        assert SECRET not in done.stdout + done.stderr
        assert not more or json.loads(done.stdout)["code"] == "internal-error"


# decide -----------------------------------------------------------------------------------------


def test_a_review_in_a_file_is_allowed_with_its_patch(webhook, tools, pod):
    review = written(webhook, tools.review(pod))
    done = webhook.run("decide", "--config", webhook.config(), "--review", review)
    assert (done.returncode, done.stdout, done.stderr) == (0, "allowed\n", "")
    done = webhook.run("decide", "--config", webhook.config(), "--review", review, "--json")
    response = json.loads(done.stdout)["evidence"]["review"]["response"]
    assert (response["allowed"], response["uid"], response["patchType"]) == (
        True,
        "705ab4f5-6393-11e8-b7cc-42010a800002",
        "JSONPatch",
    )
    assert not webhook.record.exists()


def tag(webhook, tools, model):
    return tools.pod("--model", webhook.reference(model).partition("@")[0] + ":latest")


def annotated(webhook, tools, model):
    pod = tools.pod("--model", webhook.reference(model))
    pod["metadata"]["annotations"] = {"trustkit.dev/verified": "true"}
    return pod


def unsigned(webhook, tools, model):
    (webhook.estate.root / "acme/unsigned/1").mkdir(parents=True, exist_ok=True)
    return tools.pod("--model", f"trust://{webhook.store}/acme/unsigned/1@sha256:{'0' * 64}")


DENIED = [(tag, "not-pinned"), (annotated, "reserved-annotation"), (unsigned, "unsigned")]


@pytest.mark.parametrize(("make", "code"), DENIED)
@pytest.mark.parametrize("hook", ["mutate", "validate"])
def test_a_review_in_a_file_is_denied_with_code_and_remedy(webhook, tools, model, make, code, hook):
    review = written(webhook, tools.review(make(webhook, tools, model)))
    done = webhook.run("decide", "--config", webhook.config(), "--review", review, "--hook", hook, "--json")
    answer = json.loads(done.stdout)
    response = answer["evidence"]["review"]["response"]
    assert (done.returncode, done.stderr, answer["ok"], response["allowed"]) == (1, "", False, False)
    assert f"[{code}]" in response["status"]["message"]
    assert "patch" not in response


def test_a_denial_is_said_to_people_line_by_line(webhook, tools, model):
    review = written(webhook, tools.review(annotated(webhook, tools, model)))
    done = webhook.run("decide", "--config", webhook.config(), "--review", review)
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout == (
        "[reserved-annotation] the annotation trustkit.dev/verified is reserved; "
        "remove the annotation; verdicts are recomputed, never read from the object\n"
    )


@pytest.fixture
def closed_port():
    """An address where nobody answers, and nobody can: the port is held, and not listened on."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{held.getsockname()[1]}"


def decided(webhook, review, **members):
    words = ("decide", "--config", webhook.config(**members), "--review", review, "--json")
    done = webhook.run(*words)
    answer = json.loads(done.stdout)
    assert (answer["ok"], answer["evidence"]["review"]["response"]["allowed"]) == (False, False)
    return done.returncode, answer


def test_a_store_that_is_down_is_a_denial_that_could_not_tell(webhook, tools, model, closed_port):
    stores = [{"host": closed_port, "spiffe_id": "spiffe://demo.test/store"}]
    pod = tools.pod("--model", webhook.reference(model).replace(webhook.store, closed_port))
    review = written(webhook, tools.review(pod))
    done = webhook.run("decide", "--config", webhook.config(stores=stores), "--review", review)
    assert (done.returncode, done.stderr) == (5, "")
    assert "[store-unreachable]" in done.stdout
    status, answer = decided(webhook, review, stores=stores)
    assert (status, answer["code"]) == (5, "store-unreachable")


def test_what_was_refused_outweighs_a_store_that_is_down(webhook, tools, model, closed_port):
    stores = [
        {"host": host, "spiffe_id": "spiffe://demo.test/store"} for host in (closed_port, webhook.store)
    ]
    down = webhook.reference(model).replace(webhook.store, closed_port)
    refused = f"trust://{webhook.store}/acme/tiny-llm/1@sha256:{'0' * 64}"
    review = written(webhook, tools.review(tools.pod("--model", down, "--draft", refused)))
    status, answer = decided(webhook, review, stores=stores)
    message = answer["evidence"]["review"]["response"]["status"]["message"]
    assert status == 1
    assert "[store-unreachable]" in message
    assert "[digest-mismatch]" in message


def test_a_deadline_that_passes_could_not_tell(webhook, tools, model):
    pod = tools.pod("--model", webhook.reference(model))
    status, answer = decided(webhook, written(webhook, tools.review(pod)), deadline_seconds=1e-9)
    assert (status, answer["code"]) == (5, "deadline")


def test_a_cap_that_an_object_exceeds_keeps_its_class(webhook, tools):
    pod = tools.pod("run")
    pod["spec"]["containers"] *= 257
    status, answer = decided(webhook, written(webhook, tools.review(pod)))
    assert (status, answer["code"]) == (4, "too-many-containers")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 3, "bad-review"),
        (b"{}", 3, "bad-review"),
        (b'{"kind":"AdmissionReview"', 3, "bad-json"),
        (b'{"kind":"AdmissionReview","a":1,"a":2}', 3, "duplicate-key"),
        (b'{"a":1,"a":2}', 3, "bad-manifest"),  # of a manifest, since it is no review
        (b"[" * 100_000, 4, "too-deep"),
        (b" " * 7_000_000, 4, "too-large"),
        (None, 2, "no-such-file"),
    ],
)
def test_what_is_no_review_is_an_error_of_its_class(webhook, body, status, code):
    review = written(webhook, body) if body is not None else webhook.folder / "nowhere.json"
    done = webhook.run("decide", "--config", webhook.config(), "--review", review, "--json")
    assert (done.returncode, json.loads(done.stdout)["code"]) == (status, code)
    assert done.stderr.endswith(f"[{code}]\n")


def offline(webhook, body, *words, **options):
    """Decide where there is neither an SVID nor a store."""
    config = webhook.config(svid_directory="nowhere", record="nowhere/record.jsonl")
    review = "-" if "input" in options else written(webhook, body)
    return webhook.run("decide", "--config", config, "--review", review, *words, **options)


def test_decide_away_from_its_pod_says_what_is_missing_and_what_can_be_decided(webhook, tools, pod):
    done = webhook.run(
        "decide",
        *("--config", webhook.config(svid_directory="nowhere")),
        *("--review", written(webhook, tools.review(pod))),
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "there is no SVID at " in done.stderr
    assert (
        "; it is only there where the program runs; --without-svid decides what needs no store ["
        in done.stderr
    )


NOT_ASKED = "judged without our SVID; NOT checked: what only a store can prove, since none was asked"


def test_without_an_svid_what_stands_in_the_object_is_judged(webhook, tools, model):
    done = offline(webhook, tools.review(tag(webhook, tools, model)), "--without-svid")
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.startswith(f"{NOT_ASKED}\n[not-pinned] ")
    nothing = {**tools.pod("run"), "spec": {"containers": [{"name": "web", "image": "nginx:1"}]}}
    done = offline(webhook, tools.review(nothing), "--without-svid")
    assert (done.returncode, done.stdout) == (0, f"{NOT_ASKED}\nallowed\n")


def test_without_an_svid_nothing_that_only_a_store_can_prove_is_allowed(webhook, tools, model, pod):
    done = offline(webhook, tools.review(pod), "--without-svid", "--json")
    answer = json.loads(done.stdout)
    assert (done.returncode, answer["ok"], answer["code"]) == (5, False, "store-not-asked")
    assert answer["evidence"]["unchecked"] == ["what only a store can prove, since none was asked"]
    response = answer["evidence"]["review"]["response"]
    assert (response["allowed"], "patch" in response) == (False, False)
    assert "no store was asked; decide where the webhook's SVID is, " in response["status"]["message"]
    both = tools.review(tools.pod("--model", webhook.reference(model), "--draft", "hf://org/name"))
    assert offline(webhook, both, "--without-svid").returncode == 1


def test_without_an_svid_no_sidecar_is_judged(webhook, tools, pod):
    done = offline(webhook, tools.review(pod), "--without-svid", "--hook", "validate")
    assert (done.returncode, done.stdout) == (2, "")
    assert "so it needs an SVID; leave out --without-svid" in done.stderr


def test_a_review_or_a_manifest_comes_on_standard_input(webhook, tools, model):
    review = json.dumps(tools.review(tag(webhook, tools, model)))
    manifest = json.dumps(tag(webhook, tools, model))
    for text in (review, manifest):
        done = offline(webhook, None, "--without-svid", input=text)
        assert (done.returncode, "[not-pinned]" in done.stdout) == (1, True)
    done = offline(webhook, None, "--without-svid", input="nothing")
    assert done.returncode == 3
    assert "'standard input' holds neither an AdmissionReview" in done.stderr
    done = offline(webhook, None, "--without-svid", input=" " * 7_000_000)
    assert (done.returncode, done.stderr.endswith("[too-large]\n")) == (4, True)


# serve ------------------------------------------------------------------------------------------


@pytest.fixture
def served(webhook):
    process, address, health = webhook.serve()
    with process:
        yield process, address, health


def test_the_whole_walk_over_tls(webhook, tools, pod, model, served):
    process, address, _ = served
    status, answer = webhook.ask(address, tools.review(pod))
    assert (status, answer["response"]["allowed"]) == (200, True)
    patch = json.loads(base64.b64decode(answer["response"]["patch"]))
    after = tools.applied(pod, patch)
    status, answer = webhook.ask(address, tools.review(after), "/validate")
    assert (status, answer["response"]["allowed"]) == (200, True)
    for make, code in DENIED:
        for path in ("/mutate", "/validate"):
            status, answer = webhook.ask(address, tools.review(make(webhook, tools, model)), path)
            response = answer["response"]
            assert (status, response["allowed"], response["status"]["code"]) == (200, False, 403)
            assert f"[{code}]" in response["status"]["message"]
    after["spec"]["initContainers"][0]["args"].append("--insecure")
    _, answer = webhook.ask(address, tools.review(after), "/validate")
    assert "[sidecar-altered]" in answer["response"]["status"]["message"]
    assert process.end(signal.SIGTERM) == 0
    assert process.complained == ""
    with webhook.record.open("rb") as file:
        assert verify_records(file) == 1 + 2 * len(DENIED) + 1


def test_a_warning_and_audit_annotations_reach_the_api_server(webhook, tools, served):
    pod = tools.pod(volumes=[{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}])
    pod["spec"]["containers"][0]["image"] = "postgres:17"
    _, answer = webhook.ask(served[1], tools.review(pod))
    assert answer["response"]["allowed"]
    assert "persistentVolumeClaim" in answer["response"]["warnings"][0]
    assert answer["response"]["auditAnnotations"]["policy-digest"] == str(webhook.estate.policy.digest)


@pytest.mark.parametrize(
    ("body", "status"), [(b"", 400), (b"{}", 400), (b"[" * 100_000, 413), (b" " * 6_400_000, 413)]
)
def test_what_is_no_request_gets_an_http_error(webhook, served, body, status):
    assert webhook.ask(served[1], body)[0] == status


def test_callers_without_the_ca_s_certificate_are_refused(webhook, tools, served):
    for folder in (None, "stranger"):
        context = webhook.context(certificate=False)
        if folder:
            (webhook.folder / folder).mkdir()
            other = Authority("demo.test", now=time.time(), lifetime_seconds=3600)
            for name, content in other.files("/apiserver", now=time.time(), lifetime_seconds=600).items():
                (webhook.folder / folder / name).write_bytes(content)
            context.load_cert_chain(
                webhook.folder / folder / "svid.pem", webhook.folder / folder / "svid_key.pem"
            )
        with pytest.raises((ssl.SSLError, ConnectionError)):
            webhook.ask(served[1], tools.review(tools.pod()), context=context)
    assert webhook.ask(served[1], tools.review(tools.pod("--model", "x/y")))[0] == 200


def test_a_sidecar_that_finds_nothing_where_it_reads_is_said_at_every_start(webhook):
    """It may be in the image, so it is no error."""
    sidecar = webhook.document()["sidecar"]
    sidecar["volume_mounts"] = [{"name": "trustkit-svid", "mountPath": "/svid"}]
    said = "trustkit-admission: warning: no mount of the sidecar brings sidecar.policy_file, so none starts"
    done = webhook.run("check-config", "--config", webhook.config(sidecar=sidecar))
    assert (done.returncode, done.stdout) == (0, "the configuration is valid\n")
    assert (done.stderr.startswith(said), done.stderr.endswith("[sidecar-unmounted]\n")) == (True, True)
    process, _, _ = webhook.serve(sidecar=sidecar)
    with process:
        assert process.end(signal.SIGTERM) == 0
    assert process.complained.startswith(said)


def test_answering_anybody_is_said_at_every_start(webhook, tools):
    said = "trustkit-admission: warning: whoever reaches the port may ask"
    done = webhook.run("check-config", "--config", webhook.config(**open_to_anybody(webhook)))
    assert done.returncode == 0
    assert done.stderr.startswith(said)
    assert done.stderr.endswith("[insecure-no-client-ca]\n")
    for _ in range(2):
        process, address, _ = webhook.serve(**open_to_anybody(webhook))
        with process:
            context = webhook.context(certificate=False)
            assert webhook.ask(address, tools.review(tools.pod("run")), context=context)[0] == 200
            assert process.end(signal.SIGTERM) == 0
        assert process.complained.startswith(said)
        assert process.complained.count("\n") == 1


def test_nothing_older_than_tls_1_3_is_spoken(webhook, tools, served):
    context = webhook.context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises((ssl.SSLError, ConnectionError)):
        webhook.ask(served[1], tools.review(tools.pod()), context=context)


def test_health_is_in_the_clear_and_nothing_else_is(webhook, estates, served):
    _, address, health = served
    assert estates.probe(health, "/healthz") == 200
    assert estates.probe(health, "/readyz") == 200
    assert estates.probe(health, "/mutate") == 404
    assert estates.probe(health, "/docs") == 404
    with pytest.raises((ValueError, IndexError, ConnectionError)):
        estates.probe(address, "/healthz")


def test_with_json_the_addresses_are_the_one_document(webhook, estates):
    process = estates.Process("admission", ["serve", "--config", webhook.config(), "--json"])
    with process:
        process.line_with("}")
        assert process.end(signal.SIGINT) == 0
    answer = json.loads(process.said)
    assert answer["ok"]
    assert answer["evidence"]["listen"].startswith("127.0.0.1:")
    assert answer["evidence"]["spiffe_id"] == "spiffe://demo.test/webhook"


def test_flags_override_where_to_listen(webhook):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        for flag in ("--listen", "--health-listen"):
            done = webhook.run("serve", "--config", webhook.config(), flag, address)
            assert (done.returncode, done.stderr.endswith("[cannot-listen]\n")) == (5, True)


def test_a_request_in_flight_is_answered_after_the_signal(webhook, tools, model, estates):
    """The store holds its answer back until the signal was sent, so the request is in flight for certain."""
    with estates.Tap(webhook.store, hold_after=0) as tap:
        stores = [{"host": tap.address, "spiffe_id": "spiffe://demo.test/store"}]
        process, address, _ = webhook.serve(stores=stores, fetch_timeout_seconds=2.0)
        reference = webhook.reference(model).replace(webhook.store, tap.address)
        with process:
            answers, review = [], tools.review(tools.pod("--model", reference))
            asking = threading.Thread(target=lambda: answers.append(webhook.ask(address, review)))
            asking.start()
            assert tap.held.wait(30)
            process._popen.send_signal(signal.SIGTERM)
            asking.join(30)
            assert process.end() == 0
    ((status, answer),) = answers
    assert (status, "[store-unreachable]" in answer["response"]["status"]["message"]) == (200, True)
