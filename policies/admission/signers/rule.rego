package trustkit.admission.rules.signers

# METADATA
# title: Every verified model has an author
# description: >-
#   Verification counts authors and would have refused; a proof that names none
#   is a fault of ours, and not a reason to let a model in.
# custom:
#   code: no-author
#   remedy: report this; verification let something pass that nobody signed
#   in_force_since: 2026-11-25
violation contains {
	"code": "no-author",
	"message": concat(": ", [model.path, "no author of the policy is named as its signer"]),
	"remedy": rego.metadata.rule().custom.remedy,
} if {
	some model in input.models
	model.outcome == "verified"
	not authored(model)
}

# METADATA
# title: Every sealed model has a publisher
# description: >-
#   As for authors: what was sealed names who answers for the ciphertext. A
#   plain model has no publisher, and says that it is plain.
# custom:
#   code: no-publisher
#   remedy: report this; verification let something pass that nobody published
#   in_force_since: 2026-11-25
violation contains {
	"code": "no-publisher",
	"message": concat(": ", [model.path, "no publisher of the policy is named as its signer"]),
	"remedy": rego.metadata.rule().custom.remedy,
} if {
	some model in input.models
	model.outcome == "verified"
	not model.evidence.sealed == false
	not published(model)
}

# Asked of whole models: `not f(x.y)` is undefined, and so objects to nothing, where x has no y.
authored(model) if {
	somebody(model.evidence.authors)
}

published(model) if {
	somebody(model.evidence.publishers)
}

somebody(names) if {
	is_array(names)
	count(names) > 0
	every name in names {
		is_string(name)
		name != ""
	}
}
