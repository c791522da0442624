package trustkit.broker.rules.facts

import data.trustkit.lib.facts

# METADATA
# title: Facts are of the form these rules know
# description: >-
#   Rules object to what they see. So that nothing is overlooked because it is
#   absent, misspelt or of another type, facts of any other form are refused
#   whole, and so is any action but the release of a key.
# custom:
#   code: unknown-facts
#   remedy: report this; the broker and its rules, or a grant, do not fit each other
#   in_force_since: 2026-11-25
violation contains {
	"code": "unknown-facts",
	"message": "the facts are not of the form that the rules of the broker know",
	"remedy": rego.metadata.rule().custom.remedy,
} if {
	not known
}

known if {
	input.version == facts.version
	input.action == "release"
	is_string(input.peer.spiffe_id)
	is_string(input.peer.trust_domain)
	facts.evidence(input.artifact)
	is_array(input.grants)
	every entry in input.grants {
		grant(entry)
	}
}

grant(value) if {
	is_string(value.spiffe_id)
	facts.strings(value.lines)
	facts.strings(value.publishers)
	facts.strings(value.authors)
}
