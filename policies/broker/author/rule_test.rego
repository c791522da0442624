package trustkit.broker.rules.author_test

import data.trustkit.broker.rules.author
import data.trustkit.lib.examples

refused(facts) if {
	{violation.code | some violation in author.violation} == {"author-not-granted"} with input as facts
}

test_granted if {
	count(author.violation) == 0 with input as examples.release
}

test_one_of_several_is_enough if {
	artifact := object.union(examples.evidence, {"authors": ["stranger", "training"]})
	count(author.violation) == 0 with input as object.union(examples.release, {"artifact": artifact})
}

test_another_author if {
	refused(examples.with_grants([object.union(examples.grant, {"authors": ["stranger"]})]))
	refused(examples.with_grants([object.union(examples.grant, {"authors": []})]))
	refused(object.union(examples.release, {"artifact": {"authors": []}}))
}

test_author_and_publisher_in_two_grants if {
	one := object.union(examples.grant, {"authors": []})
	two := object.union(examples.grant, {"publishers": []})
	refused(examples.with_grants([one, two]))
}

test_both_missing_are_both_said if {
	refused(examples.with_grants([object.union(examples.grant, {"publishers": [], "authors": []})]))
}

test_the_author_is_not_blamed_for_the_publisher if {
	grant := object.union(examples.grant, {"publishers": []})
	count(author.violation) == 0 with input as examples.with_grants([grant])
}

test_without_the_line_there_is_no_author_to_speak_of if {
	count(author.violation) == 0 with input as examples.with_grants([])
}
