"""The page of configuration lists what programs read: every member, its default and bounds, and no other."""

import copy
import re
import time
from pathlib import Path

import pytest
import yaml

import admission.config
import trustkit.broker.config
import trustkit.sidecar.config
import trustkit.store.config
from trustkit.errors import FormatError, UsageError
from trustkit.signing.key import generate_key
from trustkit.spiffe.authority import Authority
from trustkit.verifying import policy as policies
from trustkit.workloads.basefile import parse_bases
from trustkit.workloads.extension import extended_table
from trustkit.workloads.extract import references
from trustkit.workloads.table import default_table

PAGE = "trustkit/design/configuration.md"
ROW = re.compile(r"^\| `([^`]+)` \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)
EXAMPLE = re.compile(r"^<!-- example: (\w+) -->\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LITERAL = re.compile(r"`([^`]+)`")
BOUNDS = re.compile(r"(?:whole number, 1 to|seconds, at most) ([0-9.]+)")
KMS = "awskms:///arn:aws:kms:eu-west-1:123456789012:key/01234567-89ab-cdef-0123-456789abcdef"


def load_policy(raw, **_):
    _, pem = generate_key("p256", passphrase=None)
    return policies.parse_policy(raw, read_file=lambda _: pem)


FILES = {
    "webhook": (admission.config.MEMBERS, admission.config.load, "config"),
    "broker": (trustkit.broker.config.MEMBERS, trustkit.broker.config.load, "config"),
    "store": (trustkit.store.config.MEMBERS, trustkit.store.config.load, "config"),
    "policy": (policies.MEMBERS, load_policy, "policy"),
}
ENVIRONMENT = (
    *admission.config.ENVIRONMENT,
    trustkit.broker.config.ENVIRONMENT,
    trustkit.store.config.ENVIRONMENT,
)
ROOTS = Authority("demo.test", now=time.time(), lifetime_seconds=3600).bundle_pem.decode()
CERTIFIED = [{"name": "a", "roles": ["author"], "certificate": {"roots": {"pem": ROOTS}}}]
OTHERWISE = {
    "webhook": [
        {
            "sidecar.volumes": [{"name": "trustkit-svid", "csi": {"driver": "csi.spiffe.io"}}],
            "sidecar.volume_mounts": [{"name": "trustkit-svid", "mountPath": "/svid"}],
        },
        {"tls": {"certificate": "a", "private_key": "b", "insecure_no_client_ca": True}},
    ],
    "broker": [{"openers": [{"kms": KMS}]}],
    "store": [],
    "policy": [
        {"spec.authorities": CERTIFIED},
        {"spec.authorities": [{"name": "a", "roles": ["author"], "key": {"pem": "-"}}]},
    ],
}
"""Members that examples leave out, in a document that is as small as it can be."""

TOLD = ("sidecar.volume_mounts", "sidecar.volumes")
"""Members of the webhook's example that can be left out in the order given, and then something is said."""

UNCHANGEABLE = {"sidecar.volume_mounts[].readOnly", "spec.threshold"}
"""Members that may have their default alone, in a smallest document."""


@pytest.fixture(scope="module")
def page(root):
    return (root / PAGE).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def listed(page):
    """Map each of the five documents to its rows: type and default by member."""
    names = ("webhook", "broker", "store", "sidecar", "policy")
    sections = re.split(r"^## The (\w+)[^\n]*$", page, flags=re.MULTILINE)
    found = dict(zip(sections[1::2], sections[2::2], strict=True))
    assert tuple(found) == names
    rows = {name: ROW.findall(text) for name, text in found.items()}
    assert all(len({row[0] for row in table}) == len(table) > 4 for table in rows.values())
    return {
        name: {member: (kind, default) for member, kind, default, _ in table} for name, table in rows.items()
    }


def written(page):
    """Map the name of each example to its text."""
    found = dict(EXAMPLE.findall(page))
    assert set(found) == {*FILES, "sidecar", "table", "bases", "inline"}
    return found


@pytest.fixture(scope="module")
def examples(page):
    """Each document as small as it is valid: what is only needed to work is taken out of the webhook's."""
    found = written(page)
    small = {
        name: text.split() if name == "sidecar" else yaml.safe_load(text) for name, text in found.items()
    }
    for member in TOLD:
        small["webhook"] = without(small["webhook"], member)
    return small


def loaded(name, document):
    """Read a document with the program's own reader."""
    raw = yaml.safe_dump(document).encode()
    return FILES[name][1](raw, base=Path("/etc/x"), environ={})


def refused(name, document):
    try:
        loaded(name, document)
    except UsageError:
        return True
    return False


def paths_in(node, path=""):
    """Yield every member of a document, as the page writes it; of a list its first entry stands for all."""
    if isinstance(node, list) and node and isinstance(node[0], dict):
        yield from paths_in(node[0], f"{path}[]")
    elif isinstance(node, dict):
        for name, inner in node.items():
            where = f"{path}.{name}" if path else name
            yield where
            yield from paths_in(inner, where)


def holder(document, path):
    """Return a copy of a document, the object in it that has the member or could, and the member's name."""
    whole = copy.deepcopy(document)
    node, *names = whole, *path.replace("[]", ".0").split(".")
    for name in names[:-1]:
        node = node[0] if name == "0" else node.setdefault(name, {})
    return whole, node, names[-1]


def changed(document, path, value):
    whole, node, name = holder(document, path)
    node[name] = value
    return whole


def without(document, path):
    whole, node, name = holder(document, path)
    del node[name]
    return whole


def base_for(name, path, examples, *, holding=True):
    """Return a smallest document that has the member, or else one in which it could stand."""
    parent = path.rpartition(".")[0].removesuffix("[]")
    documents = [examples[name], *(other(examples[name], members) for members in OTHERWISE[name])]
    fitting = [document for document in documents if holding and path in set(paths_in(document))] or [
        document
        for document in documents
        if not parent or parent in set(paths_in(document)) or parent == "limits"
    ]
    return fitting[0]


def other(document, members):
    for path, value in members.items():
        document = changed(document, path, value)
    return document


def cases(listed, kinds=None):
    return [
        (name, member, kind, default)
        for name in FILES
        for member, (kind, default) in listed[name].items()
        if kinds is None or kinds(kind, default)
    ]


def test_every_member_has_a_line_and_every_line_a_member(listed, demand_none):
    for name, (members, _, top) in FILES.items():
        read = {
            inner if where == top else f"{where}.{inner}"
            for where, inners in members.items()
            for inner in inners
        }
        demand_none(
            f"{name}: {member} {'has no line' if member in read else 'is not read'}"
            for member in sorted(read ^ listed[name].keys())
        )


def test_every_flag_of_the_sidecar_has_a_line(listed, demand_none):
    parser = trustkit.sidecar.config.parser()
    [verbs] = (action for action in parser._actions if action.dest == "verb")
    common = {"--help", "--json", "--debug"}
    said = {action.option_strings[-1]: action.required for action in verbs.choices["run"]._actions}
    page, said = listed["sidecar"], {flag: said[flag] for flag in said.keys() - common}
    demand_none(flag for flag in sorted(page.keys() ^ said.keys()))
    demand_none(flag for flag in said if (page[flag][1] == "**required**") != said[flag])


def test_every_variable_is_named(page, demand_none):
    demand_none(name for name in ENVIRONMENT if f"`{name}`" not in page)


@pytest.mark.parametrize("name", FILES)
def test_an_example_is_valid_and_nothing_can_be_left_out(name, examples, demand_none):
    loaded(name, examples[name])
    demand_none(path for path in paths_in(examples[name]) if not refused(name, without(examples[name], path)))


def test_a_sidecar_of_the_webhooks_example_finds_all_it_reads(page):
    example = yaml.safe_load(written(page)["webhook"])
    assert loaded("webhook", example).sidecar.unmounted == ()
    assert refused("webhook", without(example, "sidecar.volumes"))
    paths = ("svid_directory", "policy_file", "trust_bundle_file")
    assert loaded("webhook", without(example, "sidecar.volume_mounts")).sidecar.unmounted == paths
    for number, mount in enumerate(example["sidecar"]["volume_mounts"]):
        less = copy.deepcopy(example)
        del less["sidecar"]["volume_mounts"][number]
        assert loaded("webhook", less).sidecar.unmounted, mount


def test_the_tables_example_says_where_a_kind_names_its_model_and_which_hold_none(page):
    text = written(page)["table"]
    table = extended_table(text.encode())
    server = {"apiVersion": "ml.example/v1", "kind": "Server", "spec": {"brain": "acme/tiny"}}
    [model] = references(server, table=table).models
    assert (model.path, model.reference) == ("spec.brain", "acme/tiny")
    assert references(server).models == ()
    for name in yaml.safe_load(text)["bystanders"]:
        group, _, kind = name.partition("/")
        stranger = {"apiVersion": f"{group}/v1", "kind": kind, "spec": {}}
        assert references(stranger).unresolved
        assert references(stranger, table=table).unresolved == ()
    with pytest.raises(FormatError):
        extended_table(text.partition("\n")[2].encode())


def test_the_example_of_bases_names_the_model_of_what_is_based_on_it(page):
    bases = parse_bases(written(page)["bases"].encode(), default_table()).seen_from("team")
    service = {
        "apiVersion": "serving.kserve.io/v1alpha2",
        "kind": "LLMInferenceService",
        "metadata": {"name": "x", "namespace": "team"},
        "spec": {"baseRefs": [{"name": "shared"}]},
    }
    [model] = references(service, bases=bases).models
    assert (model.scheme, model.pinned) == ("trust", True)
    assert references(service).unresolved


def test_the_policy_with_its_key_written_out_needs_no_other_file_and_means_the_same(page):
    """Webhook, broker and sidecar refuse to read another: a key there would escape the policy's digest."""
    from admission.compose import _no_other_file

    inline = policies.parse_policy(written(page)["inline"].encode(), read_file=_no_other_file)
    assert len(inline.authorities) == 1
    pem = yaml.safe_load(written(page)["inline"])["spec"]["authorities"][0]["key"]["pem"].encode()
    short = written(page)["policy"].encode()
    other = policies.parse_policy(short, read_file={"author.pem.pub": pem}.__getitem__)
    assert (inline.name, inline.authorities) == (other.name, other.authorities)
    with pytest.raises(UsageError, match=r"inline \(key\.pem\), not in 'author\.pem\.pub'"):
        policies.parse_policy(short, read_file=_no_other_file)


def test_the_sidecars_example_is_valid_and_nothing_can_be_left_out(examples, demand_none):
    words = examples["sidecar"]
    config = trustkit.sidecar.config.load(["run", *words])
    assert (config.timeout_seconds, config.budget_seconds, config.plain_max_bytes) == (30.0, 120.0, None)
    for place in range(0, len(words), 2):
        with pytest.raises(UsageError):
            trustkit.sidecar.config.load(["run", *words[:place], *words[place + 2 :]])


def test_what_is_said_to_be_required_is_and_nothing_else(listed, examples, demand_none):
    offences = []
    for name, member, _, default in cases(listed):
        document = base_for(name, member, examples)
        if "required" in default:
            if member not in set(paths_in(document)) or not refused(name, without(document, member)):
                offences.append(f"{name}: {member} can be left out")
        elif "one of two" not in default and member in set(paths_in(examples[name])):
            offences.append(f"{name}: {member} stands in a smallest document, and is said to be optional")
    demand_none(offences)


@pytest.mark.parametrize("name", FILES)
def test_smallest_documents_of_the_other_kinds_are_valid(name, examples):
    for members in OTHERWISE[name]:
        if "-" not in str(members.get("spec.authorities", [{}])[0].get("key", "")):
            loaded(name, other(examples[name], members))


def test_defaults_are_what_counts_where_a_member_is_left_out(listed, examples, demand_none):
    literal = cases(listed, lambda _, default: LITERAL.fullmatch(default))
    assert len(literal) > 40
    offences = []
    for name, member, _, default in literal:
        document = base_for(name, member, examples, holding=False)
        meant = yaml.safe_load(LITERAL.fullmatch(default)[1])
        if set_apart(loaded(name, changed(document, member, meant))) != set_apart(loaded(name, document)):
            offences.append(f"{name}: {member} is not {default}")
        if not isinstance(meant, list | dict) and member not in UNCHANGEABLE:
            different = another(meant)
            if set_apart(loaded(name, changed(document, member, different))) == set_apart(
                loaded(name, document)
            ):
                offences.append(f"{name}: {member} changes nothing")
    demand_none(offences)


def another(value):
    """Return a value of the same kind that is not the default."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, str):
        return "127.0.0.1:9" if ":" in value else "/elsewhere"
    return value + 1 if value == 134217728 else value / 2 if isinstance(value, float) else value - 1


def set_apart(config):
    """Return a configuration as it compares; of a policy what its bytes do not decide."""
    if isinstance(config, policies.VerificationPolicy):
        return (config.name, config.threshold, config.lines, [a.name for a in config.authorities])
    return config


def test_bounds_are_those_of_the_reader(listed, examples, demand_none):
    bounded = cases(listed, lambda kind, _: BOUNDS.fullmatch(kind))
    assert len(bounded) > 30
    offences = []
    for name, member, kind, _ in bounded:
        document = base_for(name, member, examples)
        most = float(BOUNDS.fullmatch(kind)[1])
        most = int(most) if most.is_integer() else most
        if refused(name, changed(document, member, most)):
            offences.append(f"{name}: {member} cannot be {most}")
        offences += [
            f"{name}: {member} can be {value}"
            for value in (most + 1, 0, -1, True, "1")
            if not refused(name, changed(document, member, value))
        ]
    demand_none(offences)


def test_kinds_are_those_of_the_reader(listed, examples, demand_none):
    demand_none(
        f"{name}: {member} is no {kind}"
        for name, member, kind, _ in cases(listed)
        if not refused(
            name,
            changed(
                base_for(name, member, examples),
                member,
                "x" if kind.startswith(("whole", "seconds", "true", "object", "list")) else 7,
            ),
        )
    )


@pytest.mark.parametrize(
    ("name", "member"),
    [
        ("webhook", "svid_directory"),
        ("webhook", "tls.certificate"),
        ("webhook", "stores[].spiffe_id"),
        ("webhook", "sidecar.broker_id"),
        ("broker", "openers"),
        ("broker", "openers[].file"),
        ("broker", "grants[].publishers"),
        ("store", "readers"),
        ("policy", "apiVersion"),
        ("policy", "metadata.name"),
        ("policy", "spec.authorities"),
        ("policy", "spec.authorities[].key"),
        ("policy", "spec.authorities[].key.file"),
    ],
)
def test_a_required_member_that_is_misspelt_is_named_with_what_is_meant(name, member, examples):
    whole, node, right = holder(examples[name], member)
    misspelt = right[:-1]
    node[misspelt] = node.pop(right)
    with pytest.raises(UsageError) as caught:
        loaded(name, whole)
    assert caught.value.code == ("bad-policy" if name == "policy" else "bad-config")
    assert f"unknown member {misspelt!r}, did you mean {right!r}?" in caught.value.message
