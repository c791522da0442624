package trustkit.admission.rules.facts

import data.trustkit.lib.facts

# METADATA
# title: Facts are of the form these rules know
# description: >-
#   Rules object to what they see. So that nothing is overlooked because it is
#   absent, misspelt or of another type, facts of any other form are refused whole.
# custom:
#   code: unknown-facts
#   remedy: report this; the webhook and its rules do not fit each other
#   in_force_since: 2026-11-25
violation contains {
	"code": "unknown-facts",
	"message": "the facts are not of the form that the rules of admission know",
	"remedy": rego.metadata.rule().custom.remedy,
} if {
	not known
}

known if {
	input.version == facts.version
	input.action == "admit"
	subject(input.object)
	is_array(input.models)
	every entry in input.models {
		model(entry)
	}
	is_array(input.unresolved)
	every entry in input.unresolved {
		place(entry)
	}
}

subject(value) if {
	is_string(value.kind)
	is_string(value.namespace)
	is_string(value.name)
	is_string(value.operation)
	is_string(value.subresource)
	is_string(value.service_account)
	is_boolean(value.gpu)
	facts.strings(value.reserved_annotations)
}

model(value) if {
	is_string(value.path)
	is_string(value.reference)
	is_string(value.scheme)
	is_boolean(value.pinned)
	value.outcome in facts.outcomes
	is_string(value.code)
	is_string(value.message)
	is_string(value.remedy)
	evidence(value)
}

# Evidence comes with a verified model, and with no other; a reason comes with any other.
evidence(value) if {
	value.outcome == "verified"
	value.code == ""
	facts.evidence(value.evidence)
}

evidence(value) if {
	value.outcome != "verified"
	is_null(value.evidence)
}

place(value) if {
	is_string(value.path)
	is_string(value.reason)
	is_string(value.code)
}
