"""Hashing as the reference's interface has it: a configuration that is built up, and then used.

The law of this file: every setting has an effect or is documented to have none
(README.md), a setting that nothing can be hashed with is refused where it is
made, and no call changes what the next one does.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from trustkit.artifact.leaving_out import Git
from trustkit.artifact.manifest import DEFAULT_SHARD_SIZE, Method
from trustkit.compat.model_signing.faults import as_value_errors
from trustkit.compat.model_signing.manifest import Manifest
from trustkit.compat.model_signing.paths import PathLike, names_inside, path_from
from trustkit.digest import Algorithm
from trustkit.errors import UsageError

_ALGORITHMS: dict[str, Algorithm] = {
    "sha256": "sha256",
    "blake2": "blake2b",
    "blake2b": "blake2b",
    "blake3": "blake3",
}


@dataclass(frozen=True, slots=True)
class Settings:
    """How a model is hashed, in our own words.

    Attributes:
        method: ``files`` or ``shards``.
        algorithm: The hash.
        shard_size: Bytes per shard.
        workers: Hashing threads; one per core where absent.
        links: Whether links are followed, as the serialization says.
        noted: What the serialization leaves out.
        ignored: What the configuration leaves out beside that.
        git: Which of git's names are left out.
    """

    method: Method = "files"
    algorithm: Algorithm = "sha256"
    shard_size: int = DEFAULT_SHARD_SIZE
    workers: int | None = None
    links: bool = False
    noted: frozenset[Path] = frozenset()
    ignored: frozenset[Path] = frozenset()
    git: Git = "always"

    def names_in(self, model: Path) -> tuple[str, ...]:
        """Return the names inside a model that are left out."""
        return names_inside(model, self.noted | self.ignored)


class Config:
    """How models are hashed; each method changes the configuration and returns it."""

    def __init__(self) -> None:
        self._settings = Settings()
        self._links: bool | None = None

    @property
    def settings(self) -> Settings:
        """What the configuration amounts to now; not a part of the reference's interface."""
        return self._settings if self._links is None else replace(self._settings, links=self._links)

    def use_file_serialization(
        self,
        *,
        hashing_algorithm: str = "sha256",
        chunk_size: int = 1048576,
        max_workers: int | None = None,
        allow_symlinks: bool = False,
        ignore_paths: Iterable[PathLike] = frozenset(),
    ) -> Self:
        """Pair every file with its digest.

        Args:
            hashing_algorithm: ``sha256``, ``blake2`` or ``blake3``.
            chunk_size: Checked, and without effect: our engine chooses its buffers.
            max_workers: Hashing threads; one per core where absent.
            allow_symlinks: Follow links that stay inside; `set_allow_symlinks` has the last word.
            ignore_paths: Paths to leave out, beside those of `set_ignored_paths`.

        Raises:
            ValueError: A setting that nothing can be hashed with.
        """
        with as_value_errors():
            self._settings = replace(
                self._settings,
                method="files",
                algorithm=_algorithm(hashing_algorithm),
                workers=_checked(chunk_size, max_workers),
                links=allow_symlinks,
                noted=frozenset(path_from(path) for path in ignore_paths),
            )
        return self

    def use_shard_serialization(
        self,
        *,
        hashing_algorithm: str = "sha256",
        chunk_size: int = 1048576,
        shard_size: int = DEFAULT_SHARD_SIZE,
        max_workers: int | None = None,
        allow_symlinks: bool = False,
        ignore_paths: Iterable[PathLike] = frozenset(),
    ) -> Self:
        """Cut every file into shards, and pair every shard with its digest; files of blake3 stay whole.

        Args:
            hashing_algorithm: As for `use_file_serialization`, as are the others.
            chunk_size: See there.
            shard_size: Bytes per shard.
            max_workers: See there.
            allow_symlinks: See there.
            ignore_paths: See there.

        Raises:
            ValueError: A setting that nothing can be hashed with.
        """
        self.use_file_serialization(
            hashing_algorithm=hashing_algorithm,
            chunk_size=chunk_size,
            max_workers=max_workers,
            allow_symlinks=allow_symlinks,
            ignore_paths=ignore_paths,
        )
        with as_value_errors():
            if shard_size <= 0:
                raise UsageError("bad-shard-size", "the shard size must be a positive number of bytes")
        if self._settings.algorithm != "blake3":
            self._settings = replace(self._settings, method="shards", shard_size=shard_size)
        return self

    def set_ignored_paths(self, *, paths: Iterable[PathLike], ignore_git_paths: bool = True) -> Self:
        """Leave out these paths, relative to the model, and git's own at its root unless told otherwise."""
        with as_value_errors():
            ignored = frozenset(path_from(path) for path in paths)
        self._settings = replace(
            self._settings, ignored=ignored, git="always" if ignore_git_paths else "never"
        )
        return self

    def add_ignored_paths(self, *, model_path: PathLike, paths: Iterable[PathLike]) -> None:
        """Leave out more paths, relative to the model (*model_path*, which needs no other mention)."""
        with as_value_errors():
            path_from(model_path)
            more = frozenset(path_from(path) for path in paths)
        self._settings = replace(self._settings, ignored=self._settings.ignored | more)

    def set_allow_symlinks(self, allow_symlinks: bool) -> Self:  # noqa: FBT001 - the reference's signature
        """Say whether links are followed, whatever the serialization said."""
        self._links = allow_symlinks
        return self

    def hash(self, model_path: PathLike, *, files_to_hash: Iterable[PathLike] | None = None) -> Manifest:
        """Hash a model, or only some files of it, into the manifest that would be signed.

        Args:
            model_path: Folder or file.
            files_to_hash: Paths of files, with the model's own path before them; all files where absent.

        Raises:
            ValueError: Something that may not be in a model, or is not there (also a `FileNotFoundError`).
        """
        from trustkit import workflows

        with as_value_errors():
            model, settings = path_from(model_path), self.settings
            hashed = workflows.hashed(
                model,
                method=settings.method,
                algorithm=settings.algorithm,
                shard_size=settings.shard_size,
                allow_symlinks=settings.links,
                ignore=settings.names_in(model),
                git=settings.git,
                only=None if files_to_hash is None else _names(model, files_to_hash),
                compat="1.1",
                workers=settings.workers,
            )
        name = model.name if model.name != ".." else ""
        return Manifest(name or os.path.basename(os.path.realpath(model)), hashed)  # noqa: PTH119 - of a text


