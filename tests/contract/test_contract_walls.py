"""Walls: what may touch third-party libraries, the network, the clock, chance and the environment.

A closed world: a library that is in no table may be imported nowhere.
Patterns are paths from the root; `*` crosses folders.
"""

import ast
import sys

FACES = ("trustkit/cli/*", "trustkit/sidecar/*", "trustkit/broker/*", "trustkit/store/*", "admission/*")
ROOTS = ("*/main.py", "*/config.py", "trustkit/cli/*")
"""Composition roots and configuration loading: they read the world and pass it down as arguments."""

LIBRARIES = {
    # keys and signatures
    "cryptography": (
        "trustkit/curves.py",
        "trustkit/signing/*",
        "trustkit/verifying/*",
        "trustkit/sealing/*",
        "trustkit/spiffe/*",
    ),
    # key services, each in the one file that speaks to it
    "botocore": (
        "trustkit/sealing/awskms_client.py",
        "trustkit/sealing/awskms_wire.py",
        "trustkit/storage/s3.py",
    ),
    "urllib3": ("trustkit/sealing/awskms_wire.py",),
    "blake3": ("trustkit/digest.py", "trustkit/artifact/hashing.py"),
    # servers: the framework only where requests become values, the engine only where a face is started
    "fastapi": ("*/app.py",),
    "starlette": ("*/app.py",),
    "uvicorn": ("*/main.py", "*/app.py", "*/serving.py", "trustkit/spiffe/*"),
    "httptools": ("*/serving.py",),
    "uvloop": ("*/main.py", "*/serving.py", "trustkit/spiffe/door.py"),
    # configuration, policies, tables
    "yaml": (
        "trustkit/programs/settings.py",  # the faces' config.py files get values
        "trustkit/verifying/strictyaml.py",
        "trustkit/workloads/*",
        "trustkit/cli/*",
    ),
    # rules
    "opa_wasm": ("trustkit/deciding/wasm.py",),
    "opapywasm": ("trustkit/deciding/wasm.py",),
    "wasmtime": ("trustkit/deciding/wasm.py",),
    # what lies in stores, and machines to read it
    "distributed": ("trustkit/artifact/cluster.py",),
    "s3fs": ("trustkit/storage/s3.py",),
    "gcsfs": ("trustkit/storage/gs.py",),
    "fsspec": ("trustkit/storage/s3.py", "trustkit/storage/gs.py"),
    "aiohttp": ("trustkit/storage/s3.py", "trustkit/storage/gs.py"),
    "google": ("trustkit/storage/gs.py",),
    # model formats, to make the demo's artifact with
    "numpy": ("trustkit/cli/*",),
    "pyarrow": ("trustkit/cli/*",),
    "safetensors": ("trustkit/cli/*",),
}

STANDARD = {
    "socket": ("trustkit/spiffe/*", "trustkit/storage/*", "trustkit/sealing/awskms_wire.py", *FACES),
    "ssl": ("trustkit/spiffe/*", "trustkit/storage/*", *FACES),
    "http": ("trustkit/storage/*", *FACES),
    "urllib": ("trustkit/artifact/reference.py", "trustkit/storage/*", "trustkit/spiffe/names.py", *FACES),
    "socketserver": FACES,
    "asyncio": ("trustkit/spiffe/*", *FACES),
    "random": (),
    "secrets": ROOTS,
    "uuid": ROOTS,
    "subprocess": ("trustkit/cli/*",),
    "multiprocessing": ("trustkit/cli/*",),
    # formats that run code, or hide what they read
    "pickle": (),
    "marshal": (),
    "shelve": (),
    "ctypes": (),
    "xml": (),
    "tarfile": ("trustkit/deciding/wasm.py",),  # our own compiled bundle, streamed and never unpacked to disk
    "zipfile": (),
}

