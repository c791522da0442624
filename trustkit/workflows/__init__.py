"""The waist: sign, verify, seal, open. The only place where steps are combined.

Every story here is short, because each step lives in its own room. Faces call
these and render; nothing else in trustkit calls two rooms in a row. Defaults
for randomness live here, so that the library is as easy to call as the CLI.
Names are looked up when they are first used: whoever verifies waits for no sealing.
"""

TYPE_CHECKING = False  # what typing calls by this name

if TYPE_CHECKING:
    from trustkit.workflows.adding import add_signature
    from trustkit.workflows.kserve import Converted, open_from_kserve, seal_for_kserve
    from trustkit.workflows.places import default_bundle
    from trustkit.workflows.recipients import Rewrapped, rewrap
    from trustkit.workflows.sealed import Opened, Sealed, open_sealed, seal
    from trustkit.workflows.shredding import Shredded, shred
    from trustkit.workflows.signed import Signed, sign, signed_statement
    from trustkit.workflows.unsigned import hashed
    from trustkit.workflows.verified import verify

__all__ = [
    "Converted",
    "Opened",
    "Rewrapped",
    "Sealed",
    "Shredded",
    "Signed",
    "add_signature",
    "default_bundle",
    "hashed",
    "open_from_kserve",
    "open_sealed",
    "rewrap",
    "seal",
    "seal_for_kserve",
    "shred",
    "sign",
    "signed_statement",
    "verify",
]

_ROOMS = {
    "adding": ("add_signature",),
    "kserve": ("Converted", "open_from_kserve", "seal_for_kserve"),
    "places": ("default_bundle",),
    "recipients": ("Rewrapped", "rewrap"),
    "sealed": ("Opened", "Sealed", "open_sealed", "seal"),
    "shredding": ("Shredded", "shred"),
    "signed": ("Signed", "sign", "signed_statement"),
    "unsigned": ("hashed",),
    "verified": ("verify",),
}


def __getattr__(name: str) -> object:
    for room, names in _ROOMS.items():
        if name in names:
            from importlib import import_module

            return getattr(import_module(f"trustkit.workflows.{room}"), name)
    raise AttributeError(f"module 'trustkit.workflows' has no attribute {name!r}")
