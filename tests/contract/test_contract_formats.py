"""Every MUST of the two format documents has a vector for any implementation, or a test that is named here.

In `trustkit/attest/FORMAT.md` the rules are numbered, and cases name them. Here
stand the parts of them that no file can show: how often something is done, in
which order, at what cost, or what a writer does. `trustkit/sealing/FORMAT.md`
has fewer: each of its sentences with a MUST is listed, with what shows it.
"""

import ast
import json
import re

import pytest

RULE = re.compile(r"^(?:- |\| )\*\*(\d+\.\d+)\*\*(.*)$", re.MULTILINE)
LEADS = ("unless", ":")
"""How a line with a MUST and no number ends: numbered rules follow it."""
BUNDLE, DIGESTS = "tests/unit/attest/test_attest_bundle.py", "tests/unit/attest/test_attest_digests.py"
ADDING, SIGNING = (
    "tests/unit/workflows/test_workflows_adding.py",
    "tests/unit/workflows/test_workflows_sign.py",
)
CERTIFICATES = "tests/unit/verifying/test_verifying_certificates.py"

NO_FILE_SHOWS = {
    "1.3": {"before what it caps is parsed": f"{BUNDLE}::test_size_is_capped_before_parsing"},
    "1.4": {
        "MUST NOT be parsed before": "tests/unit/verifying/test_verifying_verify.py"
        "::test_an_edited_payload_is_refused_before_it_is_parsed",
        "never serialised a second time": f"{BUNDLE}::test_what_is_added_to_is_kept_member_by_member",
    },
    "2.2": {
        "the same folder gives the same payload": f"{SIGNING}::test_the_same_model_gives_the_same_payload"
    },
    "2.5": {
        "it runs the rules of section 5 first": "tests/unit/attest/test_attest_model_signature.py"
        "::test_what_could_not_be_verified_is_not_written"
    },
    "2.6": {
        "name the file of a single-file model `.`": "tests/unit/attest/test_attest_reference.py"
        "::test_a_single_file_is_named_dot_for_it_and_by_its_name_for_everybody_else",
        "the hash of a shard": "tests/unit/attest/test_attest_reference.py"
        "::test_the_hash_of_shards_has_its_name_and_is_read_back_as_the_same",
        "said in a warning": "tests/unit/attest/test_attest_reference.py"
        "::test_what_it_cannot_read_is_said_to_people",
    },
    "6.1": {"256 MiB": "tests/contract/test_contract_limits.py::test_the_agreed_limits_are_listed"},
    "6.7": {"100,000": f"{DIGESTS}::test_its_files_are_subjects_and_so_there_may_be_many_of_them"},
    "6.8": {"2,000,000": "tests/unit/attest/test_attest_model_signature.py::test_counts_are_capped"},
    "8.5": {"device": "tests/unit/artifact/test_artifact_tree.py::test_special_files"},
    "9.3": {
        "however large the document is": f"{DIGESTS}::test_no_predicate_brings_resources_however_large_it_is"
    },
    "9.4": {"at most 64 MiB": f"{DIGESTS}::test_a_payload_may_be_as_long_as_the_cap"},
    "10.2": {"uses one line above the leaf": f"{CERTIFICATES}::test_circles_and_crowds_cost_little"},
    "10.8": {
        "flips bits": "tests/property/test_property_certificates.py::test_a_flipped_bit_is_believed_by_nobody"
    },
    "11.3": {
        "replaces only the bundle that it read": f"{ADDING}"
        "::test_a_bundle_that_somebody_else_wrote_meanwhile_is_kept",
        "SHOULD tell what the payload leaves out": f"{ADDING}"
        "::test_who_adds_is_told_what_the_first_one_left_out",
    },
}
"""Rule of signed manifests, words of it, and the test that shows what they say."""
WITHOUT_A_CASE = {"2.5", "2.6"}
"""Rules of which no part can be shown by a file."""

