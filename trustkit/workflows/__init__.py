"""The waist: sign, verify, seal, open. The only place where steps are combined.

Every story here is short, because each step lives in its own room. Faces call
these and render; nothing else in trustkit calls two rooms in a row. Defaults
for randomness live here, so that the library is as easy to call as the CLI.
"""

from trustkit.workflows.sealed import Opened, Sealed, open_sealed, seal
from trustkit.workflows.signed import Signed, default_bundle, sign, signed_statement, verify

__all__ = [
    "Opened",
    "Sealed",
    "Signed",
    "default_bundle",
    "open_sealed",
    "seal",
    "sign",
    "signed_statement",
    "verify",
]
