package trustkit.broker.rules.author

import data.trustkit.lib.grants

# METADATA
# title: The grant names an author who signed
# description: >-
#   As for publishers, and in the same grant: a grant that names the publisher
#   and another that names the author are not one that names both.
# custom:
#   code: author-not-granted
#   remedy: have the model signed by an author of the grant, or ask the operator to add this one
#   in_force_since: 2026-11-25
violation contains {
	"code": "author-not-granted",
	"message": "no grant of this workload for this line and publisher names an author who signed it",
	"remedy": rego.metadata.rule().custom.remedy,
} if {
	count(grants.of_line) > 0
	count(candidates & grants.of_author) == 0
}

# Where no grant names the publisher, which is said elsewhere, authors are looked for in all of the line.
candidates := grants.of_publisher if {
	count(grants.of_publisher) > 0
} else := grants.of_line
