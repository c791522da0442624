"""The interface of model-signing 1.1.1 (the OpenSSF reference), kept by trustkit.

One import line changes::

    from trustkit.compat.model_signing import hashing, signing, verifying

and ``python -m trustkit.compat.model_signing`` reads the reference's command
line. The law of this package: what was asked for is done or refused, never
passed over; where the reference would believe what nobody signed, this does
not. README.md beside this file lists every flag and every difference.
"""

TYPE_CHECKING = False  # what typing calls by this name; loading typing is not free, opening the door is

if TYPE_CHECKING:
    from trustkit.compat.model_signing import hashing, manifest, signing, verifying

__version__ = "1.1.1"
"""The version whose interface this is; `trustkit.__version__` is ours."""

__all__ = ["hashing", "manifest", "signing", "verifying"]


def __getattr__(name: str) -> object:
    if name in __all__:
        from importlib import import_module

        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
