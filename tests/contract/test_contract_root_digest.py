"""The OMS root digest covers no names: it is written, compared with what was signed, told; never a key."""

import ast

ALLOWED = {
    "trustkit/artifact/manifest.py": "defines it",
    "trustkit/attest/predicates/model_signature.py": "writes it, and checks the signed one",
    "trustkit/attest/predicates/sealed.py": "writes it into a descriptor, beside the manifest digest",
    "trustkit/verifying/sealed.py": "compares what a descriptor signs, beside the manifest digest",
    "trustkit/workflows/*.py": "passes it to what writes a descriptor",
    "trustkit/cli/*.py": "reports it",
    "trustkit/compat/*.py": "reports it under the name that the reference gives it",
}
NAMES = {"root_digest", "ROOT_DIGEST"}


def mentions(source):
    """Yield nodes that name the root digest: attributes, names, parameters, keywords and dictionary keys."""
    for node in ast.walk(source.tree):
        named = {
            ast.Attribute: lambda n: n.attr,
            ast.Name: lambda n: n.id,
            ast.arg: lambda n: n.arg,
            ast.keyword: lambda n: n.arg,
            ast.FunctionDef: lambda n: n.name,
            ast.Constant: lambda n: n.value if isinstance(n.value, str) else None,
        }.get(type(node))
        if named is not None and named(node) in NAMES:
            yield node


def test_it_is_used_where_it_is_written_compared_or_reported_and_nowhere_else(sources, demand_none):
    demand_none(
        f"{source.at(node)} uses the root digest; pins, caches and keys name the manifest digest"
        for source in sources
        if not source.within(*ALLOWED)
        for node in mentions(source)
    )


def test_the_places_that_may_use_it_do(sources):
    """Otherwise the list above would allow what nobody needs."""
    used = {source.path for source in sources if any(True for _ in mentions(source))}
    required = [pattern for pattern in ALLOWED if "compat" not in pattern]
    assert [
        pattern for pattern in required if not any(s.within(pattern) for s in sources if s.path in used)
    ] == []


def test_where_it_is_compared_names_are_compared_too(sources):
    """A descriptor is of a manifest only if both digests fit."""
    [source] = [source for source in sources if source.path == "trustkit/verifying/sealed.py"]
    functions = [f for f in source.functions() if any(n in list(ast.walk(f)) for n in mentions(source))]
    assert functions
    for function in functions:
        assert "manifest_digest" in ast.unparse(function)
        assert not [n for n in ast.walk(function) if isinstance(n, ast.BoolOp) and isinstance(n.op, ast.Or)]


def test_rules_and_facts_do_not_know_it(root, demand_none):
    files = [*(root / "policies").rglob("*.rego"), *(root / "policies").rglob("*.json")]
    assert len(files) > 10
    demand_none(
        str(path.relative_to(root))
        for path in files
        if any(word in path.read_text(encoding="utf-8") for word in ("root_digest", "rootDigest"))
    )
