package trustkit.admission.rules.accelerator

# METADATA
# title: What computes on an accelerator names its model
# description: >-
#   An object that asks for a GPU, or another accelerator, and names no model
#   that we can see will fetch one by a road that nobody checked.
# custom:
#   code: unresolved-gpu
#   remedy: name the model this pod computes with, by a pinned trust:// reference
#   in_force_since: 2026-11-25
violation contains {
	"code": "unresolved-gpu",
	"message": "the object asks for an accelerator and names no model",
	"remedy": rego.metadata.rule().custom.remedy,
} if {
	asks_in_vain
}

asks_in_vain if {
	some place in input.unresolved
	place.code == "unresolved-gpu"
}

# The extractor says so itself; this does not rely on it.
asks_in_vain if {
	not input.object.gpu == false
	count(input.models) == 0
	count(input.unresolved) == 0
}
