"""Every place of a schema in which a text can stand, as paths of a short grammar.

``a.b`` is a member, ``a[]`` an entry of a list, ``a{}`` a member of a map whose names are free, and ``a{?}``
a place without a schema: anything can lie below it. What many schemas embed is a *class*, such as
``@PodSpec``. A class is walked on its own, and each place where it lies says its name. What embeds one may
have members of its own beside it, as KServe's predictor has.

Schemas come as Kubernetes serves them (OpenAPI with definitions), as CustomResourceDefinitions, or as samples
of ours: ``text`` is a string, ``any`` has no schema, ``[x]`` is a list, ``{"{}": x}`` a map, ``"@Class"`` a
class, and ``+: "@Class"`` says that an object has the members of a class beside its own.
"""

MARKS = {
    "@PodSpec": {"containers", "volumes", "tolerations"},
    "@Container": {"image", "args", "command", "env", "volumeMounts"},
    "@Volume": {"hostPath", "persistentVolumeClaim", "emptyDir"},
    "@ObjectMeta": {"annotations", "labels", "finalizers"},
    "@PersistentVolumeSpec": {"persistentVolumeReclaimPolicy", "claimRef", "capacity"},
    "@RayClusterSpec": {"headGroupSpec", "workerGroupSpecs"},
}
"""By which members each class is known, whatever its schema is called."""
KEPT = "x-kubernetes-preserve-unknown-fields"
EVERY = {"apiVersion": "text", "kind": "text", "metadata": "any", "status": "any"}


class Walk:
    """Walks schemas and keeps what it found.

    Attributes:
        found: The paths of each kind and class; with each the class that lies there, ``""`` for a text.
    """

    def __init__(self, members, definitions=None):
        """Say which members each class has, and what references lead to."""
        self.found = {}
        self._members = members
        self._definitions = definitions or {}
        self._walked = set()

    def kind(self, name, schema):
        """Walk a kind; of one with several versions, every version."""
        self._node(schema, self.found.setdefault(name, {}), "")

    def definition(self, document):
        """Walk the kind of a CustomResourceDefinition, and return its name."""
        spec = document["spec"]
        name = f"{spec['group']}/{spec['names']['kind']}"
        for version in spec["versions"]:
            self.kind(name, version["schema"]["openAPIV3Schema"])
        return name

    def samples(self, document):
        """Walk samples of kinds and of classes; of a kind, without what every kind has."""
        for name, sample in document.items():
            if name.startswith("@"):
                self.kind(name, sampled(sample))
            elif not name.startswith("_"):
                self.kind(name, sampled({**EVERY, **sample}))

    def _node(self, schema, found, path):
        schema = self._resolved(schema)
        properties = schema.get("properties", {})
        name = schema.get("class") or class_of(properties) if path else ""
        if name:
            found[path] = name
            self._class(name, schema)
        for key, value in properties.items():
            if not name or key not in self._members[name]:
                self._node(value, found, f"{path}.{key}" if path else key)
        if not name or schema.get(KEPT):
            self._end(schema, found, path)

    def _class(self, name, schema):
        """Walk a class where it lies; what one schema lacks another one has."""
        if id(schema) not in self._walked:
            self._walked.add(id(schema))
            found = {}
            for key, value in schema.get("properties", {}).items():
                if key in self._members[name]:
                    self._node(value, found, key)
            if found:
                self.found.setdefault(name, {}).update(found)

    def _end(self, schema, found, path):
        below = schema.get("additionalProperties")
        if schema.get("type") == "array":
            self._node(schema["items"], found, f"{path}[]")
        elif isinstance(below, dict):
            self._node(below, found, path + "{}")
        elif schema.get("type") == "string" or is_text_too(schema):
            found[path] = ""
        elif is_open(schema):
            found[path + "{?}"] = ""

    def _resolved(self, schema):
        while "$ref" in schema:
            schema = self._definitions[schema["$ref"].rpartition("/")[2]]
        return schema


def class_of(properties):
    """Return the class that an object with these members is, or ``""``."""
    return next((name for name, marks in MARKS.items() if marks <= set(properties)), "")


def is_text_too(schema):
    """Say whether a text may stand beside a number: a port by its name, a quantity."""
    return bool(schema.get("x-kubernetes-int-or-string"))


def is_open(schema):
    """Say whether anything may stand here: no schema, or an object of which no member is known."""
    bare = schema.get("type") in {None, "object"} and not schema.get("properties")
    return bare or schema.get(KEPT, False)


def sampled(sample):
    """Return the schema of a sample."""
    if isinstance(sample, list):
        [entry] = sample
        return {"type": "array", "items": sampled(entry)}
    if isinstance(sample, dict):
        if set(sample) == {"{}"}:
            return {"type": "object", "additionalProperties": sampled(sample["{}"])}
        properties = {key: sampled(value) for key, value in sample.items() if key != "+"}
        return {"type": "object", "properties": properties, "class": sample.get("+", "")}
    if sample.startswith("@"):
        return {"class": sample}
    return {"text": {"type": "string"}, "any": {}}[sample]
