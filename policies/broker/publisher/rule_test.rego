package trustkit.broker.rules.publisher_test

import data.trustkit.broker.rules.publisher
import data.trustkit.lib.examples

refused(facts) if {
	{violation.code | some violation in publisher.violation} == {"publisher-not-granted"} with input as facts
}

test_granted if {
	count(publisher.violation) == 0 with input as examples.release
}

test_one_of_several_is_enough if {
	artifact := object.union(examples.evidence, {"publishers": ["stranger", "registry"]})
	count(publisher.violation) == 0 with input as object.union(examples.release, {"artifact": artifact})
}

test_another_publisher if {
	refused(examples.with_grants([object.union(examples.grant, {"publishers": ["stranger"]})]))
	refused(examples.with_grants([object.union(examples.grant, {"publishers": []})]))
	refused(object.union(examples.release, {"artifact": {"publishers": []}}))
}

test_without_the_line_there_is_no_publisher_to_speak_of if {
	count(publisher.violation) == 0 with input as examples.with_grants([])
}
