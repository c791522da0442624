# METADATA
# title: Which grants speak for a request
# description: >-
#   A grant is a whole: the line of one and the publisher of another do not add
#   up to anything. Identity and line are exact, without patterns.
package trustkit.lib.grants

# Grants of exactly this SPIFFE ID.
of_peer contains grant if {
	some grant in input.grants
	grant.spiffe_id == input.peer.spiffe_id
}

# Of these, the ones that give the line.
of_line contains grant if {
	some grant in of_peer
	input.artifact.line in grant.lines
}

# Of these, the ones that name a publisher who signed.
of_publisher contains grant if {
	some grant in of_line
	some publisher in input.artifact.publishers
	publisher in grant.publishers
}

# Of those of the line, the ones that name an author who signed.
of_author contains grant if {
	some grant in of_line
	some author in input.artifact.authors
	author in grant.authors
}
