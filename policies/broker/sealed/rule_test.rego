package trustkit.broker.rules.sealed_test

import data.trustkit.broker.rules.sealed
import data.trustkit.lib.examples

refused(artifact) if {
	violations := sealed.violation with input as object.union(examples.release, {"artifact": artifact})
	{violation.code | some violation in violations} == {"not-sealed"}
}

test_sealed if {
	count(sealed.violation) == 0 with input as examples.release
}

test_plain if {
	refused(examples.plain_evidence)
	refused({"sealed": false})
	refused({"sealed": "true"})
	refused({"descriptor_digest": ""})
	refused({"line": ""})
}
