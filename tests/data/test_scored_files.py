"""Corpora read from files: what is accepted, what is refused and how it is said."""

import datetime
import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from obverse.core import DataError, UnknownName
from obverse.data.scored import ScoredText
from obverse.data.scored_files import document_source, write_documents

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
meta = st.dictionaries(st.sampled_from(["id", "entities", "source"]), st.none() | st.integers(-9, 9) | st.lists(text))
scored = st.lists(st.tuples(text, st.floats(-1e300, 1e300)), max_size=4)
documents = st.lists(
    st.builds(lambda pairs, m: ScoredText(*map(tuple, zip(*pairs, strict=True)), m), scored.filter(len), meta),
    max_size=4,
)


def read(path: Path | str) -> list[ScoredText]:
    return [document.text for document in document_source(str(path)).read()]


def lines(path: Path, *records: object) -> Path:
    path.write_text("".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in records))
    return path


@pytest.mark.parametrize("format", ["jsonl", "parquet"])
@settings(max_examples=20)
@given(documents=documents)
def test_what_is_written_is_read(tmp_path_factory, format, documents):
    path = tmp_path_factory.mktemp("written") / f"set.{format}"
    write_documents(path, documents)
    found = list(document_source(str(path)).read())
    assert [document.text for document in found] == documents
    assert all(document.scored for document in found)


def test_the_published_formats(tmp_path):
    path = lines(
        tmp_path / "pile.jsonl",
        {"texts": ["One. ", "Two."], "scores": [0.5, 0], "avg_score": 0.25, "num_sents": 2, "meta": {"set": "CC"}},
        "",
        {"text": "Whole.", "score": 0.25, "id": 7},
        {"content": "x = 1\n"},
        {"texts": ["No ", "scores"]},
    )
    found = list(document_source(str(path)).read())
    assert [document.scored for document in found] == [True, True, False, False]
    assert [document.text for document in found] == [
        ScoredText(("One. ", "Two."), (0.5, 0.0), {"set": "CC"}),
        ScoredText(("Whole.",), (0.25,), {"id": 7}),
        ScoredText(("x = 1\n",), (0.0,)),
        ScoredText(("No ", "scores"), (0.0, 0.0)),
    ]
    assert [document.place for document in found][1] == "pile.jsonl, line 3"


def test_a_folder_is_read_file_by_file(tmp_path):
    lines(tmp_path / "b.jsonl", {"text": "second"})
    with gzip.open(tmp_path / "a.jsonl.gz", "wt") as file:
        file.write('{"text": "first"}\n')
    (tmp_path / "c.txt").write_text("third,\nstill third\n\n\nfourth\n")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "d.py").write_text("x = 1\r\n", newline="")
    (tmp_path / ".e.jsonl").write_text("hidden")
    (tmp_path / "f.bin").write_text("another thing")
    assert [t.text for t in read(tmp_path)] == ["first", "second", "third,\nstill third", "fourth", "x = 1\r\n"]


def test_a_corpus_that_comes_with_the_package():
    found = read("facts")
    assert len(found) > 100
    assert not any(document.scored for document in document_source("facts").read())


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"texts": ["a", "b"], "scores": [1]}, "2 segments and 1 scores"),
        ({"texts": ["a"], "scores": []}, "1 segments and 0 scores"),
        ('{"texts": ["a"], "scores": [NaN]}', "not a finite number"),
        ({"texts": ["a"], "scores": ["b"]}, "the scores are not numbers"),
        ({"texts": ["a"], "scores": [None]}, "the scores are not numbers"),
        ({"texts": ["a"], "scores": [True]}, "the scores are not numbers"),
        ({"texts": "a", "scores": [1]}, "'texts' is not a list"),
        ({"body": "a"}, "no 'text' and no 'texts'; found: body"),
        ({"text": 3}, "no 'text'"),
        ('{"text": "a"', "not valid JSON"),
        ("[1]", "no record"),
    ],
)
def test_a_bad_record_is_named(tmp_path, record, message):
    path = lines(tmp_path / "bad.jsonl", {"text": "good"}, record)
    with pytest.raises(DataError, match=r"^bad\.jsonl, line 2: ") as raised:
        read(path)
    assert message in str(raised.value)


def test_bytes_that_are_no_text(tmp_path):
    (tmp_path / "bad.jsonl").write_bytes(b'{"text": "\xff"}\n')
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 and so on")
    with pytest.raises(DataError, match=r"bad\.jsonl, line 1: not valid JSON"):
        read(tmp_path / "bad.jsonl")
    with pytest.raises(DataError, match=r"bad\.parquet: not valid Parquet"):
        read(tmp_path / "bad.parquet")