SPOILED, KMS = "tests/unit/sealing/test_sealing_spoiled.py", "tests/unit/sealing/test_sealing_awskms.py"
CLIENT, REWRAP = (
    "tests/unit/sealing/test_sealing_awskms_client.py",
    "tests/unit/sealing/test_sealing_rewrap.py",
)
FOLDERS, KSERVE = (
    "tests/unit/workflows/test_workflows_recipients.py",
    "tests/unit/workflows/test_workflows_kserve.py",
)
PASSPHRASE, KMS_CLI = "tests/unit/sealing/test_sealing_passphrase.py", "tests/unit/cli/test_cli_awskms.py"

SHOWN = {
    "MUST make a new data key for every sealing": [
        "tests/attacks/test_attacks_sealed.py::test_every_sealing_has_a_data_key_of_its_own"
    ],
    "MUST NOT list the folder": ["files_that_nobody_names"],
    "MUST be those of the descriptor, byte for byte": [
        "part_signed_other_parameters_fail",
        "descriptor_other_segments_fail",
    ],
    "MUST be compared in constant time, before any segment": [
        "part_of_another_key_fail",
        f"{SPOILED}::TestSpoiled::test_another_key_or_place_is_refused_before_any_segment",
    ],
    "MUST come from the signed lengths, never from the stream": [
        "part_truncated_at_edge_fail",
        "part_extended_by_segment_fail",
        f"{SPOILED}::TestSpoiled::test_a_whole_segment_relabelled_as_the_final_one_is_refused",
    ],
    "MUST NOT be sealed twice with different plaintexts": [
        "tests/unit/sealing/test_sealing_floe.py::test_two_sealings_of_one_file_share_no_iv_and_no_nonce"
    ],
    "MUST open into a private buffer": [
        "part_flipped_tag_fail",
        f"{SPOILED}::TestSpoiled::test_the_library_leaves_what_it_could_not_authenticate_and_we_wipe_it",
    ],
    "MUST hold every opened byte against the author's digests": ["part_signed_other_plaintext_fail"],
    "MUST take it from a descriptor that they verified": [
        "recipients_of_another_publisher_fail",
        "recipients_of_another_version_fail",
    ],
    "MUST compare it in constant time before an unwrapped key is used": [
        "recipients_of_another_key_fail",
        "tests/unit/sealing/test_sealing_recipients.py::test_another_key_wrapped_rightly_is_refused_and_wiped",
    ],
    "MUST ignore entries whose kind it does not know": [
        "recipient_of_unknown_kind",
        "recipients_short_wrap_fail",
    ],
    "`dek_id` MUST be the descriptor's": ["recipients_other_dek_id_fail"],
    "key pair MUST NOT be used to sign": [f"{FOLDERS}::test_what_is_refused_changes_nothing"],
    "MUST unwrap the key in the context": [
        f"{FOLDERS}::test_what_is_refused_changes_nothing",
        f"{REWRAP}::test_kinds_of_tomorrow_are_kept_and_can_be_removed",
        f"{REWRAP}::test_nobody_left_is_refused",
    ],
    "The record MUST be there before the document goes": [
        f"{FOLDERS}::test_what_was_cut_short_is_finished",
        "recipients_shredded_fail",
        "shredded_and_a_document",
    ],
    "A service MUST be asked before the document goes": [
        f"{FOLDERS}::test_services_are_asked_first_and_one_that_refuses_keeps_everything",
        f"{FOLDERS}::test_a_record_speaks_for_no_service",
    ],
    "the error MUST name them": [f"{FOLDERS}::test_who_is_refused_is_told_what_is_scheduled_already"],
    "MUST refuse another N than": [
        "recipients_passphrase_costly_fail",
        "recipients_passphrase_cheap_fail",
        f"{PASSPHRASE}::test_the_cost_is_bounded_before_it_is_paid",
        f"{PASSPHRASE}::test_the_commitment_is_compared_before_the_key_is_used",
    ],
    "MUST draw a new salt for every wrap": [
        f"{PASSPHRASE}::test_a_salt_never_repeats_and_nothing_shows",
        f"{PASSPHRASE}::test_passphrases_that_protect_nothing_are_refused",
    ],
    "Both sides MUST send": [f"{KMS}::test_the_service_is_told_every_member_of_the_context"],
    "An answer MUST name that very ARN": [
        f"{KMS}::test_an_answer_that_wraps_nothing_is_refused",
        f"{KMS}::test_an_answer_that_unwraps_nothing_is_refused",
    ],
    "A client MUST use TLS": [
        f"{CLIENT}::test_a_server_that_nobody_vouches_for_gets_nothing",
        f"{CLIENT}::test_no_variable_sends_a_key_somewhere_else",
        f"{CLIENT}::test_no_data_of_this_machine_move_the_service",
        f"{CLIENT}::test_a_redirect_is_not_followed",
    ],
    "A date of deletion MUST lie between": [f"{KMS}::test_a_date_on_which_no_key_is_deleted_is_no_answer"],
    "its message MUST NOT be repeated": [
        f"{KMS}::test_each_refusal_of_the_service_has_a_code_and_a_class_of_ours"
    ],
    "MUST draw key and IV of each file at random": [
        "tests/unit/sealing/test_sealing_jwe.py::test_nothing_repeats_from_file_to_file",
        "tests/unit/sealing/test_sealing_jwe.py::test_more_than_one_jwe_holds",
        f"{KSERVE}::test_names_that_kserve_would_decrypt_twice_are_refused",
    ],
    "It MUST also refuse what 11.3 would not find again": [
        f"{KSERVE}::test_names_by_which_nothing_would_be_found_again_are_refused",
        f"{KSERVE}::test_a_file_that_is_signed_without_its_name_is_refused",
    ],
    "A reader MUST verify the author's bundle first": [
        f"{KSERVE}::test_another_key_another_author_and_no_author"
    ],
    "MUST be refused (`not-encrypted`)": [f"{KSERVE}::test_a_plaintext_in_place_of_a_jwe_is_refused"],
    "MUST keep it in a private place": [f"{KSERVE}::test_a_jwe_that_was_touched_leaves_nothing"],
}
"""A sentence of sealed artifacts with a MUST, by some words of it, and its vectors and tests."""
STEPS = {
    1: "descriptor_of_a_stranger_fail",
    2: "descriptor_bad_line_fail",
    3: "descriptor_other_line_fail",
    4: "descriptor_dressed_fail",
    5: "author_unknown_fail",
    6: "descriptor_other_manifest_fail",
    7: "descriptor_part_of_nobody_fail",
    8: "recipients_of_another_key_fail",
    9: "part_flipped_body_fail",
    10: "part_flipped_tag_fail",
}
"""A step of its section 7, and a vector in which it is the one that refuses."""


