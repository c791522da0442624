package trustkit.lib.grants_test

import data.trustkit.lib.examples
import data.trustkit.lib.grants

other := object.union(examples.grant, {"spiffe_id": "spiffe://demo.test/ns/ml/sa/other"})

test_all_fit if {
	grants.of_peer == {examples.grant} with input as examples.release
	grants.of_line == {examples.grant} with input as examples.release
	grants.of_publisher == {examples.grant} with input as examples.release
	grants.of_author == {examples.grant} with input as examples.release
}

test_the_identity_is_exact if {
	every id in [
		"spiffe://demo.test/ns/ml/sa/serve",
		"spiffe://demo.test/ns/ml/sa/server/x",
		"spiffe://demo.test/ns/ml/sa/Server",
		"spiffe://demo.test/ns/ml/sa/*",
		"spiffe://demo.test",
		"",
		null,
	] {
		grant := object.union(examples.grant, {"spiffe_id": id})
		count(grants.of_peer) == 0 with input as examples.with_grants([grant])
	}
}

test_the_line_is_exact if {
	every line in ["acme", "acme/tiny", "acme/tiny-llm/x", "acme/*", "*", ""] {
		grant := object.union(examples.grant, {"lines": [line]})
		count(grants.of_line) == 0 with input as examples.with_grants([grant])
	}
}

test_somebody_else_s_grant_gives_nothing if {
	count(grants.of_line) == 0 with input as examples.with_grants([other])
}

test_grants_do_not_add_up if {
	line := object.union(examples.grant, {"publishers": [], "authors": []})
	rest := object.union(examples.grant, {"lines": []})
	grants.of_peer == {line, rest} with input as examples.with_grants([line, rest])
	grants.of_line == {line} with input as examples.with_grants([line, rest])
	count(grants.of_publisher) == 0 with input as examples.with_grants([line, rest])
	count(grants.of_author) == 0 with input as examples.with_grants([line, rest])
}
