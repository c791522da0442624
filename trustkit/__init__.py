"""trustkit: nothing of a model is loaded that was not signed, allowed and checked.

The front door: what a program needs that signs, verifies, seals or opens. Names
are looked up when they are first used, so that opening the door costs nothing,
and nothing is defined here. Example::

    from pathlib import Path
    import trustkit

    policy = trustkit.policy_from_keys(Path("author.pem.pub").read_bytes())
    verified = trustkit.verify(Path("model"), policy)    # returns a proof, or raises
    descriptor = verified.open("model.safetensors")      # the file that was hashed
"""

from trustkit.version import __version__

TYPE_CHECKING = False  # what typing calls by this name; loading typing is not free, opening the door is

if TYPE_CHECKING:
    from trustkit.artifact.manifest import Manifest
    from trustkit.digest import Digest, parse_digest
    from trustkit.errors import (
        FormatError,
        LimitError,
        SealError,
        TrustkitError,
        UnavailableError,
        UsageError,
        VerificationError,
    )
    from trustkit.sealing.hpke import generate_opener, opener_from_pem, recipient_from_pem
    from trustkit.signing.key import Signer, generate_key, load_signer
    from trustkit.verifying.compare import Verified
    from trustkit.verifying.policy import VerificationPolicy, parse_policy, policy_from_keys
    from trustkit.verifying.sealed import VerifiedSealed
    from trustkit.workflows import Opened, Sealed, Signed, open_sealed, seal, sign, verify

__all__ = [
    "Digest",
    "FormatError",
    "LimitError",
    "Manifest",
    "Opened",
    "SealError",
    "Sealed",
    "Signed",
    "Signer",
    "TrustkitError",
    "UnavailableError",
    "UsageError",
    "VerificationError",
    "VerificationPolicy",
    "Verified",
    "VerifiedSealed",
    "__version__",
    "generate_key",
    "generate_opener",
    "load_signer",
    "open_sealed",
    "opener_from_pem",
    "parse_digest",
    "parse_policy",
    "policy_from_keys",
    "recipient_from_pem",
    "seal",
    "sign",
    "verify",
]

_ROOMS = {
    "artifact.manifest": ("Manifest",),
    "digest": ("Digest", "parse_digest"),
    "errors": (
        "FormatError",
        "LimitError",
        "SealError",
        "TrustkitError",
        "UnavailableError",
        "UsageError",
        "VerificationError",
    ),
    "sealing.hpke": ("generate_opener", "opener_from_pem", "recipient_from_pem"),
    "signing.key": ("Signer", "generate_key", "load_signer"),
    "verifying.compare": ("Verified",),
    "verifying.policy": ("VerificationPolicy", "parse_policy", "policy_from_keys"),
    "verifying.sealed": ("VerifiedSealed",),
    "workflows": ("Opened", "Sealed", "Signed", "open_sealed", "seal", "sign", "verify"),
}


def __getattr__(name: str) -> object:
    for room, names in _ROOMS.items():
        if name in names:
            from importlib import import_module

            return getattr(import_module(f"trustkit.{room}"), name)
    raise AttributeError(f"module 'trustkit' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
