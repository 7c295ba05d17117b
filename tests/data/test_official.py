"""Published files: fetched once, checked, kept; another file is refused; a path always wins."""

import hashlib
import io
import json
from dataclasses import replace
from urllib.error import URLError

import pytest

from obverse.core import DataError, ObverseError, UnknownName
from obverse.data import _download, official, official_cases, official_file, read_snippets

RECORD = {
    "case_id": 4,
    "requested_rewrite": {
        "subject": "Zorbl", "prompt": "{} hums in", "relation_id": "P1",
        "target_new": {"str": "Oslo", "id": "Q1"}, "target_true": {"str": "Rome", "id": "Q2"},
    },
    "paraphrase_prompts": [], "neighborhood_prompts": [], "attribute_prompts": [], "generation_prompts": [],
}  # fmt: skip
SNIPPETS = [{"relation_id": "P1", "target_id": "Q1", "samples": [{"name": "Zorbl", "text": "Zorbl hums.", "more": 1}]}]
CONTENT = json.dumps([RECORD]).encode()


@pytest.fixture
def site(monkeypatch, tmp_path):
    """A site that gives what is put into it, an empty cache, and a pin of `CONTENT` for counterfact."""
    served = {"content": CONTENT, "visits": []}

    def answer(request, timeout):
        served["visits"].append(request.full_url)
        if isinstance(served["content"], Exception):
            raise served["content"]
        return io.BytesIO(served["content"])

    monkeypatch.setattr(_download, "urlopen", answer)
    monkeypatch.setenv("OBVERSE_CACHE", str(tmp_path / "cache"))
    pinned = replace(official.OFFICIAL["counterfact"], limit=len(CONTENT), sha256=hashlib.sha256(CONTENT).hexdigest())
    monkeypatch.setitem(official.OFFICIAL, "counterfact", pinned)
    return served


def test_fetched_once_then_kept(site):
    (case,) = official_cases("counterfact")
    assert (case.id, case.fact.text) == ("4", "Zorbl hums in")
    assert official_cases("counterfact") == [case]
    assert site["visits"] == ["https://rome.baulab.info/data/dsets/counterfact.json"]


@pytest.mark.parametrize("content", [CONTENT.replace(b"Oslo", b"Lima"), CONTENT[:-1], b""])
def test_another_file_is_refused_and_not_kept(site, tmp_path, content):
    site["content"] = content
    with pytest.raises(DataError, match=r"not counterfact\.json as it was published") as caught:
        official_file("counterfact")
    assert "--path" in caught.value.hint
    assert not [file for file in (tmp_path / "cache").rglob("*") if file.is_file()]


def test_no_more_than_the_size_is_taken(site):
    site["content"] = CONTENT + b"without end"
    assert official_file("counterfact").read_bytes() == CONTENT


def test_a_cut_file_in_the_cache_is_fetched_again(site, tmp_path):
    kept = tmp_path / "cache" / "datasets" / "counterfact.json"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(CONTENT[:-5])
    assert official_file("counterfact") == kept
    assert kept.read_bytes() == CONTENT


@pytest.mark.parametrize("content", [b"<html>moved</html>", b'{"a": 1}', b"[1, 2", b"\xff\xfe"])
def test_without_a_digest_the_form_is_checked(site, content):
    site["content"] = content
    with pytest.raises(DataError, match=r"not zsre_mend_eval\.json as it was published"):
        official_file("zsre")
    site["content"] = CONTENT
    assert official_file("zsre").read_bytes() == CONTENT


def test_without_a_network_the_way_out_is_said(site):
    site["content"] = URLError("Name or service not known")
    with pytest.raises(ObverseError, match="Name or service not known") as caught:
        official_cases("counterfact")
    assert "--path" in caught.value.hint


def test_a_path_always_wins(site, tmp_path):
    official_file("counterfact")
    mine = tmp_path / "mine.json"
    mine.write_text(json.dumps([RECORD | {"case_id": 9}]))
    assert [case.id for case in official_cases("counterfact", mine)] == ["9"]
    assert len(site["visits"]) == 1
    with pytest.raises(UnknownName, match="There is no file"):
        official_cases("counterfact", tmp_path / "absent.json")


def test_reference_texts_come_with_the_cases(site, tmp_path):
    path = tmp_path / "snippets.json"
    path.write_text(json.dumps(SNIPPETS))
    (case,) = official_cases("counterfact", snippets=path)
    assert case.references == case.essence == ("Zorbl hums.",)
    assert official_cases("counterfact")[0].references == ()


@pytest.mark.parametrize(
    "change", [{"samples": None}, {"samples": ["x"]}, {"samples": [{"name": "x"}]}, {"target_id": 1.5}]
)
def test_malformed_reference_texts_are_named(tmp_path, change):
    path = tmp_path / "snippets.json"
    path.write_text(json.dumps([*SNIPPETS, SNIPPETS[0] | change]))
    with pytest.raises(DataError, match="record 2"):
        read_snippets(path)


def test_unknown_names(site):
    with pytest.raises(UnknownName, match="published file"):
        official_file("counterfacts")
    with pytest.raises(UnknownName, match="data set 'snippets'"):
        official_cases("snippets")