def test_a_gzip_file_that_is_cut(tmp_path):
    whole = gzip.compress(b'{"text": "first"}\n' * 999)
    for name, content in (("cut", whole[:-20]), ("none", b"no gzip at all"), ("torn", whole[:30] + b"?" * 30)):
        (tmp_path / f"{name}.jsonl.gz").write_bytes(content)
        with pytest.raises(DataError, match=rf"{name}\.jsonl\.gz: not a whole gzip file"):
            read(tmp_path / f"{name}.jsonl.gz")


def test_other_fields_become_what_json_can_hold(tmp_path):
    import pyarrow
    from pyarrow import parquet

    day = datetime.date(2026, 1, 2)
    rows = {"text": ["a. b."], "day": [day], "rating": [float("nan")], "tags": [[{"x": 1.5}]], "meta": ["{none"]}
    parquet.write_table(pyarrow.table(rows), tmp_path / "a.parquet")
    (found,) = read(tmp_path / "a.parquet")
    assert found.meta == {"day": "2026-01-02", "rating": None, "tags": [{"x": 1.5}], "meta": "{none"}
    write_documents(tmp_path / "b.jsonl", [found])
    assert read(tmp_path / "b.jsonl") == [found]


def test_halves_of_surrogate_pairs_are_replaced(tmp_path):
    path = lines(
        tmp_path / "a.jsonl", r'{"text": "a \ud800 b", "id": "\uDFFF"}', r'{"text": "a \ud83d\ude00 b \u00e9"}'
    )
    first, second = read(path)
    assert first == ScoredText(("a \N{REPLACEMENT CHARACTER} b",), (0.0,), {"id": "\N{REPLACEMENT CHARACTER}"})
    assert second.text == "a \N{GRINNING FACE} b é"


def test_empty_documents_are_marked(tmp_path):
    path = lines(tmp_path / "some.jsonl", {"text": ""}, {"texts": ["", " \n"]}, {"texts": []}, {"text": " a"})
    assert [document.empty for document in document_source(str(path)).read()] == [True, True, True, False]


def test_names_that_are_nothing(tmp_path, monkeypatch):
    (tmp_path / "mails.jsonl").write_text("")
    with pytest.raises(UnknownName, match=r"Did you mean mails\.jsonl"):
        document_source(str(tmp_path / "mail.jsonl"))
    (tmp_path / "data.bin").write_text("")
    with pytest.raises(DataError, match=r"'\.bin', which is no format"):
        document_source(str(tmp_path / "data.bin"))
    (tmp_path / "bare").mkdir()
    with pytest.raises(DataError, match="holds no file of documents"):
        document_source(str(tmp_path / "bare"))


class TestHub:
    @pytest.fixture(autouse=True)
    def hub(self, monkeypatch):
        """Stand-ins for the two calls that reach the network."""
        import datasets
        import huggingface_hub

        self.asked: list[object] = []

        def load(*args, **kwargs):
            self.asked.append((args, kwargs))
            return iter([{"text": "streamed", "score": 0.5}, {"text": 3}])

        monkeypatch.setattr(datasets, "load_dataset", load)
        info = type("Info", (), {"sha": "abc"})
        monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", lambda *_, **__: info)

    def test_a_data_set_is_streamed(self):
        source = document_source("owner/name/config@rev:valid")
        assert source.identity == "owner/name/config@rev:valid abc"
        stream = source.read()
        assert next(stream).text == ScoredText(("streamed",), (0.5,))
        assert self.asked == [(("owner/name", "config"), {"split": "valid", "revision": "rev", "streaming": True})]
        with pytest.raises(DataError, match="owner/name, record 2"):
            next(stream)

    def test_defaults(self):
        next(document_source("owner/name").read())
        assert self.asked == [(("owner/name", None), {"split": "train", "revision": None, "streaming": True})]

    @pytest.mark.parametrize("error", [OSError, type("ConnectError", (Exception,), {})])  # httpx's is no OSError
    def test_without_a_network_the_name_stands_for_the_data(self, error):
        import huggingface_hub

        with pytest.MonkeyPatch.context() as patch:

            def fails(*_, **__):
                raise error("no network")

            patch.setattr(huggingface_hub.HfApi, "dataset_info", fails)
            assert document_source("owner/name").identity == "owner/name "
