package trustkit.broker.rules.grant

import data.trustkit.lib.grants

# METADATA
# title: A workload has a grant of its own
# description: >-
#   Keys are released to identities that the operator wrote down, letter for
#   letter. Nobody is meant by a pattern, and nobody by default.
# custom:
#   code: no-grant
#   remedy: ask the operator of the broker for a grant to this SPIFFE ID
#   in_force_since: 2026-11-25
violation contains {
	"code": "no-grant",
	"message": "no grant names this SPIFFE ID",
	"remedy": rego.metadata.rule().custom.remedy,
} if {
	count(grants.of_peer) == 0
}