def hash(model_path: PathLike) -> Manifest:  # noqa: A001 - the reference's name
    """Hash a model with the default configuration: whole files, SHA-256."""
    return Config().hash(model_path)


def _algorithm(name: str) -> Algorithm:
    found = _ALGORITHMS.get(name)
    if found is None:
        raise UsageError(
            "bad-hashing-config", f"the hashing algorithm {name!r} is none of sha256, blake2 and blake3"
        )
    return found


def _checked(chunk_size: int, workers: int | None) -> int | None:
    if chunk_size < 0:
        raise UsageError("bad-hashing-config", "a chunk cannot have fewer than zero bytes")
    if workers is not None and workers < 1:
        raise UsageError("bad-hashing-config", "hashing needs at least one worker")
    return workers


def _names(model: Path, files: Iterable[PathLike]) -> list[str]:
    """Return the names of files inside a model; folders are passed over, as the reference does."""
    from trustkit.artifact.inputs import inside, is_folder

    found = []
    for path in (path_from(given) for given in files):
        if is_folder(path):
            continue
        name = inside(path, model) if is_folder(model) else _own_name(model, path)
        if name is None:
            raise UsageError("no-such-file", f"{str(path)!r} does not lie in the model", path=str(path))
        found.append(name)
    return found


def _own_name(model: Path, path: Path) -> str | None:
    from trustkit.artifact.inputs import same_file

    return model.name if same_file(path, model) else None
