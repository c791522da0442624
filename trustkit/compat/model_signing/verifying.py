"""Verifying as the reference's interface has it: say whom to believe, then verify.

The law of this file: how a model was hashed, whether links were followed and
what was left out is read from the signed statement, and nowhere else. Paths
that the caller ignores may hold what nobody signed; they take nothing that was
signed out of the comparison. There is no default of whom to believe.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NoReturn, Self

from trustkit.compat.model_signing.certificates import joined, log_fingerprints
from trustkit.compat.model_signing.faults import as_value_errors, not_here
from trustkit.compat.model_signing.hashing import Config as HashingConfig
from trustkit.compat.model_signing.paths import PathLike, path_from
from trustkit.compat.model_signing.telling import tell
from trustkit.errors import UsageError, VerificationError

if TYPE_CHECKING:
    from trustkit.verifying.compare import Verified
    from trustkit.verifying.policy import VerificationPolicy

_SHOWN = 20


class Config:
    """How models are verified; each method changes the configuration and returns it."""

    def __init__(self) -> None:
        self._hashing = HashingConfig()
        self._policy: VerificationPolicy | None = None
        self._ignore_unsigned = False
        self._fingerprints = False

    def verify(self, model_path: PathLike, signature_path: PathLike) -> None:
        """Verify that a model is what was signed, by whom you believe; return or raise.

        Raises:
            ValueError: It is not, or no verifier was chosen.
        """
        from trustkit import workflows

        with as_value_errors():
            if self._policy is None:
                raise UsageError(
                    "no-authority", "whom to believe? Choose a verifier, such as use_elliptic_key_verifier"
                )
            model, settings = path_from(model_path), self._hashing.settings
            bundle = path_from(signature_path)
            if self._fingerprints:
                log_fingerprints(self._policy, bundle)
            ignored = settings.names_in(model)
            verified = workflows.verify(
                model,
                self._policy,
                bundle=bundle,
                ignore_unsigned=self._ignore_unsigned or bool(ignored),
                workers=settings.workers,
            )
            try:
                if not self._ignore_unsigned:
                    _demand_ignored(verified.unsigned, ignored)
                _report(verified)
            finally:
                verified.close()

    def set_hashing_config(self, hashing_config: HashingConfig) -> Self:
        """Ignore what this configuration ignores; the signature says how to hash."""
        self._hashing = hashing_config
        return self

    def set_ignore_unsigned_files(self, ignore_unsigned_files: bool) -> Self:  # noqa: FBT001 - the reference's signature
        """Say whether files that nobody signed are tolerated; they are told of in the log."""
        self._ignore_unsigned = ignore_unsigned_files
        return self

    def use_elliptic_key_verifier(self, *, public_key: PathLike) -> Self:
        """Believe one public key.

        Args:
            public_key: Its PEM file, read now.

        Raises:
            ValueError: It is no public key on P-256, P-384 or P-521.
        """
        from trustkit.artifact.inputs import read_input
        from trustkit.signing.key import MAX_KEY_BYTES
        from trustkit.verifying.policy import policy_from_keys

        with as_value_errors():
            pem = read_input(path_from(public_key), max_bytes=MAX_KEY_BYTES, what="key")
            self._policy = policy_from_keys(pem)
        self._fingerprints = False
        return self

    def use_certificate_verifier(
        self, *, certificate_chain: Iterable[PathLike] = (), log_fingerprints: bool = False
    ) -> Self:
        """Believe whoever these certificates vouch for: now, for signing, and under any name.

        A name can be pinned with `trustkit verify --ca --identity`, not in this interface.

        Args:
            certificate_chain: PEM files of roots, read now; at least one, for nobody is believed by default.
            log_fingerprints: Log the SHA-256 of every certificate that is looked at.

        Raises:
            ValueError: No root was given, or a file cannot be read.
        """
        from trustkit.verifying.policy import policy_from_roots

        with as_value_errors():
            roots = [path_from(path) for path in certificate_chain]
            if not roots:
                raise UsageError(
                    "no-authority",
                    "whom to believe? Name the root certificates (certificate_chain); "
                    "those of the web vouch for no model",
                )
            self._policy = policy_from_roots(joined(roots))
        self._fingerprints = log_fingerprints
        return self

    def use_sigstore_verifier(self, **_: object) -> NoReturn:
        """Refuse: verifying Sigstore's identities is not built yet.

        Raises:
            ValueError: Always; it says what to use.
        """
        raise not_here("verifying with Sigstore")


def _demand_ignored(unsigned: Iterable[str], ignored: tuple[str, ...]) -> None:
    """Refuse what nobody signed and nobody ignored."""
    strange = [
        name for name in unsigned if not any(name == path or name.startswith(f"{path}/") for path in ignored)
    ]
    if strange:
        more = f" and {len(strange) - 1} more" if len(strange) > 1 else ""
        raise VerificationError(
            "unsigned-file",
            f"{strange[0]!r}{more} was never signed; this is not the artifact that was signed",
            unsigned=list(strange[:_SHOWN]),
        )


def _report(verified: Verified) -> None:
    for names, why in (
        (verified.ignored, "left out by the signer"),
        (verified.unsigned, "signed by nobody, and tolerated"),
    ):
        for name in names:
            tell("info", f"not compared, {why}: {name!r}")
