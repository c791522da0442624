"""Who signed a bundle: the keys that authorities believe for it, and the count of those that did.

The law of this file: a threshold counts distinct keys of distinct authorities,
never signatures, and a key that two authorities believe counts once. The
verification material of a bundle chooses nobody: every believed key is tried
with every signature. A certificate is looked at only where the policy has an
authority of that kind, and believed only at a time that the caller vouches for.
"""

from __future__ import annotations

from trustkit.attest.bundle import CertificateChain, Material, PublicKeyHint
from trustkit.attest.dsse import Envelope
from trustkit.digest import Digest
from trustkit.errors import VerificationError
from trustkit.records import dataclass
from trustkit.verifying.authorities import (
    Believed,
    CertificateAuthority,
    KeyAuthority,
    Role,
)
from trustkit.verifying.keys import Message, PublicKey, public_key_from_pem
from trustkit.verifying.policy import VerificationPolicy

_TELLING = (
    "identity-mismatch",
    "certificate-expired",
    "certificate-not-yet-valid",
    "certificate-not-for-signing",
    "certificate-untrusted",
)
"""Where several authorities refuse a certificate, the first of these says most."""
_NAMED = 5
"""Most authorities that a message names, of those who signed and of those who did not."""
_LONGEST = 64
"""Longest name that a message shows whole (characters)."""
_LISTED = 20
"""Most authorities that the evidence names."""


@dataclass(frozen=True, slots=True)
class SignerEvidence:
    """An authority of the policy whose signature was verified.

    Attributes:
        authority: Its name in the policy.
        fingerprint: SHA-256 of the public key that signed (DER SubjectPublicKeyInfo).
        identity: Whom the signer's certificate names, such as ``email:ml@example.com``; None for a bare key.
        valid_until: When the evidence ends, because a certificate does (seconds since the epoch), or None.
        hint: What bundles call that key: SHA-256 of its PEM text in hexadecimal. For people; proven as the
            fingerprint is, whatever the bundle says.
    """

    authority: str
    fingerprint: Digest
    identity: str | None = None
    valid_until: float | None = None
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Candidates:
    """The keys that the authorities of a role believe for one bundle. Nothing is said about signatures yet.

    Attributes:
        role: In which role the authorities act.
        material: What the bundle says of its first signer; untrusted.
        acting: The names of all who act in this role, as the policy has them.
        believed: Authorities by name, with the key that each believes.
        vouching: Whether a certificate authority is among those who act.
        refused: Why certificate authorities believe no key of this bundle, by their names.
        elsewhere: The keys of those who act in another role alone, by name; only messages name them.
    """

    role: Role
    material: Material
    acting: tuple[str, ...]
    believed: tuple[tuple[str, Believed], ...]
    vouching: bool
    refused: dict[str, VerificationError]
    elsewhere: tuple[tuple[str, PublicKey], ...] = ()

    def that_signed(
        self, message: Message, envelope: Envelope, *, threshold: int
    ) -> tuple[SignerEvidence, ...]:
        """Return who signed: nobody, or at least as many as the threshold.

        Raises:
            VerificationError: ``below-threshold``.
        """
        unclaimed = {signature.sig for signature in envelope.signatures}
        signatures = frozenset(unclaimed)
        found = []
        for name, key in self.believed:
            public = key.public_key
            made = {signature for signature in signatures if public.signed(message, signature)}
            unclaimed -= made
            if made:
                told = (public.fingerprint, key.identity, key.valid_until, public.hint)
                found.append(SignerEvidence(name, *told))
        count = len({signer.fingerprint for signer in found})
        if 0 < count < threshold:
            told_why = not unclaimed or self.refused  # a certificate that was refused explains a signature
            more = "" if told_why else self._unlisted(message, unclaimed)
            raise self._too_few([signer.authority for signer in found], count, threshold, more)
        return tuple(found)

    def _unlisted(self, message: Message, unclaimed: set[bytes]) -> str:
        """Say how many signatures are by nobody who acts in this role, and of whom the policy knows."""
        others = [
            _short(name)
            for name, public in self.elsewhere
            if any(public.signed(message, signature) for signature in unclaimed)
        ]
        count = "1 more signature is" if len(unclaimed) == 1 else f"{len(unclaimed)} more signatures are"
        whose = f" ({_some(others)} signed, in another role)" if others else ""
        roles = f"roles: [{self.role}]"
        advice = "list that key so" if others else "list such a key only if you know whose it is"
        return f"; {count} by nobody whom the policy lists with {roles}{whose}; {advice}, or"

    def _too_few(self, signers: list[str], count: int, threshold: int, more: str) -> VerificationError:
        """Name who signed and who did not, and why the certificate of one who may have was not believed."""
        missing = [name for name in self.acting if name not in signers]
        once = " (a key counts once)" if len(signers) > count else ""
        others = [
            f"{_short(name)} ({self.refused[name].code})" if name in self.refused else _short(name)
            for name in missing
        ]
        none = f", none from {_some(others)}" if others else ""
        return VerificationError(
            "below-threshold",
            f"{count} of {threshold} needed {self.role}s signed this: valid from "
            f"{_some([_short(name) for name in signers])}{once}{none}{more or ';'} get the missing "
            "signatures",
            signers=list(signers),
            missing=list(missing[:_LISTED]),
            threshold=threshold,
        )

    def nobody(self) -> VerificationError:
        """Say why nobody is believed; the material serves people here, and decided nothing."""
        if self.refused:
            return min(self.refused.values(), key=lambda error: _TELLING.index(error.code))
        if isinstance(self.material, CertificateChain):
            return (
                _unsupported(self.material) if self.material.keyless or not self.vouching else self._edited()
            )
        if self.vouching and not self.believed:
            return VerificationError(
                "unsupported-material",
                "the bundle was signed with a key, and brings no certificate of its signer; name the key",
            )
        return self._edited()

    def _edited(self) -> VerificationError:
        """Say which of the two it looks like, whom the policy believes, and whose key the bundle names."""
        hint = self.material.hint if isinstance(self.material, PublicKeyHint) else ""
        named = any(key.valid_until is not None or key.public_key.hint == hint for _, key in self.believed)
        return VerificationError(
            "wrong-signer",
            "the bundle names a key that we believe, but its signature does not fit: it was edited"
            if named
            else f"no {self.role} we believe made this signature, or what was signed has been edited: "
            f"{self._whom()}, and {self._claimed(hint)}; if that is who should be believed, name that key "
            f"as {self.role}",
            key_hint=hint[:128],
            believed=list(self.acting[:_LISTED]),
        )

    def _whom(self) -> str:
        """Say whom the policy believes, with the key where it is one."""
        if not self.acting:
            return f"the policy has no {self.role} at all"
        keys = {name: f" ({key.public_key.fingerprint})" for name, key in self.believed}
        return f"believed is {_some([_short(name) + keys.get(name, '') for name in self.acting])}"

    def _claimed(self, hint: str) -> str:
        """Say whose key the bundle names; nobody has proven that."""
        if not hint:
            return "the bundle does not say who did"
        for name, other in self.elsewhere:
            if other.hint == hint:
                return (
                    f"the bundle names the key of {_short(name)} ({other.fingerprint}), who is no {self.role}"
                )
        return f"the bundle names a key that the policy does not hold, with the hint {_short(hint)}"


