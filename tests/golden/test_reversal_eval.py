"""Verdicts, character BLEU and log-probabilities of the original evaluation programs."""

import json

import pytest
from tests.golden.conftest import FOLDER

from obverse.measuring._reversal_asking import scored_end
from obverse.measuring.openai_server import Completion, ServerError
from obverse.measuring.reversal_metrics import char_bleu, contains, prefix_match

PATH = FOLDER / "reversal"

pytestmark = pytest.mark.skipif(not PATH.is_dir(), reason="no golden folder (set OBVERSE_GOLDEN)")


def rows(name):
    return [json.loads(line) for line in (PATH / f"{name}.jsonl").read_text("utf-8").splitlines()]


def test_verdicts_of_experiment_1():
    for row in rows("exp1_verdicts"):
        found = prefix_match(row["completion"], row["target"], case_sensitive=row["case_sensitive"])
        assert found == row["correct"], row["id"]


def test_verdicts_of_experiment_3():
    for row in rows("exp3_verdicts"):
        assert prefix_match(row["completion"], row["target_used"]) == row["correct"], row["id"]


def test_names_by_containment():
    for row in rows("bico_name_match"):
        assert contains(row["completion"], row["target"]) == row["contains_match"], row


def test_descriptions_by_bleu_of_characters():
    for row in rows("bico_description_bleu"):
        found = char_bleu(row["completion"], row["target"])
        assert found == pytest.approx(row["char_bleu"], abs=1e-12), row
        assert (found < 1e-50) == (row["char_bleu"] < 1e-50)


def test_log_probabilities_of_answers():
    for row in rows("target_logprob_cases"):
        text = "".join(row["tokens"])
        found = Completion(text, tuple(row["tokens"]), tuple(row["token_logprobs"]))
        if text.endswith(row["target"]):
            prompt = text.removesuffix(row["target"])
            assert scored_end(found, prompt, row["target"]).logprob == pytest.approx(row["sum"])
        else:  # the original sums every token there, the prompt's too
            assert row["sum"] == sum(row["token_logprobs"][1:])
            with pytest.raises(ServerError, match="other tokens"):
                scored_end(found, text, row["target"])
