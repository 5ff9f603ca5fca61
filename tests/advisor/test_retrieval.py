"""Documents of every kind become text or a message that helps; passages are found by rare word and by meaning."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from advisor.retrieval import Document, Passage, PassageIndex, embed, load_documents, nearest, reranker
from advisor.retrieval.index import cut
from dataset_tools.errors import DocumentsError, ModelError, UsageError

PASSAGES = [
    Passage("Refunds", "The refund is paid within ten days to the card you paid with."),
    Passage("Islands", "Parcels travel to the islands by ship, once a week."),
    Passage("Pump", "The pump shows E-4471 when the tank is dry."),
    Passage("Lamp", "E-4472 stands for a lamp that is loose."),
    Passage("Basil", "Water the basil twice a week, more in summer."),
    Passage("Teams", "Teams get one invoice at the end of each month."),
    Passage("Pods", "Keep the pods away from small children and pets."),
    Passage("Phones", "Very old phones cannot join the wireless network."),
]


def pdf(path: Path, *pages: str, password: str | None = None) -> Path:
    """A PDF with one line of text on each page; a page without text for an empty line."""
    from pypdf import PdfWriter
    from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject

    writer = PdfWriter()
    font = {"/Type": "/Font", "/Subtype": "/Type1", "/BaseFont": "/Helvetica"}
    names = DictionaryObject({NameObject(key): NameObject(value) for key, value in font.items()})
    for text in pages:
        page = writer.add_blank_page(400, 200)
        fonts = DictionaryObject({NameObject("/F1"): names})
        page[NameObject("/Resources")] = DictionaryObject({NameObject("/Font"): fonts})
        if text:
            stream = DecodedStreamObject()
            stream.set_data(f"BT /F1 12 Tf 20 100 Td ({text}) Tj ET".encode())
            page[NameObject("/Contents")] = writer._add_object(stream)
    if password:
        writer.encrypt(password, algorithm="RC4-128")
    with path.open("wb") as stream_out:
        writer.write(stream_out)
    return path


def test_a_folder_is_read_in_the_order_of_its_names_with_a_title_for_each_document(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "b-returns.md").write_text("Intro.\n\n# How to return\n\nSend it back.")
    (tmp_path / "a_house-rules.txt").write_text("Be quiet after ten.")
    (tmp_path / "deep" / "c.MD").write_text("# Deep\n\nBelow.")
    (tmp_path / "empty.txt").write_text(" \n")
    (tmp_path / "nothing.md").write_bytes(b"")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(40))
    assert load_documents(tmp_path) == (
        Document("a house rules", "Be quiet after ten."),
        Document("How to return", "Intro.\n\n# How to return\n\nSend it back."),
        Document("Deep", "# Deep\n\nBelow."),
    )


@pytest.mark.parametrize("field", ["text", "content", "body", "passage"])
def test_json_lines_with_a_text_are_documents(field: str, tmp_path: Path) -> None:
    rows = [{"title": "One", field: "The first."}, {"id": 7, field: "The second."}, {"title": "No text"}, {field: ""}]
    file = tmp_path / "docs.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert load_documents(file) == (Document("One", "The first."), Document("7", "The second."))


def test_rows_of_a_table_are_documents_too(tmp_path: Path) -> None:
    (tmp_path / "docs.csv").write_text(
        'title,text\nHours,"Open from nine, closed on Mondays."\nPlace,Behind the yard.\n'
    )
    assert [document.title for document in load_documents(tmp_path)] == ["Hours", "Place"]


def test_a_pdf_is_read_page_by_page(tmp_path: Path) -> None:
    pdf(tmp_path / "hand-book.pdf", "Open from nine to five.", "Closed on Mondays.")
    (document,) = load_documents(tmp_path)
    assert document.title == "hand book"
    assert document.text.split("\n\n") == ["Open from nine to five.", "Closed on Mondays."]


def test_pages_of_the_web_and_word_documents_are_documents_with_their_headings(tmp_path: Path) -> None:
    from docx import Document as new_document

    page = "<title>Shop</title><nav>Menu</nav><h1>Hours</h1><p>Open from nine.</p><script>x()</script>"
    (tmp_path / "a.html").write_text(page)
    word = new_document()
    word.add_heading("Leave", 1)
    word.add_paragraph("You have 30 days.")
    word.save(str(tmp_path / "b.docx"))
    assert load_documents(tmp_path) == (
        Document("Shop", "# Hours\n\nOpen from nine."),
        Document("Leave", "# Leave\n\nYou have 30 days."),
    )


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
def test_text_in_another_encoding_is_read_without_a_wrong_letter(encoding: str, tmp_path: Path) -> None:
    text = "Die Öffnungszeiten für die Küche sind täglich von acht bis zwölf. Danach ist geschlossen, außer im März."
    (tmp_path / "a.txt").write_bytes(text.encode(encoding))
    assert load_documents(tmp_path)[0].text == text


def test_documents_that_do_not_exist_are_wrong_use(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"(?s)do not exist.*nowhere.*\.md.*--docs"):
        load_documents(tmp_path / "nowhere")


def test_a_folder_without_anything_readable_says_what_it_looked_for(tmp_path: Path) -> None:
    with pytest.raises(DocumentsError, match=r"(?s)no text.*0 files.*Markdown.*\.md or \.txt"):
        load_documents(tmp_path)
    (tmp_path / "picture.png").write_bytes(b"\x89PNG")
    with pytest.raises(DocumentsError, match="1 files, 0 of a readable kind"):
        load_documents(tmp_path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("noise.txt", bytes(range(256)) * 20),
        ("zeros.md", bytes(5000)),
        ("archive.txt", b"PK\x03\x04" + bytes(range(200))),
        ("rows.jsonl", bytes(range(256)) * 20),
    ],
)
def test_a_binary_file_with_the_name_of_a_text_is_named_and_refused(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / "good.md").write_text("# Good\n\nText.")
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DocumentsError, match=rf"(?s){name}"):
        load_documents(tmp_path)


@pytest.mark.parametrize("content", [b"no pdf at all", b"%PDF-1.7\n1 0 obj\n<<", b""], ids=["text", "torn", "empty"])
def test_a_broken_pdf_is_named_and_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "broken.pdf").write_bytes(content)
    with pytest.raises(DocumentsError, match=r"(?s)PDF cannot be read.*broken\.pdf.*leave it out"):
        load_documents(tmp_path)


def test_a_locked_pdf_says_that_the_password_must_go(tmp_path: Path) -> None:
    pdf(tmp_path / "locked.pdf", "Secret.", password="secret")
    with pytest.raises(DocumentsError, match=r"(?s)locked\.pdf.*without a password"):
        load_documents(tmp_path)


def test_a_scanned_pdf_and_rows_without_text_say_what_is_missing(tmp_path: Path) -> None:
    pdf(tmp_path / "scan.pdf", "", "")
    (tmp_path / "rows.jsonl").write_text('{"title": "a", "words": "b"}\n[1, 2]\n"c"\n')
    with pytest.raises(DocumentsError, match=r"(?s)no text.*2 files, 2 of a readable kind.*'text' field.*OCR"):
        load_documents(tmp_path)


@pytest.mark.parametrize("tokens", [12, 40, 150])
def test_passages_stay_within_their_tokens_and_lose_no_word(tokens: int, tokenizer: Any) -> None:
    paragraphs = [
        f"## Part {i}\n\n" + "The red house is in the city. What colour is it? " * (i % 5 + 1) for i in range(8)
    ]
    document = Document("Parts", "\n\n".join(paragraphs) + "\n\n" + "x" * 300)
    passages = cut([document], tokenizer, tokens=tokens)
    assert max(len(tokenizer.encode(passage.text)) for passage in passages) <= tokens
    assert "".join("".join(passage.text.split()) for passage in passages) == "".join(document.text.split())
    assert {passage.title for passage in passages} == {"Parts"}


def test_a_passage_is_shown_with_its_title_once() -> None:
    assert Passage("Hours", "Open from nine.").whole == "Hours: Open from nine."
    assert Passage("Hours", "# Hours\n\nOpen from nine.").whole == "# Hours\n\nOpen from nine."
    assert Passage("", "Open from nine.").whole == "Open from nine."


@pytest.fixture(scope="module")
def index() -> PassageIndex:
    return PassageIndex(PASSAGES)


@pytest.mark.parametrize(("code", "title"), [("E-4471", "Pump"), ("E-4472", "Lamp")])
def test_a_rare_word_finds_its_passage(code: str, title: str, index: PassageIndex) -> None:
    ((best, *_),) = index.search([f"what is {code}"], count=3)
    assert best.title == title


@pytest.mark.parametrize(
    ("asked", "title"),
    [("thirsty plants", "Basil"), ("dangerous toddlers", "Pods"), ("corporate billing", "Teams")],
)
def test_meaning_finds_a_passage_that_shares_no_word_with_the_question(
    asked: str, title: str, index: PassageIndex
) -> None:
    assert not [passage for passage in PASSAGES if set(asked.split()) & set(passage.whole.lower().split())]
    ((best, *_),) = index.search([asked], count=3)
    assert best.title == title


def test_where_no_word_is_shared_the_order_is_that_of_meaning(index: PassageIndex) -> None:
    asked = ["zzyzx qwfp", "??", "Wie bekomme ich Geld"]
    for question, found in zip(asked, index.search(asked, count=8), strict=True):
        closeness = embed([passage.whole for passage in PASSAGES]) @ embed([question])[0]
        assert found == [PASSAGES[number] for number in np.argsort(-closeness, kind="stable")]


def test_a_search_gives_as_many_passages_as_asked_for_or_all_there_are(index: PassageIndex) -> None:
    assert [len(found) for found in index.search(["refund", "ship"], count=3)] == [3, 3]
    (found,) = index.search(["refund"], count=20)
    assert sorted(passage.title for passage in found) == sorted(passage.title for passage in PASSAGES)
    assert index.search([], count=3) == []


def test_passages_without_a_single_word_are_still_found() -> None:
    (found,) = PassageIndex([Passage("", "!!!"), Passage("", "?")]).search(["what"], count=5)
    assert {passage.text for passage in found} == {"!!!", "?"}


def test_embeddings_are_unit_vectors_that_do_not_depend_on_their_company() -> None:
    texts = ["a red house", "ein rotes Haus", "", "a red house"]
    together = embed(texts)
    assert together.shape == (4, 384)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(together[0], together[3])
    np.testing.assert_array_equal(embed(["a red house"])[0], together[0])
    assert embed([]).shape == (0, 384)


def test_nearest_is_what_comparing_with_every_vector_finds() -> None:
    draw = np.random.default_rng(0)
    vectors = draw.normal(size=(40, 384)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    found = nearest(vectors[:5], vectors, count=4)
    expected = np.argsort(-(vectors[:5] @ vectors.T), axis=1, kind="stable")[:, :4]
    np.testing.assert_array_equal(found, expected)
    assert nearest(vectors[:2], vectors[:3], count=9).shape == (2, 3)


def cross_encoder(folder: Path, *, labels: int = 1) -> Path:
    """A random small cross-encoder over the words of the passages."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

    words = sorted({word for passage in PASSAGES for word in passage.whole.lower().replace(".", " ").split()})
    folder.mkdir()
    (folder / "words.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]))
    BertTokenizerFast(str(folder / "words.txt")).save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(words) + 5,
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        num_labels=labels,
        initializer_range=0.5,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        BertForSequenceClassification(config).save_pretrained(folder)
    return folder


def test_a_reranker_that_the_user_names_has_the_last_word_on_the_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, index: PassageIndex
) -> None:
    assert reranker() is None
    monkeypatch.setenv("FITTING_ROOM_RERANKER", str(cross_encoder(tmp_path / "model")))
    rerank = reranker()
    assert rerank is not None and reranker() is rerank
    queries = ["what is E-4471", "thirsty plants"]
    scores = [
        dict(zip(PASSAGES, rerank.model.predict([(query, p.whole) for p in PASSAGES]).tolist(), strict=True))
        for query in queries
    ]
    found = index.search(queries, count=3, rerank=rerank)
    assert found != index.search(queries, count=3)
    for passages, score in zip(found, scores, strict=True):
        assert [score[passage] for passage in passages] == sorted(score.values(), reverse=True)[:3]
    assert index.search([], count=3, rerank=rerank) == [] == rerank.order("what", [])


def test_a_reranker_that_cannot_be_loaded_or_is_none_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FITTING_ROOM_RERANKER", str(cross_encoder(tmp_path / "three", labels=3)))
    with pytest.raises(ModelError, match=r"(?s)no reranker.*FITTING_ROOM_RERANKER.*3 scores"):
        reranker()
    broken = cross_encoder(tmp_path / "broken")
    (broken / "model.safetensors").write_bytes(b"torn")
    monkeypatch.setenv("FITTING_ROOM_RERANKER", str(broken))
    with pytest.raises(ModelError, match=r"(?s)reranker cannot be loaded.*FITTING_ROOM_RERANKER.*remove it"):
        reranker()
