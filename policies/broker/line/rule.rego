package trustkit.broker.rules.line

import data.trustkit.lib.grants

# METADATA
# title: The grant gives this line
# description: >-
#   A line is the name under which versions of one model are published. What is
#   granted is exact: `acme/tiny-llm` gives nothing of `acme/tiny-llm-2`.
# custom:
#   code: line-not-granted
#   remedy: ask the operator of the broker to add the line to the grant
#   in_force_since: 2026-11-25
violation contains {
	"code": "line-not-granted",
	"message": "no grant of this workload gives this model line",
	"remedy": rego.metadata.rule().custom.remedy,
} if {
	count(grants.of_peer) > 0
	count(grants.of_line) == 0
}
