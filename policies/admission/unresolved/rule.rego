package trustkit.admission.rules.unresolved

# METADATA
# title: Nothing stays unresolved
# description: >-
#   A place that names a model in a way that cannot be read (a variable from
#   elsewhere, code, a volume that does not say) is refused: most holes of
#   comparable webhooks were places that nobody looked at.
# custom:
#   code: unresolved-model
#   remedy: name the model in the object itself, by a pinned trust:// reference
#   in_force_since: 2026-11-25
violation contains {
	"code": "unresolved-model",
	"message": concat(": ", [place.path, place.reason]),
	"remedy": rego.metadata.rule().custom.remedy,
} if {
	some place in input.unresolved
	not place.code == "unresolved-gpu"
}
