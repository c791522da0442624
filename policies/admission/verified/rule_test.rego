package trustkit.admission.rules.verified_test

import data.trustkit.admission.rules.verified
import data.trustkit.lib.examples

test_a_verified_model if {
	count(verified.violation) == 0 with input as examples.admission
}

test_no_model if {
	count(verified.violation) == 0 with input as examples.with_models([])
}

test_a_reason_is_passed_on if {
	verified.violation == {{
		"code": "not-pinned",
		"message": "spec.containers[0].args[1]: the reference names no digest",
		"remedy": "append the digest",
	}} with input as examples.with_models([examples.model, examples.refused_model])
}

test_what_else_a_verified_model_says_is_another_rule_s if {
	odd := object.union(examples.model, {"code": "odd", "message": "odd", "remedy": "odd"})
	count(verified.violation) == 0 with input as examples.with_models([odd])
}

test_without_a_reason if {
	silent := object.union(examples.refused_model, {"code": "", "message": "", "remedy": ""})
	some violation in verified.violation with input as examples.with_models([silent])
	violation.code == "not-verified"
	violation.remedy != ""
}

test_only_verified_is_verified if {
	every outcome in ["refused", "unavailable", "unresolved", "Verified", "", true, null] {
		odd := object.union(examples.model, {"outcome": outcome})
		count(verified.violation) == 1 with input as examples.with_models([odd])
	}
	without := object.remove(examples.model, ["outcome"])
	count(verified.violation) == 1 with input as examples.with_models([without])
}

test_every_model_counts if {
	other := object.union(examples.refused_model, {"path": "spec.initContainers[0].args[0]"})
	count(verified.violation) == 2 with input as examples.with_models([examples.refused_model, examples.model, other])
}
