package trustkit.admission.rules.unresolved_test

import data.trustkit.admission.rules.unresolved
import data.trustkit.lib.examples

place := {"path": "spec.containers[0].env[0]", "reason": "it comes from a ConfigMap", "code": "unresolved-model"}

with_places(places) := object.union(examples.admission, {"unresolved": places})

test_everything_was_read if {
	count(unresolved.violation) == 0 with input as examples.admission
}

test_a_place_that_was_not if {
	some violation in unresolved.violation with input as with_places([place])
	violation.code == "unresolved-model"
	violation.message == "spec.containers[0].env[0]: it comes from a ConfigMap"
	violation.remedy != ""
}

test_a_code_nobody_knows_is_no_excuse if {
	count(unresolved.violation) == 1 with input as with_places([object.union(place, {"code": "fine"})])
	count(unresolved.violation) == 1 with input as with_places([object.remove(place, ["code"])])
}

test_an_accelerator_is_another_rule_s if {
	count(unresolved.violation) == 0 with input as with_places([object.union(place, {"code": "unresolved-gpu"})])
}
