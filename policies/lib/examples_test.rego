# Facts that the tests of rules start from; they are no part of the compiled rules.
package trustkit.lib.examples

# The same object with another value for one member, which is replaced whole (`object.union` would merge).
put(object_, name, value) := object.union(object.remove(object_, [name]), {name: value})

digest := "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

evidence := {
	"line": "acme/tiny-llm",
	"version": 3,
	"manifest_digest": digest,
	"descriptor_digest": "sha256:fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210",
	"publishers": ["registry"],
	"authors": ["training"],
	"sealed": true,
}

plain_evidence := object.union(evidence, {
	"line": "",
	"version": 0,
	"descriptor_digest": "",
	"publishers": [],
	"sealed": false,
})

model := {
	"path": "spec.containers[0].args[1]",
	"reference": concat("@", ["trust://store.ml:8443/acme/tiny-llm", digest]),
	"scheme": "trust",
	"pinned": true,
	"confidence": "certain",
	"outcome": "verified",
	"code": "",
	"message": "",
	"remedy": "",
	"evidence": evidence,
}

refused_model := object.union(model, {
	"reference": "trust://store.ml:8443/acme/tiny-llm:latest",
	"pinned": false,
	"outcome": "refused",
	"code": "not-pinned",
	"message": "the reference names no digest",
	"remedy": "append the digest",
	"evidence": null,
})

subject := {
	"kind": "Pod",
	"namespace": "ml",
	"name": "server",
	"operation": "CREATE",
	"subresource": "",
	"service_account": "default",
	"gpu": true,
	"reserved_annotations": [],
}

# What the webhook asks of a pod that names one sealed model.
admission := {
	"version": "trustkit.dev/facts/v1",
	"action": "admit",
	"object": subject,
	"models": [model],
	"unresolved": [],
}

# The same with these models.
with_models(models) := put(admission, "models", models)

grant := {
	"spiffe_id": "spiffe://demo.test/ns/ml/sa/server",
	"lines": ["acme/other", "acme/tiny-llm"],
	"publishers": ["registry"],
	"authors": ["training"],
}

# What the broker asks of a workload that wants one key.
release := {
	"version": "trustkit.dev/facts/v1",
	"action": "release",
	"peer": {"spiffe_id": "spiffe://demo.test/ns/ml/sa/server", "trust_domain": "demo.test"},
	"artifact": evidence,
	"grants": [grant],
}

# The same with these grants.
with_grants(grants) := put(release, "grants", grants)
