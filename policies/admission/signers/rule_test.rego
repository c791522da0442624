package trustkit.admission.rules.signers_test

import data.trustkit.admission.rules.signers
import data.trustkit.lib.examples

codes(evidence) := {violation.code | some violation in violations} if {
	model := examples.put(examples.model, "evidence", evidence)
	violations := signers.violation with input as examples.with_models([model])
}

test_signed_by_both if {
	codes(examples.evidence) == set()
}

test_a_plain_model_has_no_publisher if {
	codes(examples.plain_evidence) == set()
}

test_nobody_signed if {
	every nobody in [[], [""], [1], {}, {"a": "training"}, null, "training"] {
		codes(object.union(examples.evidence, {"authors": nobody})) == {"no-author"}
		codes(object.union(examples.evidence, {"publishers": nobody})) == {"no-publisher"}
		codes(object.union(examples.plain_evidence, {"authors": nobody})) == {"no-author"}
	}
	codes(object.remove(examples.evidence, ["authors", "publishers"])) == {"no-author", "no-publisher"}
}

test_what_does_not_say_that_it_is_plain_is_held_to_be_sealed if {
	codes(object.remove(examples.plain_evidence, ["sealed"])) == {"no-publisher"}
}

test_a_model_that_was_not_verified_is_another_rule_s if {
	count(signers.violation) == 0 with input as examples.with_models([examples.refused_model])
}
