package trustkit.broker.rules.sealed

# METADATA
# title: Only a sealed model has a key
# description: >-
#   A key is released for a descriptor that a publisher signed and that names
#   the ciphertext. A plain model has neither, so nothing of it can be meant.
# custom:
#   code: not-sealed
#   remedy: seal the model with `trustkit seal`, and ask for the key of that
#   in_force_since: 2026-11-25
violation contains {
	"code": "not-sealed",
	"message": "the artifact is not a sealed one",
	"remedy": rego.metadata.rule().custom.remedy,
} if {
	not sealed
}

sealed if {
	input.artifact.sealed == true
	startswith(input.artifact.descriptor_digest, "sha256:")
	input.artifact.line != ""
}
