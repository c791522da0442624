package trustkit.admission_test

import data.trustkit.admission
import data.trustkit.lib.examples

test_allowed if {
	admission.decision == {"allowed": true, "violations": []} with input as examples.admission
}

test_nothing_to_object_to if {
	quiet := object.union(examples.with_models([]), {"object": object.union(examples.subject, {"gpu": false})})
	admission.decision == {"allowed": true, "violations": []} with input as quiet
}

test_denied_with_every_reason_once_and_in_order if {
	subject := object.union(examples.subject, {"reserved_annotations": ["trustkit.dev/verified"]})
	facts := object.union(
		examples.with_models([examples.refused_model, examples.refused_model]),
		{"object": subject},
	)
	decision := admission.decision with input as facts
	decision.allowed == false
	[violation.code | some violation in decision.violations] == ["not-pinned", "reserved-annotation"]
}

test_nothing_is_denied if {
	every nothing in [{}, null, [], "", false, examples.release] {
		decision := admission.decision with input as nothing
		decision.allowed == false
		count(decision.violations) > 0
	}
	admission.decision.allowed == false
}

test_every_rule_is_heard if {
	every name in ["facts", "verified", "pinned", "signers", "unresolved", "accelerator", "annotations"] {
		data.trustkit.admission.rules[name]
	}
	said := {"code": "of-its-own", "message": "no", "remedy": ""}
	decision := admission.decision with input as examples.admission with data.trustkit.admission.rules.pinned.violation as {said}
	decision == {"allowed": false, "violations": [said]}
}

test_no_answer_is_a_denial if {
	decision := admission.decision with input as examples.admission with admission.violations as null
	decision.allowed == false
	decision.violations[0].code == "no-decision"
}
