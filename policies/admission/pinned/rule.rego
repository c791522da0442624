package trustkit.admission.rules.pinned

# METADATA
# title: Every verified model is pinned to what was verified
# description: >-
#   A name can be moved after it was checked, a digest cannot. The webhook
#   fetches nothing for a reference without one; should a model be called
#   verified all the same, or under another digest, it is refused here.
# custom:
#   code: not-pinned
#   remedy: append @sha256:<manifest digest>; `trustkit manifest --digest` prints it
#   in_force_since: 2026-11-25
violation contains {
	"code": "not-pinned",
	"message": concat(": ", [model.path, "the reference is not pinned to the manifest that was verified"]),
	"remedy": rego.metadata.rule().custom.remedy,
} if {
	some model in input.models
	model.outcome == "verified"
	not pinned(model)
}

pinned(model) if {
	model.pinned == true
	endswith(model.reference, concat("", ["@", model.evidence.manifest_digest]))
}
