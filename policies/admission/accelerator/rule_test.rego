package trustkit.admission.rules.accelerator_test

import data.trustkit.admission.rules.accelerator
import data.trustkit.lib.examples

quiet := examples.put(examples.with_models([]), "object", object.union(examples.subject, {"gpu": false}))

place(code) := {"path": "spec", "reason": "why", "code": code}

refused(facts) if {
	{violation.code | some violation in accelerator.violation} == {"unresolved-gpu"} with input as facts
}

test_an_accelerator_with_a_model if {
	count(accelerator.violation) == 0 with input as examples.admission
}

test_neither if {
	count(accelerator.violation) == 0 with input as quiet
}

test_the_extractor_says_so if {
	refused(object.union(quiet, {"unresolved": [place("unresolved-gpu")]}))
}

test_nobody_says_so if {
	refused(examples.with_models([]))
	refused(examples.put(quiet, "object", {}))
	refused(examples.put(quiet, "object", {"gpu": "false"}))
}

test_another_unresolved_place_is_another_rule_s if {
	facts := object.union(examples.with_models([]), {"unresolved": [place("unresolved-model")]})
	count(accelerator.violation) == 0 with input as facts
}
