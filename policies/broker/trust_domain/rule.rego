package trustkit.broker.rules.trust_domain

# METADATA
# title: The workload is of the broker's own trust domain
# description: >-
#   TLS admits only what the trust bundle vouches for. Should a bundle hold a
#   foreign authority one day, a foreign identity still gets no key.
# custom:
#   code: foreign-trust-domain
#   remedy: ask the broker of your own trust domain
#   in_force_since: 2026-11-25
violation contains {
	"code": "foreign-trust-domain",
	"message": "the workload is not of the trust domain of this broker",
	"remedy": rego.metadata.rule().custom.remedy,
} if {
	not native
}

native if {
	input.peer.trust_domain != ""
	startswith(input.peer.spiffe_id, concat("", ["spiffe://", input.peer.trust_domain, "/"]))
}
