package trustkit.admission.rules.annotations_test

import data.trustkit.admission.rules.annotations
import data.trustkit.lib.examples

with_annotations(names) := object.union(
	examples.admission,
	{"object": object.union(examples.subject, {"reserved_annotations": names})},
)

test_none if {
	count(annotations.violation) == 0 with input as examples.admission
}

test_each_is_named if {
	violations := annotations.violation with input as with_annotations(["trustkit.dev/verified", "trustkit.dev/x"])
	{violation.code | some violation in violations} == {"reserved-annotation"}
	{violation.message | some violation in violations} == {
		"the annotation trustkit.dev/verified is reserved",
		"the annotation trustkit.dev/x is reserved",
	}
}
