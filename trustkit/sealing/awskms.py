"""A recipient that is a symmetric key in AWS KMS: the service wraps and unwraps, and its key stays there.

    awskms:///arn:aws:kms:REGION:ACCOUNT:key/ID              the service's own address in that region
    awskms://HOST[:PORT]/arn:aws:kms:REGION:ACCOUNT:key/ID   another one, such as a VPC endpoint; by TLS

A wrapped key is the service's ciphertext, as it came. It is bound by encryption
context: the members of the wrap context as pairs of text, which the service
authenticates, writes to its log, and lets key policies ask for
(``kms:EncryptionContext:line``).

The law of this file: a key is named by its ARN, since an alias can be moved.
What the service answers is believed only where it can be checked, and its
messages are never repeated: they may quote what was signed with a credential.
No library of the service is known here (`trustkit.sealing.awskms_client`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from trustkit import strictjson
from trustkit.digest import Digest, digest_of
from trustkit.errors import DeniedError, SealError, TrustkitError, UnavailableError, UsageError
from trustkit.sealing.keys import Dek
from trustkit.sealing.parties import MAX_WRAPPED, Deletion

AWSKMS = "awskms"
SCHEME = "awskms:"

Call = Callable[[str, Mapping[str, object]], Mapping[str, object]]
"""One operation of the service with its parameters, and its answer, untrusted. Raises as `refusal`."""

_ARN = re.compile(
    r"arn:(aws(?:-[a-z]{1,16}){0,3}):kms:([a-z]{2,4}(?:-[a-z]{1,16}){1,3}-[0-9]{1,2}):[0-9]{12}:key/"
    r"(?:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|mrk-[0-9a-f]{32})"
)
_SUFFIXES = {
    "aws": "amazonaws.com",
    "aws-cn": "amazonaws.com.cn",
    "aws-eusc": "amazonaws.eu",
    "aws-us-gov": "amazonaws.com",
}
_ENDPOINT = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?(?::[0-9]{1,5})?")
_MAX_PORT = 65535
_MAX_CONTEXT = 8192
_ALGORITHM = "SYMMETRIC_DEFAULT"
_DAY, _LONGEST_DAYS = 86_400, 31
_LEAVING = frozenset(("PendingDeletion", "PendingReplicaDeletion"))

_DENIED = frozenset(
    (
        "AccessDenied",
        "AccessDeniedException",
        "ExpiredTokenException",
        "IncompleteSignature",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "MissingAuthenticationTokenException",
        "NotAuthorized",
        "OptInRequired",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    )
)
_DISABLED = frozenset(("DisabledException", "KMSInvalidStateException"))
_UNSUITED = frozenset(("InvalidKeyUsageException", "UnsupportedOperationException", "ValidationException"))
_OTHER_CONTEXT = frozenset(("IncorrectKeyException", "InvalidCiphertextException"))
_CODE = re.compile(r"[A-Za-z0-9.]{1,64}")


@dataclass(frozen=True, slots=True)
class KmsKey:
    """The name of one key.

    Attributes:
        arn: Its ARN; no alias.
        region: Where it lies.
        endpoint: Host, or host and port, to ask instead of the service's own.
    """

    arn: str
    region: str
    endpoint: str | None = None

    @property
    def key_id(self) -> Digest:
        """What finds the opener: SHA-256 of the ARN."""
        return digest_of(self.arn.encode("ascii"))

    @property
    def host(self) -> str:
        """Whom to ask: the endpoint, or else the service's own host in the region of the key."""
        return self.endpoint or f"kms.{self.region}.{_SUFFIXES[_partition(self.arn)]}"


def parse_key(untrusted: str) -> KmsKey:
    """Read the name of a key.

    Raises:
        UsageError: ``bad-kms-key``.
    """
    rest = untrusted.removeprefix(SCHEME)
    endpoint, slash, arn = rest.removeprefix("//").partition("/")
    found = _ARN.fullmatch(arn)
    well_formed = rest != untrusted and rest.startswith("//") and slash
    if not well_formed or found is None or (endpoint and not _is_endpoint(endpoint)):
        raise UsageError(
            "bad-kms-key",
            "name the key as awskms:///arn:aws:kms:REGION:ACCOUNT:key/ID, where ID is a UUID, or mrk- and 32 "
            "hexadecimal digits; an alias could be moved, and `aws kms describe-key --key-id alias/NAME` "
            "shows the ARN",
        )
    if not endpoint and _partition(arn) not in _SUFFIXES:
        why = f"the service's address in {_partition(arn)} is not known here; name it: awskms://HOST/{arn}"
        raise UsageError("bad-kms-key", why)
    return KmsKey(arn, found[2], endpoint or None)


