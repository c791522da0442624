package trustkit.broker.rules.grant_test

import data.trustkit.broker.rules.grant
import data.trustkit.lib.examples

refused(facts) if {
	{violation.code | some violation in grant.violation} == {"no-grant"} with input as facts
}

test_granted if {
	count(grant.violation) == 0 with input as examples.release
}

test_no_grant if {
	refused(examples.with_grants([]))
	refused(examples.with_grants([object.union(examples.grant, {"spiffe_id": "spiffe://demo.test/other"})]))
	refused(object.remove(examples.release, ["grants"]))
	refused(object.remove(examples.release, ["peer"]))
}
