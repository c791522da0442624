package trustkit.lib.facts_test

import data.trustkit.lib.examples
import data.trustkit.lib.facts

test_strings if {
	facts.strings([])
	facts.strings(["a", "b"])
	not facts.strings(["a", 1])
	not facts.strings("a")
	not facts.strings({"a": "b"})
	not facts.strings(null)
}

test_evidence_of_every_kind if {
	facts.evidence(examples.evidence)
	facts.evidence(examples.plain_evidence)
}

test_evidence_lacks_nothing if {
	every good in [examples.evidence, examples.plain_evidence] {
		every name, _ in good {
			absent := object.remove(good, [name])
			nothing := examples.put(good, name, null)
			odd := examples.put(good, name, [[]])
			not facts.evidence(absent)
			not facts.evidence(nothing)
			not facts.evidence(odd)
		}
	}
	not facts.evidence(null)
}

test_evidence_is_of_one_kind if {
	mixed := [
		examples.put(examples.evidence, "sealed", false),
		examples.put(examples.plain_evidence, "sealed", true),
		examples.put(examples.evidence, "line", ""),
		examples.put(examples.evidence, "version", 0),
		examples.put(examples.evidence, "descriptor_digest", "sha256:00"),
		examples.put(examples.evidence, "descriptor_digest", replace(examples.digest, "sha256", "sha512")),
		examples.put(examples.plain_evidence, "publishers", ["registry"]),
	]
	every value in mixed {
		not facts.evidence(value)
	}
}
