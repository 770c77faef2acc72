"""What `inspect` reports of documents that `ingest` wrote."""

import json
from pathlib import Path

import pytest
from conftest import SAMPLE

from pipeline import InputError
from pipeline.corpus.config import ReadingConfig
from pipeline.corpus.ingest import ingest
from pipeline.corpus.inspect import inspect, print_inspection

SPANISH = (
    "La casa de mi abuela está en un pueblo pequeño cerca del mar. Cada verano los niños iban a "
    "la playa por la mañana y volvían cuando el sol estaba muy alto. Por la noche todos cenaban "
    "en el patio y mi tío contaba historias de cuando era joven y trabajaba en el puerto con "
    "sus hermanos."
)
ENGLISH = (
    "The old man walked along the river every morning and looked for his friend the baker. They "
    "used to talk about the weather, the price of bread and the children who had left the town. "
    "When it rained he did not go out, but he would sit by the window and do what he liked most: "
    "read the paper."
)
PORTUGUESE = (
    "A casa da minha avó fica em uma vila pequena perto do mar. Nas férias as crianças iam à "
    "praia de manhã e não voltavam antes do almoço. À noite todos jantavam no quintal e o meu "
    "tio, que já era velho, contava histórias do tempo em que trabalhava no porto com os irmãos "
    "dele."
)
OPENING = "Jornal da Vila [edição de domingo], página um"
DOTS = ". " * 20 + "."  # no letters, so nothing to report


def run_inspect(folder: Path, corpus: Path | dict[str, str], **options) -> dict:
    """Ingest and inspect files; by default valid.txt and test.txt are the held-out ones."""
    place = folder / "corpus"
    if isinstance(corpus, Path):
        place = corpus
    else:
        place.mkdir()
        for name, text in corpus.items():
            (place / name).write_text(text, encoding="utf-8")
        options = {"valid": ("valid.txt",), "test": ("test.txt",), **options}
    documents, output = folder / "documents", folder / "inspection"
    documents.mkdir()
    output.mkdir()
    ingest(corpus=[str(place)], output=documents, **options)
    inspect(documents=documents, output=output)
    return json.loads((output / "inspection.json").read_text(encoding="utf-8"))


def test_tokens_types_and_oov_are_those_counted_by_hand(tmp_path: Path) -> None:
    found = run_inspect(
        tmp_path,
        {
            "a.txt": "O gato bebeu água.\n\nO cão dorme.",
            "b.txt": "Dê-lhe água!",
            "valid.txt": "O rato bebeu leite.",  # rato and leite of 5 tokens are unknown
            "test.txt": "O GATO dorme.",
        },
    )
    assert found["splits"] == {
        # o gato bebeu água . cão dorme dê-lhe !
        "train": {"documents": 2, "paragraphs": 3, "letters": 43, "tokens": 12, "types": 9},
        "valid": {"documents": 1, "paragraphs": 1, "letters": 19, "tokens": 5, "types": 5},
        "test": {"documents": 1, "paragraphs": 1, "letters": 13, "tokens": 4, "types": 4},
    }
    assert found["oov"] == {"valid": {"9": pytest.approx(0.4)}, "test": {"9": 0.0}}
    assert found["longest"]["rows"][0] == {"source": "a.txt", "split": "train", "tokens": 9}
    assert (tmp_path / "inspection" / "figures" / "oov.png").stat().st_size > 5_000


def test_a_vocabulary_holds_the_most_frequent_tokens_of_training(tmp_path: Path) -> None:
    words = [f"{a}{b}{c}" for a in "bcdfghjklm" for b in "aeiouáéíóú" for c in "bcdfghjklmnp"]
    often, rare = words[:1000], words[1000:]
    found = run_inspect(
        tmp_path,
        {
            "a.txt": " ".join([*rare, *often, *often]),
            "valid.txt": " ".join([*often[:3], rare[0]]),
            "test.txt": " ".join([*rare[:3], "zzz"]),
        },
    )
    assert found["oov"] == {
        "valid": {"1000": 0.25, "1200": 0.0},
        "test": {"1000": 1.0, "1200": 0.25},
    }


@pytest.mark.parametrize("deduplicate", [True, False])
def test_overlap_is_what_deduplication_removes(tmp_path: Path, deduplicate: bool) -> None:
    run = "um dois três quatro cinco seis sete oito nove dez onze doze treze"
    left = "Primeiro parágrafo do texto."
    found = run_inspect(
        tmp_path,
        {
            "a.txt": f"{left}\n\n{run} catorze",
            "valid.txt": f"{run}\n\ndepois",  # two 13-grams, the first is in a.txt
            "test.txt": "Um texto curto.",
        },
        deduplicate=deduplicate,
    )
    assert found["overlap"] == {
        "valid": {"ngrams": 2, "in_training": 0.0 if deduplicate else 0.5},
        "test": {"ngrams": 0, "in_training": 0.0},
    }
    where = [{"found_in": "valid.txt (valid)", "documents": 0, "passages": 1}]
    letters = len(f"{run} catorze") * deduplicate
    assert found["removed"] == {
        "documents": 0,
        "passages": int(deduplicate),
        "letters": letters,
        "of_training": letters / (letters + len(left)) if deduplicate else 0.0,
        "found_in": where if deduplicate else [],
    }


