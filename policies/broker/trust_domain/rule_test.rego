package trustkit.broker.rules.trust_domain_test

import data.trustkit.broker.rules.trust_domain
import data.trustkit.lib.examples

refused(peer) if {
	violations := trust_domain.violation with input as object.union(examples.release, {"peer": peer})
	{violation.code | some violation in violations} == {"foreign-trust-domain"}
}

test_native if {
	count(trust_domain.violation) == 0 with input as examples.release
}

test_foreign if {
	every id in ["spiffe://demo.test.evil/x", "spiffe://evil/demo.test/x", "spiffe://demo.test", "https://demo.test/x"] {
		refused({"spiffe_id": id})
	}
}

test_unknown if {
	refused({"trust_domain": "", "spiffe_id": "spiffe:///x"})
	refused({"trust_domain": null})
	refused({"spiffe_id": 1})
}