@pytest.fixture(scope="module")
def attest(root):
    return (root / "trustkit/attest/FORMAT.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def sealing(root):
    return (root / "trustkit/sealing/FORMAT.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def rules(attest):
    found = RULE.findall(attest)
    assert len(dict(found)) == len(found) >= 75, "the rules are no longer found, or one number stands twice"
    return dict(found)


def test_no_must_of_signed_manifests_stands_outside_of_a_rule(attest, demand_none):
    lines = [line.rstrip() for line in attest.splitlines() if re.search(r"\bMUST\b", line)]
    free = [
        line for line in lines if not RULE.match(line) and not line.startswith("MUST and MUST NOT are those")
    ]
    demand_none(line for line in free if not line.endswith(LEADS) and not line.startswith("| Rule |"))


def test_every_rule_of_signed_manifests_has_a_vector(root, rules, demand_none):
    used = {
        rule
        for path in (root / "tests/vectors/oms/cases").glob("*/expect.json")
        for rule in json.loads(path.read_text("utf-8"))["rules"]
    }
    demand_none(
        f"{rule} has no case in tests/vectors/oms" for rule in rules if rule not in used | WITHOUT_A_CASE
    )
    assert not WITHOUT_A_CASE & used, "a case names a rule that is said to have none"
    assert NO_FILE_SHOWS.keys() >= WITHOUT_A_CASE


def test_what_no_file_shows_of_signed_manifests_is_shown_by_a_test(rules, is_test, demand_none):
    offences = [
        f"{rule} does not say {words!r}"
        for rule, parts in NO_FILE_SHOWS.items()
        for words in parts
        if words not in rules[rule]
    ]
    offences += [
        f"{rule} names {node}"
        for rule, parts in NO_FILE_SHOWS.items()
        for node in parts.values()
        if not is_test(node)
    ]
    for rule, text in rules.items():
        listed = {node.partition("::")[0] for node in NO_FILE_SHOWS.get(rule, {}).values()}
        offences += [
            f"{rule} names {path}, and the table here does not"
            for path in re.findall(r"`(tests/[\w/]+\.py)`", text)
            if path not in listed
        ]
    demand_none(offences)


def musts(text):
    """Yield each sentence with a MUST, but for the one that says what the word means."""
    for line in text.splitlines():
        for sentence in re.split(r"(?<=[.;)]) (?=[A-Z`])", line):
            if re.search(r"\bMUST\b", sentence) and not sentence.startswith("MUST and MUST NOT are those"):
                yield sentence


def test_every_must_of_sealed_artifacts_is_listed(sealing, demand_none):
    sentences = list(musts(sealing))
    assert len(sentences) >= 29, "the sentences are no longer found"
    offences = [f"nothing shows: {one}" for one in sentences if not any(words in one for words in SHOWN)]
    offences += [
        f"{words!r} is shown by less than it demands"
        for words, names in SHOWN.items()
        for one in sentences
        if words in one and len(names) < len(re.findall(r"\bMUST\b", one))
    ]
    offences += [
        f"no sentence says {words!r}" for words in SHOWN if not any(words in one for one in sentences)
    ]
    demand_none(offences)


def test_what_shows_a_must_of_sealed_artifacts_exists(root, is_test, demand_none):
    vectors = {path.parent.name for path in (root / "tests/vectors/sealed").glob("*/expect")}
    listed = [(words, name) for words, names in SHOWN.items() for name in names]
    listed += [(f"step {number}", name) for number, name in STEPS.items()]
    assert all(names for names in SHOWN.values())
    demand_none(
        f"{words!r}: {name} is nowhere"
        for words, name in listed
        if not (is_test(name) if "::" in name else name in vectors)
    )


def test_every_step_of_opening_has_a_vector(sealing):
    steps = sealing.split("\n## 7.", 1)[1].split("\n## ", 1)[0]
    assert [int(number) for number in re.findall(r"^(\d+)\. ", steps, re.MULTILINE)] == sorted(STEPS)


@pytest.mark.parametrize(
    ("path", "function"),
    [
        ("trustkit/sealing/floe.py", "__init__"),  # the tag, 4.2
        ("trustkit/digest.py", "matches"),  # the key commitment, 5.3
        ("trustkit/sealing/passphrase.py", "unwrap"),  # the commitment of a passphrase, 6.9
        ("trustkit/verifying/compare.py", "_compared"),  # the author's digests
    ],
)
def test_what_must_be_compared_in_constant_time_is(sources, path, function):
    """No clock can show that within a test; so it is read."""
    [source] = [one for one in sources if one.path == path]
    calls = [
        ast.unparse(call.func)
        for found in source.functions()
        if found.name == function
        for call in ast.walk(found)
        if isinstance(call, ast.Call)
    ]
    assert "hmac.compare_digest" in calls


def test_a_must_that_nobody_shows_would_be_noticed():
    assert list(
        musts("A reader MUST sing. It MUST NOT dance. It may rest.\nMUST and MUST NOT are those of")
    ) == [
        "A reader MUST sing.",
        "It MUST NOT dance.",
    ]
    assert not RULE.match("A reader MUST sing.")
    assert RULE.match("- **9.9** A reader MUST sing.")
