"""A small model of the demo's own, computed here: a bigram language model in the formats of real ones.

It writes sentences by a small grammar (``train.parquet``), counts which word follows
which, and saves smoothed log-probabilities and word vectors as tensors, with a word
tokenizer and a configuration: no pretence, it can be loaded and sampled. The table of
4096 x 4096 is what makes it 64 MiB; most of its vocabulary is unused, as in larger models.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import TYPE_CHECKING

from trustkit import strictjson

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

VOCABULARY = 4096
"""Words in the tokenizer; the transition table is this number squared, of four bytes each."""
SENTENCES = 20_000
"""Rows of the dataset."""
VECTOR = 64
"""Length of a word vector."""

_SUBJECTS = (
    "the scheduler|a quiet model|the old cluster|every signed file|our broker|a tenant|the auditor|one node"
)
_VERBS = "checks|remembers|refuses|opens|admits|forgets|measures|copies|signs|waits for"
_OBJECTS = (
    "the weights|a digest|the manifest|its key|every byte|the last request|a proof|nothing at all|the record"
)
_TAILS = "today|before dawn|twice|without haste|in order|when asked|as promised|and says why|again and again"


def make_model(folder: Path, *, seed: int) -> dict[str, int]:
    """Write dataset, tokenizer, configuration and weights into a new folder; return sizes in bytes.

    Args:
        folder: Where they go; must not exist.
        seed: Which sentences are drawn; the same seed gives the same files.
    """
    folder.mkdir(parents=True)
    sentences = _sentences(seed)
    _write_dataset(folder / "train.parquet", sentences)
    words = _vocabulary(sentences)
    _write_tokenizer(folder, words)
    _write_weights(folder / "model.safetensors", sentences, words)
    configuration = {
        "architectures": ["BigramForCausalLM"],
        "model_type": "bigram",
        "vocab_size": VOCABULARY,
        "hidden_size": VECTOR,
        "torch_dtype": "float32",
        "bos_token_id": 1,
        "eos_token_id": 2,
        "trained_on": {"file": "train.parquet", "rows": SENTENCES},
    }
    (folder / "config.json").write_bytes(strictjson.to_bytes(configuration, indent=2))
    return {path.name: path.stat().st_size for path in sorted(folder.iterdir())}


def _sentences(seed: int) -> list[str]:
    import numpy as np

    parts = [part.split("|") for part in (_SUBJECTS, _VERBS, _OBJECTS, _TAILS)]
    draws = np.random.default_rng(seed).integers(0, 1 << 30, size=(SENTENCES, len(parts)))
    return [
        " ".join(words[draw % len(words)] for words, draw in zip(parts, row, strict=True)) for row in draws
    ]


def _vocabulary(sentences: list[str]) -> list[str]:
    words = sorted({word for sentence in sentences for word in sentence.split()})
    known = ["<unk>", "<s>", "</s>", *words]
    return known + [f"<unused{number}>" for number in range(VOCABULARY - len(known))]


def _write_dataset(path: Path, sentences: list[str]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = pa.table(
        {"id": pa.array(range(len(sentences)), pa.int32()), "text": pa.array(sentences, pa.string())}
    )
    pq.write_table(rows, path, compression="zstd")


def _write_tokenizer(folder: Path, words: list[str]) -> None:
    special = [
        {"id": number, "content": words[number], "special": True, "normalized": False}
        | {"single_word": False, "lstrip": False, "rstrip": False}
        for number in range(3)
    ]
    tokenizer = {
        "version": "1.0",
        "added_tokens": special,
        "pre_tokenizer": {"type": "WhitespaceSplit"},
        "model": {"type": "WordLevel", "unk_token": "<unk>", "vocab": {w: n for n, w in enumerate(words)}},
    }
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "unk_token": "<unk>",
        "bos_token": "<s>",
        "eos_token": "</s>",
    }
    (folder / "tokenizer.json").write_bytes(strictjson.to_bytes(tokenizer, indent=2))
    (folder / "tokenizer_config.json").write_bytes(strictjson.to_bytes(settings, indent=2))


def _write_weights(path: Path, sentences: list[str], words: list[str]) -> None:
    import numpy as np
    from safetensors.numpy import save_file

    numbers = {word: number for number, word in enumerate(words)}
    counts: NDArray[np.float32] = np.zeros((VOCABULARY, VOCABULARY), np.float32)
    for sentence in sentences:
        ids = [1, *(numbers[word] for word in sentence.split()), 2]
        for before, after in itertools.pairwise(ids):
            counts[before, after] += 1
    single = counts.sum(axis=0) + 0.1
    used = sum(not word.startswith("<unused") for word in words)
    left, strength, _ = np.linalg.svd(np.log1p(counts[:used, :used]), full_matrices=False)
    vectors = np.zeros((VOCABULARY, VECTOR), np.float16)
    vectors[:used, : min(used, VECTOR)] = (left * np.sqrt(strength))[:, :VECTOR]
    counts += 0.1 / VOCABULARY
    np.log(counts / counts.sum(axis=1, keepdims=True), out=counts)
    tensors = {
        "transition.log_probability": counts,
        "unigram.log_probability": np.log(single / single.sum()).astype(np.float32),
        "embedding.weight": vectors,
    }
    save_file(tensors, path, metadata={"format": "pt", "dataset": "train.parquet"})
