"""Signing as the reference's interface has it: choose a signer, perhaps how to hash, then sign.

The law of this file: what is written is what the reference reads
(``compat="1.1"``); only a bundle is ever replaced; and there is no default
signer, because the reference's own (Sigstore) is not built yet.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, Self

from trustkit.compat.model_signing.certificates import joined
from trustkit.compat.model_signing.faults import as_value_errors, not_here
from trustkit.compat.model_signing.hashing import Config as HashingConfig
from trustkit.compat.model_signing.paths import PathLike, path_from
from trustkit.compat.model_signing.telling import tell

if TYPE_CHECKING:
    from trustkit.signing.key import Signer


def sign(model_path: PathLike, signature_path: PathLike) -> None:
    """Sign with the reference's default, Sigstore, which is refused: see `Config.use_sigstore_signer`."""
    Config().sign(model_path, signature_path)


class Config:
    """How models are signed; each method changes the configuration and returns it."""

    def __init__(self) -> None:
        self._hashing = HashingConfig()
        self._signer: Signer | None = None
        self._read: tuple[Path, ...] = ()

    def sign(self, model_path: PathLike, signature_path: PathLike) -> None:
        """Sign a model and write its signature, in place of an older one but of nothing else.

        Raises:
            ValueError: No signer was chosen, something that may not be in a model, or an output that would
                replace what is no signature.
        """
        from trustkit import workflows

        signer = self._signer
        if signer is None:
            self.use_sigstore_signer()
        with as_value_errors():
            model, settings = path_from(model_path), self._hashing.settings
            signed = workflows.sign(
                model,
                signer,
                bundle=path_from(signature_path),
                method=settings.method,
                algorithm=settings.algorithm,
                shard_size=settings.shard_size,
                allow_symlinks=settings.links,
                ignore=settings.names_in(model),
                git=settings.git,
                compat="1.1",
                overwrite=True,
                inputs=self._read,
                workers=settings.workers,
            )
        for warning in signed.warnings:
            tell("warning", warning)

    def set_hashing_config(self, hashing_config: HashingConfig) -> Self:
        """Hash as this configuration says."""
        self._hashing = hashing_config
        return self

    def use_elliptic_key_signer(self, *, private_key: PathLike, password: str | bytes | None = None) -> Self:
        """Sign with a private key on P-256, P-384 or P-521.

        Args:
            private_key: Its PEM file, read now.
            password: What the key is encrypted with, if it is.

        Raises:
            ValueError: The key cannot be read, or not with this password.
        """
        from trustkit.signing.key import load_signer

        with as_value_errors():
            path = path_from(private_key)
            self._signer = load_signer(path, passphrase=_bytes(password))
        self._read = (path,)
        return self

    def use_certificate_signer(
        self,
        *,
        private_key: PathLike,
        signing_certificate: PathLike,
        certificate_chain: Iterable[PathLike] = (),
    ) -> Self:
        """Sign with a private key, and bring the certificate that says whose it is.

        Args:
            private_key: PEM file of the key, not encrypted; read now, as are the others.
            signing_certificate: PEM file of its certificate.
            certificate_chain: PEM files of the certificates above it; verifiers have the root.

        Raises:
            ValueError: A file cannot be read, or the certificate is of another key.
        """
        from trustkit.signing.certificate import certified
        from trustkit.signing.key import load_signer

        with as_value_errors():
            key, leaf = path_from(private_key), path_from(signing_certificate)
            chain = [path_from(path) for path in certificate_chain]
            self._signer = certified(
                load_signer(key, passphrase=None), joined([leaf]), joined(chain) if chain else None
            )
        self._read = (key, leaf, *chain)
        return self

    def use_sigstore_signer(self, **_: object) -> NoReturn:
        """Refuse: signing with Sigstore is not built yet.

        Raises:
            ValueError: Always; it says what to use.
        """
        raise not_here("signing with Sigstore")

    def use_pkcs11_signer(self, **_: object) -> NoReturn:
        """Refuse: signing with PKCS #11 tokens is not built yet.

        Raises:
            ValueError: Always; it says what to use.
        """
        raise not_here("signing with PKCS #11")

    def use_pkcs11_certificate_signer(self, **_: object) -> NoReturn:
        """Refuse: signing with PKCS #11 tokens is not built yet.

        Raises:
            ValueError: Always; it says what to use.
        """
        raise not_here("signing with PKCS #11")


def _bytes(password: str | bytes | None) -> bytes | None:
    return password.encode() if isinstance(password, str) else password
