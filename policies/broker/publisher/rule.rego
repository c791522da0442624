package trustkit.broker.rules.publisher

import data.trustkit.lib.grants

# METADATA
# title: The grant names a publisher who signed
# description: >-
#   The policy says whom we believe at all; the grant says whom this workload
#   believes for this line. A publisher of another line opens nothing here.
# custom:
#   code: publisher-not-granted
#   remedy: have the model sealed by a publisher of the grant, or ask the operator to add this one
#   in_force_since: 2026-11-25
violation contains {
	"code": "publisher-not-granted",
	"message": "no grant of this workload for this line names a publisher who signed it",
	"remedy": rego.metadata.rule().custom.remedy,
} if {
	count(grants.of_line) > 0
	count(grants.of_publisher) == 0
}
