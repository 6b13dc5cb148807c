"""What becomes of a document's sections when the document is edited, shelved and shown again."""

from __future__ import annotations

from mneme import Namespace


def text_of(*words: str) -> str:
    return "\n\n".join(f"# Part {word}\n\nHere the keyword is {word}." for word in words)


def finds(alice: Namespace, word: str) -> bool:
    return any(f"keyword is {word}." in hit.cube.text for hit in alice.search(word))


def shown(alice: Namespace, *words: str) -> set[str]:
    return {word for word in words if finds(alice, word)}


def test_an_edit_changes_what_is_found(alice: Namespace) -> None:
    document = alice.add(text_of("one", "two", "three"), type="document")[0]
    assert shown(alice, "one", "two", "three", "four") == {"one", "two", "three"}
    alice.update(document.id, text=text_of("one", "four"))
    assert shown(alice, "one", "two", "three", "four") == {"one", "four"}
    alice.rollback(document.id, to_version=1)
    assert shown(alice, "one", "two", "three", "four") == {"one", "two", "three"}


def test_an_edit_of_an_archived_document_stays_archived(alice: Namespace) -> None:
    document = alice.add(text_of("one", "two"), type="document")[0]
    alice.archive(document.id)
    alice.update(document.id, text=text_of("one", "three", "four", "five"))
    assert shown(alice, "one", "two", "three", "four", "five") == set()
    alice.rollback(document.id, to_version=1)
    assert shown(alice, "one", "two", "three", "four", "five") == set()
    alice.activate(document.id)
    assert shown(alice, "one", "two", "three", "four", "five") == {"one", "two"}


def test_what_an_edit_dropped_does_not_come_back_with_the_document(alice: Namespace) -> None:
    document = alice.add(text_of("one", "two", "three"), type="document")[0]
    alice.update(document.id, text=text_of("one", "two"))
    alice.archive(document.id)
    alice.activate(document.id)
    assert shown(alice, "one", "two", "three") == {"one", "two"}


def test_a_forgotten_section_stays_hidden_and_new_text_is_found(alice: Namespace) -> None:
    document, first, _ = alice.add(text_of("one", "two"), type="document")
    alice.forget(first.id)
    alice.update(document.id, text=text_of("one", "three"))
    assert shown(alice, "one", "two", "three") == {"three"}
    alice.update(document.id, text=text_of("four", "three"))
    assert shown(alice, "one", "two", "three", "four") == {"three", "four"}


def test_a_document_may_become_one_piece_and_many_again(alice: Namespace) -> None:
    document = alice.add(text_of("one", "two"), type="document")[0]
    alice.update(document.id, text="Only one line, whose keyword is three.")
    assert shown(alice, "one", "two", "three") == {"three"}
    alice.update(document.id, text=text_of("four", "five"))
    assert shown(alice, "one", "two", "three", "four", "five") == {"four", "five"}


def test_sections_that_say_the_same_are_counted(alice: Namespace) -> None:
    document = alice.add(text_of("one", "one", "two"), type="document")[0]
    alice.update(document.id, text=text_of("one", "two"))
    texts = [c.text for c in alice.derived(document.id) if c.state == "activated"]
    assert len(texts) == 2
    alice.update(document.id, text=text_of("two", "two", "one", "one"))
    texts = [c.text for c in alice.derived(document.id) if c.state == "activated"]
    assert sorted("one" in text for text in texts) == [False, False, True, True]