class KmsRecipient:
    """A recipient that is a key in AWS KMS. Whoever wraps needs the right to ``kms:Encrypt``."""

    kind = AWSKMS

    def __init__(self, key: KmsKey, call: Call) -> None:
        self._key = key
        self._call = call
        self.key_id = key.key_id

    def wrap(self, dek: Dek, info: bytes) -> bytes:
        """Wrap a data key, bound to *info*, which must be a wrap context: the service gets its members.

        Raises:
            DeniedError, UsageError, UnavailableError: As `refusal`; ``bad-kms-answer``.
        """
        parameters = {"Plaintext": dek.key, **_named(self._key, info)}
        answer = _answered(self._call("encrypt", parameters), self._key)
        wrapped = answer.get("CiphertextBlob")
        if not isinstance(wrapped, bytes) or not 0 < len(wrapped) <= MAX_WRAPPED:
            raise _bad_answer("it has no ciphertext of a length that is possible")
        return wrapped

    def __repr__(self) -> str:
        return f"<KmsRecipient {self._key.arn}>"


class KmsOpener:
    """An opener that is a key in AWS KMS. Whoever unwraps needs the right to ``kms:Decrypt``."""

    kind = AWSKMS

    def __init__(self, key: KmsKey, call: Call) -> None:
        self._key = key
        self._call = call
        self.key_id = key.key_id

    def unwrap(self, untrusted_wrapped: bytes, info: bytes) -> bytearray:
        """Unwrap a data key that was bound to *info*; the caller owns and wipes what it gets.

        Raises:
            SealError: ``wrong-context``: wrapped for another artifact or key, or altered.
            DeniedError, UsageError, UnavailableError: As `refusal`; ``bad-kms-answer``.
        """
        parameters = {"CiphertextBlob": untrusted_wrapped, **_named(self._key, info)}
        answer = _answered(self._call("decrypt", parameters), self._key)
        opened = answer.get("Plaintext")
        if not isinstance(opened, bytes):
            raise _bad_answer("it has no plaintext")
        return bytearray(opened)

    def __repr__(self) -> str:
        return f"<KmsOpener {self._key.arn}>"


class KmsDestroyer:
    """Has a key in AWS KMS deleted.

    That needs the right to ``kms:ScheduleKeyDeletion``, and for a key that has a date already to
    ``kms:DescribeKey``.
    """

    kind = AWSKMS

    def __init__(self, key: KmsKey, call: Call, *, now: Callable[[], float]) -> None:
        self._key = key
        self._call = call
        self._now = now
        self.key_id = key.key_id
        self.name = key.arn

    def schedule_deletion(self, days: int) -> Deletion:
        """Ask the service to delete the key after 7 to 30 days, in which that can be taken back.

        From the answer on nothing can be unwrapped with it, whatever it was wrapped for, but with its
        replicas in other regions, if it has any (`is_multi_region`). A key that is to be
        deleted already is answered with the date that it has; one with replicas in other regions has none.
        A date that is not within 31 days, or was before yesterday, is none that the service gives.

        Raises:
            DeniedError, UsageError, UnavailableError: As `refusal`; ``bad-kms-answer``.
        """
        key = self._key
        try:
            answer = self._call("schedule_key_deletion", {"KeyId": key.arn, "PendingWindowInDays": days})
            return _deletion(_answered(answer, key), key, self._now())
        except DeniedError as error:
            if error.code != "kms-key-disabled":
                raise
            described = self._call("describe_key", {"KeyId": key.arn}).get("KeyMetadata")
            found = described if isinstance(described, dict) else {}
            if found.get("KeyState") not in _LEAVING:
                raise
            return _deletion(_answered(found, key, name="Arn"), key, self._now())

    def __repr__(self) -> str:
        return f"<KmsDestroyer {self._key.arn}>"


