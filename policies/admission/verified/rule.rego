package trustkit.admission.rules.verified

# METADATA
# title: Every model is verified
# description: >-
#   A model counts once its signatures and digests were verified under the
#   policy. Why one was not is passed on as verification said it, with its code
#   and remedy; a model without a reason is as little verified as one with.
# custom:
#   code: not-verified
#   remedy: have the model signed and published again, or ask the owner of the policy
#   in_force_since: 2026-11-25
violation contains {
	"code": "not-verified",
	"message": concat(": ", [model.path, "this model was not verified"]),
	"remedy": rego.metadata.rule().custom.remedy,
} if {
	some model in input.models
	not model.outcome == "verified"
	model.code == ""
}

violation contains {
	"code": model.code,
	"message": concat(": ", [model.path, model.message]),
	"remedy": model.remedy,
} if {
	some model in input.models
	not model.outcome == "verified"
	model.code != ""
}
