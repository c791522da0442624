package trustkit.admission.rules.annotations

# METADATA
# title: Nobody writes our annotations
# description: >-
#   An annotation that says what only we could know, such as that something was
#   verified, is believed by nobody here; whoever writes it means to be believed.
# custom:
#   code: reserved-annotation
#   remedy: remove the annotation; verdicts are recomputed, never read from the object
#   in_force_since: 2026-11-25
violation contains {
	"code": "reserved-annotation",
	"message": concat(" ", ["the annotation", name, "is reserved"]),
	"remedy": rego.metadata.rule().custom.remedy,
} if {
	some name in input.object.reserved_annotations
}
