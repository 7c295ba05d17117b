"""Scoring a corpus: nothing is lost, nothing fails silently, and a stopped run ends as an uninterrupted one."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from obverse.core import ConfigError, DataError, ObverseError, RunConflict
from obverse.data.scored import ScoredText
from obverse.data.scored_files import document_source, write_documents
from obverse.recipes import guarded, score
from obverse.recipes.guarded import Failure, GuardedScorer
from obverse.recipes.score import ScoreRequest, run_score
from scorers import SHOUTING

TEXTS = [f"Sentence {'ABCDEFGH'[i % 8] * (i % 3)} number {i}. It goes on. And ends here." for i in range(40)]


@pytest.fixture(scope="module")
def scorer(tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("scorer") / "shouting.py"
    path.write_text(SHOUTING)
    return f"{path}:Shouting"


@pytest.fixture
def request_for(tmp_path, scorer, monkeypatch):
    monkeypatch.setenv("OBVERSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(score, "MOST", 7)

    def make(texts=TEXTS, **given) -> ScoreRequest:
        path = tmp_path / "corpus.jsonl"
        path.write_text("".join(json.dumps({"text": t, "id": i}) + "\n" for i, t in enumerate(texts)))
        return replace(ScoreRequest(str(path), scorer, tmp_path / "out", timeout=60), **given)

    return make


def scored(out: Path) -> list[ScoredText]:
    return [document.text for document in document_source(str(out)).read()]


def capitals(text: str) -> float:
    return sum(map(str.isupper, text)) / len(text)


class TestScores:
    @pytest.mark.parametrize("format", ["jsonl", "parquet"])
    def test_each_sentence_is_scored_and_the_corpus_kept(self, request_for, format):
        result = run_score(request_for(format=format))
        found = scored(result.out)
        assert [text.text for text in found] == TEXTS
        assert [text.meta["id"] for text in found] == [*range(40)]
        assert all(len(text.segments) == 3 for text in found)
        for text in found:
            assert text.scores == pytest.approx([capitals(segment) for segment in text.segments])
        summary = result.summary
        assert (summary.documents, summary.scored, summary.segments, summary.empty) == (40, 40, 120, 0)
        assert summary.hits == sum(s > 0 for text in found for s in text.scores)
        assert summary.segment_quantiles[1.0] == max(s for text in found for s in text.scores)
        assert summary.document_mean == pytest.approx(sum(text.average for text in found) / 40)
        assert summary.unit == "capitals a character"
        assert not (result.out / "failed.jsonl").exists()
        assert json.loads((result.out / "summary.json").read_text())["document_quantiles"].keys() >= {"q0.5", "q0.95"}

    def test_how_documents_are_cut(self, request_for, tmp_path, scorer):
        assert len(scored(run_score(request_for(TEXTS[:2], split="none")).out)[0].segments) == 1
        write_documents(
            tmp_path / "cut.jsonl", [ScoredText(("One. Tw", "o."), (9.0, 9.0)), ScoredText(("A b. C",), (0.0,))]
        )
        request = ScoreRequest(str(tmp_path / "cut.jsonl"), scorer, tmp_path / "kept")
        assert [text.segments for text in scored(run_score(request).out)] == [("One. Tw", "o."), ("A b. ", "C")]
        again = replace(request, split="sentences", out=tmp_path / "anew")
        assert [text.segments for text in scored(run_score(again).out)] == [("One. ", "Two."), ("A b. ", "C")]

    def test_settings_limit_and_empty_documents(self, request_for):
        result = run_score(request_for(["", *TEXTS, " "], settings={"scale": 2.0}, limit=3))
        assert [text.text for text in scored(result.out)] == TEXTS[:2]
        assert scored(result.out)[1].scores[0] == pytest.approx(2 * capitals(scored(result.out)[1].segments[0]))
        assert (result.summary.documents, result.summary.empty) == (2, 1)

    def test_workers_change_nothing(self, request_for, tmp_path):
        one, two = (run_score(request_for(workers=n, out=tmp_path / str(n))) for n in (1, 2))
        assert scored(one.out) == scored(two.out)
        assert one.summary == two.summary

    def test_lines_are_scored_in_their_document(self, tmp_path):
        clean, bad, prose = "def f():\n    return 1\n", "def f(a,b):\n    return a+b\n", ("if x:\n  y", " = 1\n")
        path = tmp_path / "code.jsonl"
        write_documents(path, [ScoredText((text,), (0.0,)) for text in (clean, bad)] + [ScoredText(prose, (0.0, 0.0))])
        found = scored(run_score(ScoreRequest(str(path), "pep8", tmp_path / "out")).out)
        assert [text.scores for text in found[:2]] == [(0.0, 0.0), (1 / 12, 0.0)]  # no complaint about indentation
        assert found[2].segments == prose
        assert min(found[2].scores) > 0


class TestFailures:
    def test_they_are_counted_and_kept_apart(self, request_for):
        bad = {3: "RAISE it. Then.", 9: "Good. NAN here. Good.", 11: "Please DIE now."}
        texts = [bad.get(i, text) for i, text in enumerate(TEXTS)]
        result = run_score(request_for(texts))
        assert result.summary.failed == {"raised": 1, "died": 1, "no number": 1}
        assert (result.summary.documents, result.summary.scored) == (40, 37)
        assert [text.text for text in scored(result.out)] == [t for i, t in enumerate(texts) if i not in bad]
        failed = [json.loads(line) for line in (result.out / "failed.jsonl").read_text().splitlines()]
        assert ["".join(record["texts"]) for record in failed] == [*bad.values()]
        assert [record["meta"]["id"] for record in failed] == [*bad]
        assert failed[0]["failure"] == {
            "place": "corpus.jsonl, line 4", "kind": "raised", "reason": "ValueError: a word it cannot stand",
        }  # fmt: skip
        assert failed[1]["failure"]["reason"] == "Segment 2 of 3 could not be scored (1 in all)."
        assert "ended with code 3" in failed[2]["failure"]["reason"]
        assert [document.scored for document in document_source(str(result.out / "failed.jsonl")).read()] == [False] * 3

    def test_a_document_on_which_it_hangs(self, scorer):
        guard = GuardedScorer(scorer, {}, timeout=1.5)
        found = guard([("One.",), ("HANG.",), ("Two.",)])
        guard.close()
        assert found[0] == found[2] == (0.25,)
        assert found[1] == Failure("timed out", "The scorer took longer than 1.5 s.")
        with pytest.raises(ObverseError, match="Scoring was stopped"):
            guard([("One.",)])

    def test_all_failed(self, request_for):
        request = request_for(["RAISE. Then.", "RAISE"])
        with pytest.raises(ObverseError, match="failed on all 2 documents, as with: ValueError: a word it"):
            run_score(request)
        assert len((request.out / "failed.jsonl").read_text().splitlines()) == 2

    def test_too_few_scores(self, scorer):
        guard = GuardedScorer(scorer.replace("Shouting", "Short"), {}, timeout=60)
        found = guard([("One.", "Two."), ("Three.",)])
        guard.close()
        assert found == [Failure("no number", "The scorer gave 1 scores for 2 texts."), (0.0,)]

    def test_a_scorer_that_cannot_start(self, scorer, monkeypatch):
        guard = GuardedScorer(scorer, {"scales": 2}, timeout=60)
        with pytest.raises(ConfigError, match="scales") as raised:
            run_score(ScoreRequest("facts", scorer, Path("never"), settings={"scales": 2}))
        with pytest.raises(ObverseError) as from_process:
            guard([("One.",)])
        assert str(from_process.value) == str(raised.value)
        with pytest.raises(ObverseError, match="ended with code 4 as it started"):
            GuardedScorer(scorer.replace("Shouting", "Broken"), {}, timeout=60)([("One.",)])

    def test_nothing_to_score(self, request_for):
        with pytest.raises(DataError, match="holds no document with text"):
            run_score(request_for(["", " "]))


class TestResume:
    def test_a_stopped_run_ends_as_an_uninterrupted_one(self, request_for, tmp_path, monkeypatch):
        whole = run_score(request_for(out=tmp_path / "whole"))
        write, written = score._written, []

        def stops(folder, chunk, outcomes, format):
            record = write(folder, chunk, outcomes, format)
            written.append(chunk.id)
            if len(written) == 3:
                raise KeyboardInterrupt  # after the file is there, before it is noted
            return record

        monkeypatch.setattr(score, "_written", stops)
        with pytest.raises(KeyboardInterrupt):
            run_score(request_for())
        assert not (tmp_path / "out" / "summary.json").exists()
        again = run_score(request_for())
        assert again.resumed
        assert written == [*(f"{i:06d}" for i in (0, 1, 2, 2, 3, 4, 5))]
        assert again.summary == whole.summary
        for file in (whole.out / "documents").iterdir():
            assert (again.out / "documents" / file.name).read_bytes() == file.read_bytes()

    def test_a_finished_run_is_not_done_again(self, request_for, monkeypatch):
        first = run_score(request_for())
        monkeypatch.setattr(guarded, "_context", None)  # no process can start
        assert run_score(request_for()).summary == first.summary

    def test_another_corpus_or_scorer_is_refused(self, request_for):
        run_score(request_for(TEXTS[:3]))
        with pytest.raises(RunConflict, match="corpus"):
            run_score(request_for(TEXTS[:4]))
        with pytest.raises(RunConflict, match=r"settings\.scale: 3"):
            run_score(request_for(TEXTS[:3], settings={"scale": 3}))
        with pytest.raises(RunConflict, match="holds a run already"):
            run_score(request_for(TEXTS[:3], resume=False))
        assert run_score(request_for(TEXTS[:4], replace=True)).summary.documents == 4


@pytest.mark.slow
@pytest.mark.enable_socket
@pytest.mark.timeout(200, method="thread")
def test_ray_gives_the_same(request_for, tmp_path):
    pytest.importorskip("ray")
    texts = [*TEXTS, "RAISE. And more."]
    one = run_score(request_for(texts, out=tmp_path / "one"))
    two = run_score(request_for(texts, out=tmp_path / "two", ray="local", workers=1))
    assert scored(two.out) == scored(one.out)
    assert two.summary == one.summary
