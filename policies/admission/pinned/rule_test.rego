package trustkit.admission.rules.pinned_test

import data.trustkit.admission.rules.pinned
import data.trustkit.lib.examples

refused(changes) if {
	changed := object.union(examples.model, changes)
	{violation.code | some violation in pinned.violation} == {"not-pinned"} with input as examples.with_models([changed])
}

test_a_pinned_model if {
	count(pinned.violation) == 0 with input as examples.admission
}

test_a_model_that_was_not_verified_is_another_rule_s if {
	count(pinned.violation) == 0 with input as examples.with_models([examples.refused_model])
}

test_not_pinned if {
	refused({"pinned": false})
	refused({"pinned": null})
	refused({"pinned": "true"})
}

test_pinned_to_something_else if {
	refused({"reference": "trust://store.ml:8443/acme/tiny-llm"})
	refused({"reference": "trust://store.ml:8443/acme/tiny-llm@sha256:00"})
	refused({"reference": concat("", [examples.model.reference, ":tag"])})
	refused({"evidence": null})
}
