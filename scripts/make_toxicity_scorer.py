"""Train the toxicity scorer that comes with the package, and write its weights.

The teacher is alt-profanity-check (MIT), which is asked about bags of words of its own vocabulary; hostility without
swear words and harmless neighbours come from ``toxicity_sentences.py``, other harmless text from docstrings of the
standard library and Webster's second dictionary (public domain). No corpus of toxic text is read. It needs
``pip install alt-profanity-check==1.9.1 english-words==2.0.2``, then ``python scripts/make_toxicity_scorer.py``
(a few minutes on one core); ``--check FILE`` measures the result on a JSONL file of texts with scores.
"""

from __future__ import annotations

import argparse
import json
import re
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from english_words import get_english_words_set
from profanity_check import predict_prob
from profanity_check.profanity_check import vectorizer
from safetensors.numpy import save
from scipy.optimize import minimize
from scipy.sparse import csr_matrix, vstack
from scipy.stats import spearmanr
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS
from sklearn.metrics import roc_auc_score

from obverse.core import write_whole
from obverse.data.corpus import corpus
from obverse.measuring.scorers import _hashed
from obverse.measuring.scorers.toxicity import WEIGHTS, Toxicity, ToxicityConfig
from toxicity_sentences import GROUPS, IDENTITIES, filled

OUT = Path(__file__).parents[1] / "src" / "obverse" / "measuring" / "scorers" / WEIGHTS
SEED = 0
BAGS, HARMLESS_BAGS, DOCSTRINGS, SENTENCES, DISGUISED = 60_000, 15_000, 15_000, 12_000, 12_000
HOSTILE, CLEAN = 0.85, 0.02
PENALTY = 2e-6
"""Of the squared weights, per example."""
UNSAID = {word.lower() for name in (*GROUPS, *IDENTITIES) for word in name.split()}
"""Words for people, which the teacher is not shown: it takes some of them for abuse."""


def teacher(texts: list[str]) -> np.ndarray:
    """Return the teacher's probability, of the text without words for people."""
    return predict_prob([" ".join(w for w in t.split() if w.lower().strip(".,!?") not in UNSAID) for t in texts])


def examples(draws: np.random.Generator) -> tuple[list[str], np.ndarray]:
    """Return texts and their targets."""
    vocabulary = np.array([w for w in vectorizer.get_feature_names_out() if w.isalpha()])
    known = teacher(list(vocabulary))
    small = np.array(sorted(ENGLISH_STOP_WORDS))
    rare = np.array(sorted(get_english_words_set(["web2"], lower=True, alpha=True)))
    toxic = np.clip(known - 0.15, 0, 1)

    def bag(bad: bool) -> str:
        length = int(draws.integers(2, 25))
        words = [*draws.choice(vocabulary, max(1, length // 2)), *draws.choice(small, length - length // 2)]
        if bad:
            words += list(draws.choice(vocabulary, int(draws.integers(1, 3)), p=toxic / toxic.sum()))
        draws.shuffle(words)
        return " ".join(words)

    plain = [bag(bool(draws.random() < 0.5)) for _ in range(BAGS)]
    split = (part for text in corpus("docstrings", SEED).texts() for part in re.split(r"(?<=[.!?])\s|\n\n", text))
    sentences = list(islice((part.strip() for part in split if len(part.split()) > 2), DOCSTRINGS))
    other = [" ".join(draws.choice(rare, int(draws.integers(1, 10)))) for _ in range(HARMLESS_BAGS)]
    hostile, harmless = filled(draws, SENTENCES)
    disguised = list(vocabulary[draws.choice(len(vocabulary), DISGUISED, p=known**2 / (known**2).sum())])
    texts = [*vocabulary, *plain, *sentences, *other]
    hidden = [disguise(word, draws) for word in disguised]
    targets = np.concatenate([
        teacher(texts), np.full(len(hostile), HOSTILE), np.full(len(harmless), CLEAN), teacher(disguised)
    ])  # fmt: skip
    return [*texts, *hostile, *harmless, *hidden], np.clip(targets, CLEAN, 0.99)


def disguise(word: str, draws: np.random.Generator) -> str:
    """Return a word as it is written to pass a filter: look-alike signs, a letter doubled, dropped or starred."""
    at = int(draws.integers(1, max(2, len(word) - 1)))
    ways = (
        word.translate(str.maketrans("aeios", "@3!0$")),
        word[:at] + "*" + word[at + 1 :],
        word[:at] + word[at : at + 1] * 3 + word[at + 1 :],
        word[:at] + "-" + word[at:],
        word + "s",
        word + "ing",
    )
    return ways[draws.integers(len(ways))]


def matrix(texts: list[str]) -> csr_matrix:
    """Return the scorer's features of texts, a row each."""
    parts = []
    for some in _hashed.batches(texts):
        found = _hashed.grams(some)
        parts.append(csr_matrix((found.values, (found.texts, found.buckets)), (len(some), 2 * _hashed.SIZE)))
    return vstack(parts, "csr")


def fit(features: csr_matrix, targets: np.ndarray) -> tuple[np.ndarray, float]:
    """Return weights and bias of the logistic regression on soft targets."""
    transposed = features.T.tocsr()

    def cost(at: np.ndarray) -> tuple[float, np.ndarray]:
        odds = features @ at[:-1] + at[-1]
        loss = np.mean(np.logaddexp(0, odds) - targets * odds) + PENALTY * at[:-1] @ at[:-1]
        slope = (1 / (1 + np.exp(-odds)) - targets) / len(targets)
        return float(loss), np.append(transposed @ slope + 2 * PENALTY * at[:-1], slope.sum())

    found = minimize(cost, np.zeros(features.shape[1] + 1), jac=True, method="L-BFGS-B", options={"maxiter": 150})
    return found.x[:-1], float(found.x[-1])


def check(file: Path) -> dict[str, Any]:
    """Return how the scorer's scores go with those of a JSONL file of ``text`` and ``score``."""
    records = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    truth = np.array([record["score"] for record in records])
    given = np.array(Toxicity(ToxicityConfig()).score([record["text"] for record in records]))
    bad = truth > 0.5
    bins = np.minimum((given * 10).astype(int), 9)
    table = {b: (int((bins == b).sum()), given[bins == b].mean(), bad[bins == b].mean()) for b in sorted(set(bins))}
    gap = sum(n * abs(p - share) for n, p, share in table.values()) / len(given)
    return {
        "n": len(given),
        "auc": float(roc_auc_score(bad, given)),
        "spearman": float(spearmanr(truth, given).statistic),
        "ece": float(gap),
        "reliability": [{"n": n, "score": float(p), "toxic": float(share)} for n, p, share in table.values()],
    }


def main() -> None:
    """Train and write, or measure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", type=Path, help="measure on this JSONL file of text and score, and stop")
    asked = parser.parse_args()
    if asked.check:
        print(json.dumps(check(asked.check), indent=1))  # noqa: T201
        return
    texts, targets = examples(np.random.default_rng(SEED))
    weights, bias = fit(matrix(texts), targets)
    tensors = {
        "words": weights[: _hashed.SIZE].astype(np.float16),
        "characters": weights[_hashed.SIZE :].astype(np.float16),
        "bias": np.array([bias], np.float32),
    }
    told = {"teacher": f"alt-profanity-check {version('alt-profanity-check')} (MIT)", "texts": str(len(texts))}
    write_whole(OUT, lambda part: part.write_bytes(save(tensors, told)))


if __name__ == "__main__":
    main()
