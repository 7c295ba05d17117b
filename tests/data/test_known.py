"""Sets of facts by name: the known statements are the published ones or refused; any file is a set."""

import hashlib
import io
import json
import os
from pathlib import Path
from urllib.error import URLError

import pytest

from obverse.core import DataError, Fact, ObverseError, UnknownName
from obverse.data import _download, known
from obverse.data.known import builtin_facts, dataset, known_facts
from obverse.data.relations import relation_of

EVEN = Path(os.environ.get("OBVERSE_DATA", Path(__file__).parents[3] / "shared" / "data")) / "known" / "known_even.json"


def record(id, **changes):
    subject = f"Zorbl {id}"
    return {
        "known_id": id, "subject": subject, "attribute": "Oslo", "template": "{} hums", "prediction": " in Oslo.",
        "prompt": f"{subject} hums in", "relation_id": "P1", **changes,
    }  # fmt: skip


PUBLISHED = [record(id) for id in range(known.COUNT)]


def digest(records):
    """What the constant's docstring says, written anew."""
    half = sorted((r for r in records if r["known_id"] % 2 == 0), key=lambda r: r["known_id"])
    kept = [{key: r[key] for key in sorted(known.DIGESTED)} for r in half]
    return hashlib.sha256(json.dumps(kept, ensure_ascii=False, separators=(",", ":")).encode()).hexdigest()


@pytest.fixture
def site(monkeypatch, tmp_path):
    """A site that gives what is put into it, and an empty cache."""
    served = {"records": PUBLISHED, "visits": 0}

    def answer(request, timeout):
        assert request.full_url == known.URL
        assert 0 < timeout <= 60
        served["visits"] += 1
        if isinstance(served["records"], Exception):
            raise served["records"]
        return io.BytesIO(json.dumps(served["records"]).encode())

    monkeypatch.setattr(_download, "urlopen", answer)
    monkeypatch.setattr(known, "DIGEST", digest(PUBLISHED))
    monkeypatch.setenv("OBVERSE_CACHE", str(tmp_path / "cache"))
    return served


@pytest.mark.skipif(not EVEN.is_file(), reason=f"{EVEN} is absent (set OBVERSE_DATA)")
def test_the_published_half_is_the_one_pinned():
    records = json.loads(EVEN.read_text("utf-8"))
    assert [r["known_id"] for r in records] == list(range(0, 1209, 2))
    assert digest(records) == known.DIGEST
    cases = known_facts(EVEN)
    assert [case.id for case in cases] == [str(r["known_id"]) for r in records]
    assert [case.fact.text for case in cases] == [r["prompt"] for r in records]
    assert [case.fact.span[0] for case in cases] == [r["template"].index("{}") for r in records]
    full = records + [record(id) for id in range(1, 1209, 2)]
    assert known._rows_if_published(json.dumps(full).encode()) is not None


def test_fetched_once_then_kept(site):
    cases = dataset("known")
    assert len(cases) == 1209
    assert cases[3].id == "3"
    assert cases[3].fact == Fact("Zorbl 3", "{} hums in", "Oslo", relation="P1")
    assert dataset("known") == cases
    assert site["visits"] == 1


@pytest.mark.parametrize("content", ["", "[]", json.dumps(PUBLISHED)[:-9], json.dumps(PUBLISHED[:-1])])
def test_a_damaged_cache_is_fetched_again(site, tmp_path, content):
    kept = tmp_path / "cache" / "datasets" / "known_1000.json"
    kept.parent.mkdir(parents=True)
    kept.write_text(content)
    assert len(known_facts()) == 1209
    assert (site["visits"], json.loads(kept.read_text())) == (1, PUBLISHED)


@pytest.mark.parametrize(
    "records",
    [
        [record(0, attribute="Rome"), *PUBLISHED[1:]],
        [*PUBLISHED[:-1], record(1208, prompt="Zorbl 1208 hums at")],
        PUBLISHED[:-2],
        [*PUBLISHED, record(1209)],
        [*PUBLISHED, record(1)],
        [*PUBLISHED[:1], *PUBLISHED[2:], record(2)],
        {"error": "moved"},
        [1, 2],
    ],
)
def test_another_file_than_the_published_one_is_refused_and_not_kept(site, tmp_path, records):
    site["records"] = records
    with pytest.raises(DataError, match="not the file of 1,209 known facts"):
        known_facts()
    assert not list((tmp_path / "cache").rglob("*.json"))


def test_order_and_further_fields_do_not_matter_to_the_check(site):
    site["records"] = [record(id, prediction="?", new=1) for id in reversed(range(1209))]
    assert known_facts()[0].id == "1208"


def test_without_a_network_the_way_out_is_said(site):
    site["records"] = URLError("Name or service not known")
    with pytest.raises(ObverseError, match="Name or service not known") as caught:
        dataset("known")
    assert known.URL in caught.value.message
    assert "give it as the data set" in caught.value.hint


def test_a_download_without_end_is_cut(site, monkeypatch):
    monkeypatch.setattr(known, "BYTES", 1000)
    with pytest.raises(DataError, match="not the file"):
        known_facts()


@pytest.mark.parametrize("ending", ["json", "jsonl"])
def test_a_file_of_known_facts_is_recognized(tmp_path, ending):
    records = PUBLISHED[4:6]
    path = tmp_path / f"part.{ending}"
    path.write_text(json.dumps(records) if ending == "json" else "\n".join(map(json.dumps, records)))
    assert [case.id for case in dataset(str(path))] == ["4", "5"]
    assert dataset(str(path)) == known_facts(path)


def test_any_file_of_facts_is_a_set(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text("subject,prompt,target\nSpace Needle,The {} is in,Seattle\n")
    (case,) = dataset(str(path))
    assert case.fact == Fact("Space Needle", "The {} is in", "Seattle")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"prompt": "It hums in"}, "record 2: The subject 'Zorbl 1' does not occur"),
        ({"known_id": 0, "subject": "Zorbl 1"}, "record 2: the id '0' stands twice"),
        ({"attribute": " "}, "record 2: 'attribute' is empty"),
    ],
)
def test_a_malformed_record_is_named(tmp_path, change, message):
    path = tmp_path / "part.json"
    path.write_text(json.dumps([record(0), record(1, **change)]))
    with pytest.raises(DataError, match=message):
        dataset(str(path))


def test_the_facts_of_the_package():
    cases = dataset("builtin")
    assert cases == builtin_facts()
    assert len(cases) > 150
    assert len({case.id for case in cases}) == len(cases) == len({case.fact for case in cases})
    assert all(relation_of(case.fact).facts[case.fact.target] for case in cases)
    needle = next(case for case in cases if case.id == "located-in-city-space-needle")
    assert needle.fact == Fact(
        "Space Needle", "The {} is located in the city of", "Seattle", relation="located in city"
    )


@pytest.mark.parametrize("name", ["knows", "Known", "builtins"])
def test_an_unknown_name(name):
    with pytest.raises(UnknownName, match="Unknown data set") as caught:
        dataset(name)
    assert "Did you mean" in caught.value.hint
    assert "Known: builtin, known. Or name a .csv" in caught.value.hint


@pytest.mark.parametrize("name", ["facts.csv", "sub/known"])
def test_a_file_that_is_absent(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ObverseError, match="There is no file"):
        dataset(name)
