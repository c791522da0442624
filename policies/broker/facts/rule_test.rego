package trustkit.broker.rules.facts_test

import data.trustkit.broker.rules.facts
import data.trustkit.lib.examples

refused(facts_) if {
	{violation.code | some violation in facts.violation} == {"unknown-facts"} with input as facts_
}

# Every document that differs from a good one in one member: absent, null, a number or an object.
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

instead(name, value) := examples.put(examples.release, name, value)

test_good_facts if {
	count(facts.violation) == 0 with input as examples.release
	count(facts.violation) == 0 with input as examples.with_grants([])
	count(facts.violation) == 0 with input as object.union(examples.release, {"more": 1})
}

test_every_member_counts if {
	every changed in broken(examples.release) {
		refused(changed)
	}
	every changed in broken(examples.release.peer) {
		refused(instead("peer", changed))
	}
	every changed in broken(object.remove(examples.evidence, ["version"])) {
		refused(instead("artifact", object.union(changed, {"version": 3})))
	}
	every changed in broken(examples.grant) {
		refused(examples.with_grants([examples.grant, changed]))
	}
}

test_another_version_or_action if {
	refused(instead("version", "trustkit.dev/facts/v2"))
	refused(instead("action", "admit"))
	refused(instead("action", "delete"))
	refused(examples.admission)
}

test_nothing_at_all if {
	refused({})
	refused(null)
	refused([])
}
