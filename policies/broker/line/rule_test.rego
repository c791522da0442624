package trustkit.broker.rules.line_test

import data.trustkit.broker.rules.line
import data.trustkit.lib.examples

refused(facts) if {
	{violation.code | some violation in line.violation} == {"line-not-granted"} with input as facts
}

test_granted if {
	count(line.violation) == 0 with input as examples.release
}

test_another_line if {
	refused(examples.with_grants([object.union(examples.grant, {"lines": ["acme/tiny-llm-2"]})]))
	refused(examples.with_grants([object.union(examples.grant, {"lines": []})]))
	refused(object.remove(examples.release, ["artifact"]))
}

test_without_a_grant_there_is_no_line_to_speak_of if {
	count(line.violation) == 0 with input as examples.with_grants([])
}