def test_other_languages_boilerplate_and_damage_are_suspicious(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = run_inspect(
        tmp_path,
        {
            "es.txt": f"{OPENING}\n\n{DOTS}\n\n{SPANISH}",
            "en.txt": f"{OPENING}\n\n{DOTS}\n\n{ENGLISH}",
            "pt.txt": f"{OPENING}\n\n{DOTS}\n\n{PORTUGUESE}",
            "twin.txt": f"{OPENING}\n\n{DOTS}\n\n{PORTUGUESE}",
            "twice.txt": "Um parágrafo que se repete aqui.\n\n" * 3,  # in one document only
            "bad.txt": "Ele sorriu e n\ufffdo disse nada.",
            "valid.txt": "Uma frase.",
            "test.txt": "Outra frase.",
        },
    )
    assert {row["source"] for row in found["not_portuguese"]["rows"]} == {"es.txt", "en.txt"}
    assert found["boilerplate"]["rows"] == [{"text": OPENING, "documents": 3}]
    assert [(row["source"], row["damaged"]) for row in found["damage"]["rows"]] == [("bad.txt", 1)]
    assert found["removed"]["documents"] == 1

    print_inspection(found)
    printed = capsys.readouterr().out
    assert "es.txt" in printed
    assert OPENING in printed
    assert "1 documents and 0 passages (0.00% of the characters of training)" in printed


SUSPICIOUS = (
    *("not_portuguese", "machine_marks", "long_paragraphs", "single_words"),
    *("boilerplate", "damage", "told"),
)
GALICIAN = (
    "O meu avó vivía nunha casa moi pequena preto do río e cando era nova non tiña luz. Xa de "
    "noite contaba historias dunha nena que tamén vivía na aldea, ata que todos quedaban "
    "durmidos. Non había máis que unha cama e aínda así a xente era moi feliz, porque cando "
    "facía frío durmían todos xuntos."
)
TWEET = (  # 50 tokens, with 2 of the words that only Portuguese has
    "Bora galera! Hoje tem jogo, cerveja gelada, churrasco, música boa, piscina, sol e amigos. "
    "Quem vem? Chama no zap, traz carvão, gelo, copo, toalha, chinelo, protetor solar e alegria! "
    "Festa começa cedo, acaba tarde. Vem logo, gente linda, domingo é nosso!"
)


def test_what_is_no_prose_is_suspicious_and_the_rest_is_not(tmp_path: Path) -> None:
    found = run_inspect(
        tmp_path,
        {
            "galego.txt": GALICIAN,
            "festa.txt": TWEET,
            "tempos.txt": "00:01:02,000 --> 00:01:04,000\n\nBom dia.\n\n" * 5,
            "longo.txt": "A casa não é minha. " * 1500,
            "lista.txt": "\n\n".join(PORTUGUESE.split()),
            "valid.txt": "Uma frase.",
            "test.txt": "Outra frase.",
        },
        reading=ReadingConfig(format="text"),
    )
    sources = {reason: [row["source"] for row in found[reason]["rows"]] for reason in SUSPICIOUS}
    assert sources == {
        "not_portuguese": ["galego.txt"],
        "machine_marks": ["tempos.txt"],
        "long_paragraphs": ["longo.txt"],
        "single_words": ["lista.txt"],
        "boilerplate": [],
        "damage": [],
        "told": [],
    }
    (row,) = found["formats"]
    assert (row["format"], row["files"], row["documents"]) == ("text", 7, 7)


def test_of_many_suspicious_rows_the_total_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = {f"{n}.txt": f"{SPANISH} Número {n}." for n in range(23)}
    texts |= {"valid.txt": "Uma frase.", "test.txt": "Outra frase."}
    found = run_inspect(tmp_path, texts, deduplicate=False)
    assert found["not_portuguese"]["total"] == 23
    print_inspection(found)
    assert "hardly look Portuguese (10 of 23)" in capsys.readouterr().out


def test_the_sample_corpus_is_not_suspicious(tmp_path: Path) -> None:
    found = run_inspect(tmp_path, SAMPLE)
    for reason in SUSPICIOUS:
        assert found[reason] == {"total": 0, "rows": []}
    assert all(values["in_training"] == 0 for values in found["overlap"].values())
    assert all(len(rates) > 1 and min(rates.values()) > 0 for rates in found["oov"].values())


def test_missing_documents_are_refused_with_the_command_that_makes_them(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="run `nextword ingest` first"):
        inspect(documents=tmp_path / "none", output=tmp_path)
