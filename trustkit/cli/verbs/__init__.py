"""The verbs of ``trustkit``: one file each, loaded only when asked for.

The law of this table: a verb stands here once it works. Its file defines
``configure(parser)`` and ``run(arguments, terminal) -> Answer`` and imports
nothing heavy before ``run``, so that help is quick whatever a verb needs.
"""

from __future__ import annotations

from trustkit.records import dataclass


@dataclass(frozen=True, slots=True)
class Verb:
    """Where a verb's code lies, what it is for in a few words, and under which heading help lists it."""

    module: str
    summary: str
    section: str


VERBS: dict[str, Verb] = {
    "sign": Verb("sign", "sign a folder or a file", "sign and verify"),
    "verify": Verb("verify", "check who signed it, and every byte", "sign and verify"),
    "manifest": Verb("manifest", "list what a signature covers, without verifying it", "sign and verify"),
    "inspect": Verb("inspect", "show what a bundle, key or recipients file claims", "sign and verify"),
    "seal": Verb("seal", "encrypt a signed artifact for recipients", "seal and open"),
    "open": Verb("open", "decrypt a sealed artifact, checking every byte", "seal and open"),
    "rewrap": Verb("rewrap", "change who may open it, touching no ciphertext", "seal and open"),
    "shred": Verb("shred", "destroy its wrapped keys, so that nobody can open it", "seal and open"),
    "kserve seal": Verb("kserve_seal", "encrypt a signed artifact for KServe's decryptor", "seal and open"),
    "kserve open": Verb("kserve_open", "decrypt what KServe would, checking every byte", "seal and open"),
    "key generate": Verb("key_generate", "make a key pair", "keys and policies"),
    "key public": Verb("key_public", "print the public half of a private key", "keys and policies"),
    "policy check": Verb("policy_check", "validate a verification policy", "keys and policies"),
    "check": Verb("check", "list the models that manifests name, and refuse what can be moved", "manifests"),
    "pin": Verb("pin", "verify models, and write their digests into manifests", "manifests"),
    "demo": Verb("demo", "the whole story on real bytes, in one command", "other"),
    "completion": Verb("completion", "print a completion script for a shell", "other"),
}
