# METADATA
# title: The form of facts
# description: >-
#   What rules rely on, said once. Members may be added to facts, so more than
#   these is no fault; less, or another type, is.
package trustkit.lib.facts

version := "trustkit.dev/facts/v1"

outcomes := {"verified", "refused", "unavailable", "unresolved"}

strings(value) if {
	is_array(value)
	every item in value {
		is_string(item)
	}
}

# A sealed artifact is a version of a line, with a descriptor.
evidence(value) if {
	value.sealed == true
	digest(value.manifest_digest)
	digest(value.descriptor_digest)
	is_string(value.line)
	value.line != ""
	is_number(value.version)
	value.version > 0
	strings(value.publishers)
	strings(value.authors)
}

# A plain one is not, and has nothing of it.
evidence(value) if {
	value.sealed == false
	digest(value.manifest_digest)
	value.descriptor_digest == ""
	value.line == ""
	value.version == 0
	value.publishers == []
	strings(value.authors)
}

digest(value) if {
	startswith(value, "sha256:")
	count(value) == count("sha256:") + 64
}