def candidates(material: Material, policy: VerificationPolicy, role: Role, *, at: float | None) -> Candidates:
    """Ask the authorities of a role which keys they believe for a bundle.

    Args:
        material: Of the bundle, untrusted.
        policy: Whom to believe.
        role: In which role.
        at: The time at which certificates must be valid; None where the caller has none to vouch for.

    Raises:
        FormatError: ``bad-certificate``.
        LimitError: ``too-large``.
        VerificationError: ``certificate-time-unknown``.
    """
    acting = policy.acting_as(role)
    believed = [(one.name, Believed(one.public_key)) for one in acting if isinstance(one, KeyAuthority)]
    refused: dict[str, VerificationError] = {}
    vouching = [one for one in acting if isinstance(one, CertificateAuthority)]
    if vouching and isinstance(material, CertificateChain) and not material.keyless:
        if at is None:
            raise VerificationError(
                "certificate-time-unknown",
                "a certificate was presented, and no time is known at which it would have to be valid",
            )
        from trustkit.verifying.presenting import presented_by

        presented = presented_by(material)
        for authority in vouching:
            try:
                believed.append((authority.name, authority.believed(presented, at=at)))
            except VerificationError as error:
                refused[authority.name] = error
    names = tuple(one.name for one in acting)
    elsewhere = tuple(
        (one.name, one.public_key)
        for one in policy.authorities
        if isinstance(one, KeyAuthority) and role not in one.roles
    )
    return Candidates(role, material, names, tuple(believed), bool(vouching), refused, elsewhere)


def _short(name: str) -> str:
    """Quote a name of the policy, and cut one that would fill the line."""
    return repr(name) if len(name) <= _LONGEST else f"{name[:_LONGEST]!r}…"


def _some(shown: list[str]) -> str:
    more = f" and {len(shown) - _NAMED} more" if len(shown) > _NAMED else ""
    return ", ".join(shown[:_NAMED]) + more


def _unsupported(chain: CertificateChain) -> VerificationError:
    how = "without a key of its own (keyless)" if chain.keyless else "with a certificate"
    return VerificationError(
        "unsupported-material",
        f"the bundle was signed {how}, and nobody whom the policy names signs so; "
        "name who does, or have it signed with a key",
    )


def has_signed(public_pem: bytes, content: bytes, envelope: Envelope) -> bool:
    """Say whether a key has signed an envelope already; advice for who would sign again, never trust.

    Raises:
        UsageError: The key is not a usable public key.
    """
    key, message = public_key_from_pem(public_pem, what="the key"), Message(content)
    return any(key.signed(message, signature.sig) for signature in envelope.signatures)