AMBIENT = {
    "os": {"environ", "environb", "getenv", "putenv", "urandom", "getrandom"},
    "sys": {"argv"},
    "time": {"time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "sleep"},
    "datetime": {"now", "utcnow", "today"},
    "date": {"today"},
}

CATCH_ALL = (
    "trustkit/artifact/reading.py",  # as lanes.py
    "trustkit/sealing/awskms_*.py",  # as lanes.py
    "trustkit/artifact/lanes.py",  # carries what a thread raised to the thread that waits, which raises it
    "trustkit/programs/ending.py",  # what the main.py of each server ends with
    "trustkit/compat/*/main.py",  # whatever it is, the exit status is not success
    "*/app.py",
    "trustkit/deciding/decision.py",
    "admission/decide.py",
    "trustkit/cli/*",
)
"""Where `except Exception` stands: composition roots, threads, and `decide`: any exception is deny."""


def outside(sources, table):
    return [
        f"{source.at(node)} imports {module}"
        for source in sources
        for node, module, _ in source.imports()
        if (top := module.split(".")[0]) in table and not source.within(*table[top])
    ]


def test_third_party_libraries_stay_behind_their_walls(sources, demand_none):
    demand_none(outside(sources, LIBRARIES))


def test_no_library_is_used_that_no_wall_names(sources, demand_none):
    known = set(sys.stdlib_module_names) | set(LIBRARIES) | {"trustkit", "admission"}
    offences = [
        f"{source.at(node)} imports {module}"
        for source in sources
        for node, module, _ in source.imports()
        if module.split(".")[0] not in known
    ]
    demand_none(offences)


def test_every_library_that_a_wall_names_is_required_by_pyproject(root, demand_none):
    required = (root / "pyproject.toml").read_text().lower()
    spelled = {
        "yaml": "pyyaml",
        "opapywasm": "opa-py-wasm",
        "opa_wasm": "opa-py-wasm",
        "starlette": "fastapi",
        "wasmtime": "opa-py-wasm",
        "fsspec": "s3fs",
        "aiohttp": "s3fs",
        "google": "gcsfs",
    }
    demand_none([name for name in LIBRARIES if f'"{spelled.get(name, name)}' not in required])


def test_network_processes_and_dangerous_formats_stay_where_they_belong(sources, demand_none):
    demand_none(outside(sources, STANDARD))


def test_clocks_chance_environment_and_arguments_are_read_in_composition_roots_only(sources, demand_none):
    """In `workflows` they may stand as defaults of keyword arguments, nowhere else."""
    offences = []
    for source in sources:
        if source.within(*ROOTS):
            continue
        excused = _defaults(source) if source.within("trustkit/workflows/*") else set()
        offences += [
            f"{source.at(node)} reads {ast.unparse(node)}"
            for node in ast.walk(source.tree)
            if _ambient(node) and id(node) not in excused
        ]
    demand_none(offences)


def test_json_from_outside_is_parsed_by_strictjson_alone(sources, demand_none):
    offences = [
        f"{source.at(node)} {ast.unparse(node)}"
        for source in sources
        if source.path != "trustkit/strictjson.py"
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Attribute)
        and node.attr in {"loads", "load"}
        and ast.unparse(node.value) == "json"
    ]
    demand_none(offences)


def test_catch_alls_stand_at_composition_roots_and_in_decide_only(sources, demand_none):
    demand_none(
        source.at(node)
        for source in sources
        if not source.within(*CATCH_ALL)
        for node in ast.walk(source.tree)
        if isinstance(node, ast.ExceptHandler) and _catches_all(node) and not _cleans_up(node)
    )


def test_nothing_is_kept_in_module_globals(sources, demand_none):
    offences = [
        source.at(node)
        for source in sources
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Global)
    ]
    demand_none(offences)


def test_coverage_is_not_talked_away(sources, demand_none):
    offences = [
        source.path
        for source in sources
        if "pragma: no cover" in source.text or "pragma: no branch" in source.text
    ]
    demand_none(offences)


def _ambient(node):
    if isinstance(node, ast.ImportFrom):
        return any(
            alias.name in AMBIENT.get(node.module or "", ())
            for alias in node.names
            if node.module != "datetime"
        )
    if not isinstance(node, ast.Attribute):
        return False
    base = ast.unparse(node.value).rsplit(".", 1)[-1]
    return node.attr in AMBIENT.get(base, ())


def _defaults(source):
    """Return the ids of all nodes inside keyword defaults of top-level functions."""
    return {
        id(inner)
        for function in source.tree.body
        if isinstance(function, ast.FunctionDef)
        for default in function.args.kw_defaults
        if default is not None
        for inner in ast.walk(default)
    }


def _catches_all(handler):
    caught = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(kind is None or ast.unparse(kind) in {"Exception", "BaseException"} for kind in caught)


def _cleans_up(handler):
    """A handler that ends in a bare `raise` swallows nothing."""
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None
