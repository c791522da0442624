"""WHO USES a model: any Kubernetes object to model references, as a pure function.

The door is `trustkit.workloads.extract.references`. Where models lie and what they
look like is found by shape and by data (``table.v1.yaml``, which
`trustkit.workloads.extension` lets users add to); what needs code is a small named
resolver in a module of its own. Nothing here opens a connection, believes an
annotation, or passes over what it does not understand: that becomes *unresolved*.
"""