def refusal(untrusted_code: str, key: KmsKey) -> TrustkitError:
    """Return the error that a code of the service means.

    SealError ``wrong-context``; DeniedError ``kms-denied`` or ``kms-key-disabled``; UsageError
    ``no-such-kms-key`` or ``unsupported-kms-key``; everything else, what nobody foresaw too, is
    UnavailableError ``kms-unavailable``: throttled, late, or broken.
    """
    code = untrusted_code if _CODE.fullmatch(untrusted_code) else "?"
    if code in _OTHER_CONTEXT:
        return SealError(
            "wrong-context",
            "AWS KMS says that the wrapped key was made for another artifact or by another key, or altered",
            key=key.arn,
        )
    if code in _DENIED:
        why = f"AWS KMS does not allow it ({code}); look at the credentials, their policy and the key's"
        return DeniedError("kms-denied", why, key=key.arn, service_code=code)
    if code in _DISABLED:
        why = f"{key.arn} is disabled, or is to be deleted ({code}); only its owner can change that"
        return DeniedError("kms-key-disabled", why, key=key.arn, service_code=code)
    if code == "NotFoundException":
        return UsageError("no-such-kms-key", f"AWS KMS has no {key.arn}", key=key.arn)
    if code in _UNSUITED:
        why = f"{key.arn} cannot wrap keys ({code}); take a symmetric one for encryption and decryption"
        return UsageError("unsupported-kms-key", why, key=key.arn, service_code=code)
    why = f"AWS KMS could not answer ({code}); try again"
    return UnavailableError("kms-unavailable", why, key=key.arn, service_code=code)


def is_multi_region(arn: str) -> bool:
    """Say whether a key may have others in other regions, each of which unwraps what any of them wrapped."""
    return ":key/mrk-" in arn


def _partition(arn: str) -> str:
    return arn.split(":", 2)[1]


def _is_endpoint(untrusted: str) -> bool:
    port = untrusted.partition(":")[2]
    return _ENDPOINT.fullmatch(untrusted) is not None and (not port or 0 < int(port) <= _MAX_PORT)


def _named(key: KmsKey, info: bytes) -> dict[str, object]:
    """Name the key, the algorithm and the context; both sides must name the same."""
    members = strictjson.parse_object(info, max_bytes=_MAX_CONTEXT, what="wrap context", max_depth=1)
    context = {name: str(value) for name, value in members.items()}
    return {"KeyId": key.arn, "EncryptionContext": context, "EncryptionAlgorithm": _ALGORITHM}


def _answered(untrusted: Mapping[str, object], key: KmsKey, *, name: str = "KeyId") -> Mapping[str, object]:
    """Take an answer only if it is about the key that was asked for."""
    if untrusted.get(name) != key.arn:
        raise _bad_answer("it is about another key than it was asked for")
    return untrusted


def _deletion(answer: Mapping[str, object], key: KmsKey, now: float) -> Deletion:
    state, date = answer.get("KeyState"), answer.get("DeletionDate")
    if not isinstance(state, str) or state not in _LEAVING:
        raise _bad_answer("it does not say that the key is to be deleted")
    if not isinstance(date, datetime):
        if state == "PendingDeletion":
            raise _bad_answer("it does not say when the key will be deleted")
        return Deletion(AWSKMS, key.key_id, key.arn, state, None)
    return Deletion(AWSKMS, key.key_id, key.arn, state, _seconds(date, now))


def _seconds(untrusted: datetime, now: float) -> int:
    try:
        seconds = int(untrusted.timestamp())
    except (ValueError, OverflowError):
        seconds = 0
    if not now - _DAY <= seconds <= now + _LONGEST_DAYS * _DAY:  # a key goes up to a day after its date
        raise _bad_answer("it names a date on which no key is deleted; whether this one will be is not known")
    return seconds


def _bad_answer(why: str) -> UnavailableError:
    return UnavailableError("bad-kms-answer", f"AWS KMS answered with something that is no answer: {why}")
