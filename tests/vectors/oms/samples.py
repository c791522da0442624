"""Signs the sample tree with the model-signing that is installed here: real bundles of real writers.

`python samples.py FOLDER` writes `written/VERSION-*.sig`; run it once in an environment for
each version (0.2.0, 0.3.1 and 1.0.1 want `sigstore<4 protobuf<6 pyopenssl`). Signatures of
ECDSA are random, so what it wrote once is kept. The keys are the test keys beside this file.
"""

import importlib.metadata
import os
import pathlib
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
VERSION = importlib.metadata.version("model-signing")
FILES = {
    "a-b": b"2",
    "a.b": b"3",
    "a/b": b"1",
    "a/c/d": b"4" * 25,
    "empty": b"",
    "name:with:7": b"5",
    "\u6a21\u578b \u00e9.bin": bytes(range(256)),
}
GIT = {".git/HEAD": b"ref: refs/heads/main\n", ".gitignore": b"*.tmp\n"}


def tree(folder, files):
    """Lay the files out."""
    for name, content in files.items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
    return folder


def old(model, bundle, *, key, hash="sha256", ignore=()):
    """Sign as 0.2.0 did, whose interface for keys is that of its own command line."""
    from model_signing import model as models
    from model_signing.hashing import file, memory
    from model_signing.serialization import serialize_by_file
    from model_signing.signature import key as keys
    from model_signing.signing import in_toto, in_toto_signature

    def hasher(path):
        return file.SimpleFileHasher(path, {"sha256": memory.SHA256, "blake2": memory.BLAKE2}[hash]())

    models.sign(
        model_path=model,
        signer=in_toto_signature.IntotoSigner(keys.ECKeySigner.from_path(private_key_path=str(key))),
        payload_generator=in_toto.DigestsIntotoPayload.from_manifest,
        serializer=serialize_by_file.ManifestSerializer(file_hasher_factory=hasher),
        ignore_paths=[bundle, *ignore],
    ).write(bundle)


def new(model, bundle, *, key, hash="sha256", shards=None, links=False, ignore=()):
    """Sign as 0.3.1 and all later ones do."""
    import model_signing

    hashing = model_signing.hashing.Config()
    if shards:
        hashing.use_shard_serialization(hashing_algorithm=hash, shard_size=shards, allow_symlinks=links)
    else:
        hashing.use_file_serialization(hashing_algorithm=hash, allow_symlinks=links)
    hashing.set_ignored_paths(paths=[bundle, *ignore], ignore_git_paths=True)
    signing = object.__new__(
        model_signing.signing.Config
    )  # its constructor asks the network for Sigstore's roots
    signing.use_elliptic_key_signer(private_key=key).set_hashing_config(hashing).sign(model, bundle)


def main():
    """Sign everything that this version can sign."""
    out = pathlib.Path(sys.argv[1]).resolve()
    sign = old if VERSION == "0.2.0" else new
    with tempfile.TemporaryDirectory() as scratch:
        base = pathlib.Path(scratch)
        model = tree(base / "model", FILES)
        tracked = tree(base / "tracked", {**FILES, **GIT})
        full = tree(base / "full", {k: v for k, v in FILES.items() if v})
        single = base / "model.bin"
        single.write_bytes(b"x" * 25)

        def write(what, place, key="alice", **how):
            try:
                sign(place, out / f"{VERSION}-{what}.sig", key=HERE / f"keys/{key}.test.key", **how)
            except Exception as error:  # noqa: BLE001 - what a version cannot do is worth a line
                print(f"{VERSION} {what}: {type(error).__name__}: {error}")

        write("files", model)
        write("p384", model, key="bob")
        write("p521", model, key="carol")
        write("single", single)
        write("tracked", tracked)
        os.chdir(tracked)
        write("tracked-here", pathlib.Path())  # up to 1.0.1, git's files are left out only like this
        write("blake2", model, hash="blake2")
        if sign is new:
            write("shards", full, shards=10)
            write("shards-blake2", full, shards=10, hash="blake2")
            write("single-shards", single, shards=10)
            write("shards-with-empty", model, shards=10)
        if VERSION.startswith("1.1"):
            write("blake3", model, hash="blake3")
            write("shards-blake3", full, shards=10, hash="blake3")
            write("inside", model, ignore=[model / "model.sig"])


main()
