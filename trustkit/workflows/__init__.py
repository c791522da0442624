"""The waist: sign, verify, seal, open. The only place where steps are combined.

Every story here is short, because each step lives in its own room. Faces call
these and render; nothing else in trustkit calls two rooms in a row. Defaults
for randomness live here, so that the library is as easy to call as the CLI.
Names are looked up when they are first used: whoever verifies waits for no sealing.
"""

TYPE_CHECKING = False  # what typing calls by this name

if TYPE_CHECKING:
    from trustkit.workflows.adding import add_signature
    from trustkit.workflows.recipients import Rewrapped, Shredded, rewrap, shred
    from trustkit.workflows.sealed import Opened, Sealed, open_sealed, seal
    from trustkit.workflows.signed import Signed, default_bundle, sign, signed_statement, verify
    from trustkit.workflows.unsigned import hashed

__all__ = [
    "Opened",
    "Rewrapped",
    "Sealed",
    "Shredded",
    "Signed",
    "add_signature",
    "default_bundle",
    "hashed",
    "open_sealed",
    "rewrap",
    "seal",
    "shred",
    "sign",
    "signed_statement",
    "verify",
]

_ROOMS = {
    "adding": ("add_signature",),
    "recipients": ("Rewrapped", "Shredded", "rewrap", "shred"),
    "sealed": ("Opened", "Sealed", "open_sealed", "seal"),
    "signed": ("Signed", "default_bundle", "sign", "signed_statement", "verify"),
    "unsigned": ("hashed",),
}


def __getattr__(name: str) -> object:
    for room, names in _ROOMS.items():
        if name in names:
            from importlib import import_module

            return getattr(import_module(f"trustkit.workflows.{room}"), name)
    raise AttributeError(f"module 'trustkit.workflows' has no attribute {name!r}")
