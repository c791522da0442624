package trustkit.admission.rules.facts_test

import data.trustkit.admission.rules.facts
import data.trustkit.lib.examples

refused(facts_) if {
	{violation.code | some violation in facts.violation} == {"unknown-facts"} with input as facts_
}

place := {"path": "spec", "reason": "why", "code": "unresolved-model"}

# Every document that differs from a good one in one member: absent, null, a number, or of an unknown value.
broken(good) := {changed |
	some name, _ in good
	some changed in {
		object.remove(good, [name]),
		examples.put(good, name, null),
		examples.put(good, name, 7),
		examples.put(good, name, {"x": 1}),
		examples.put(good, name, {}),
	}
}

test_good_facts if {
	count(facts.violation) == 0 with input as examples.admission
	count(facts.violation) == 0 with input as examples.with_models([])
	count(facts.violation) == 0 with input as examples.with_models([examples.model, examples.refused_model])
	count(facts.violation) == 0 with input as object.union(examples.admission, {"unresolved": [place]})
}

test_members_may_be_added if {
	more := object.union(examples.model, {"since": 1})
	count(facts.violation) == 0 with input as object.union(examples.with_models([more]), {"more": []})
}

test_every_member_counts if {
	every changed in broken(examples.admission) {
		refused(changed)
	}
	every changed in broken(examples.subject) {
		refused(examples.put(examples.admission, "object", changed))
	}
	every changed in broken(object.remove(examples.model, ["confidence", "evidence"])) {
		refused(examples.with_models([object.union(changed, {"evidence": examples.evidence})]))
	}
	every changed in broken(object.remove(examples.refused_model, ["confidence", "evidence"])) {
		refused(examples.with_models([object.union(changed, {"evidence": null})]))
	}
	every changed in broken(object.remove(examples.evidence, ["version"])) {
		versioned := object.union(changed, {"version": 3})
		refused(examples.with_models([examples.put(examples.model, "evidence", versioned)]))
	}
	every changed in broken(place) {
		refused(object.union(examples.admission, {"unresolved": [changed]}))
	}
}

test_another_version_or_action if {
	refused(object.union(examples.admission, {"version": "trustkit.dev/facts/v2"}))
	refused(object.union(examples.admission, {"action": "release"}))
	refused(examples.release)
}

test_evidence_is_there_exactly_where_a_model_was_verified if {
	refused(examples.with_models([object.union(examples.model, {"evidence": null})]))
	refused(examples.with_models([object.union(examples.model, {"outcome": "refused"})]))
	refused(examples.with_models([object.union(examples.model, {"outcome": "perhaps", "evidence": null})]))
	refused(examples.with_models([object.union(examples.model, {"code": "odd"})]))
}

test_nothing_at_all if {
	refused({})
	refused(null)
	refused([])
	refused("facts")
}
