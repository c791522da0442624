package trustkit.broker_test

import data.trustkit.broker
import data.trustkit.lib.examples

codes(facts) := [violation.code | some violation in decision.violations] if {
	decision := broker.decision with input as facts
	decision.allowed == false
}

test_allowed if {
	broker.decision == {"allowed": true, "violations": []} with input as examples.release
}

test_denied if {
	codes(examples.with_grants([])) == ["no-grant"]
	codes(examples.with_grants([object.union(examples.grant, {"lines": []})])) == ["line-not-granted"]
	codes(examples.with_grants([object.union(examples.grant, {"publishers": [], "authors": []})])) == [
		"author-not-granted",
		"publisher-not-granted",
	]
}

# A plain artifact has no line, so no grant can give it either.
test_plain if {
	codes(object.union(examples.release, {"artifact": examples.plain_evidence})) == ["line-not-granted", "not-sealed"]
}

test_whatever_two_grants_say_only_one_that_says_all_allows if {
	parts := [
		object.union(examples.grant, {"spiffe_id": "spiffe://demo.test/other"}),
		object.union(examples.grant, {"lines": []}),
		object.union(examples.grant, {"publishers": []}),
		object.union(examples.grant, {"authors": []}),
	]
	count(codes(examples.with_grants(parts))) > 0
	decision := broker.decision with input as examples.with_grants(array.concat(parts, [examples.grant]))
	decision.allowed == true
}

test_nothing_is_denied if {
	every nothing in [{}, null, [], "", false, examples.admission] {
		decision := broker.decision with input as nothing
		decision.allowed == false
		count(decision.violations) > 0
	}
	broker.decision.allowed == false
}

test_every_rule_is_heard if {
	every name in ["facts", "trust_domain", "sealed", "grant", "line", "publisher", "author"] {
		data.trustkit.broker.rules[name]
	}
	said := {"code": "of-its-own", "message": "no", "remedy": ""}
	decision := broker.decision with input as examples.release with data.trustkit.broker.rules.line.violation as {said}
	decision == {"allowed": false, "violations": [said]}
}

test_no_answer_is_a_denial if {
	decision := broker.decision with input as examples.release with broker.violations as null
	decision.allowed == false
	decision.violations[0].code == "no-decision"
}
