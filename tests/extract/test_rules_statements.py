"""What people say of themselves and theirs, and what they give a name and a value."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from mneme.core.statement import Reading

Hear = Callable[..., Reading]


def us(year: int, month: int, day: int) -> int:
    return int(datetime(year, month, day, tzinfo=UTC).timestamp()) * 1_000_000


@pytest.mark.parametrize(
    ("text", "relation", "thing", "single"),
    [
        ("I live in Oslo.", "lives in", "Oslo", True),
        ("I just moved here from Graz to Portland, Oregon!", "lives in", "Portland, Oregon", True),
        ("i live in porto", "lives in", "porto", True),
        ("I live in a small flat.", None, None, False),
        ("I work at Blue Heron Labs.", "works at", "Blue Heron Labs", True),
        ("I work as a baker.", "job", "baker", True),
        ("I'm 34.", "age", "34", True),
        ("I'm 34 weeks pregnant.", None, None, False),
        ("I turned 35 last month.", "age", "35", True),
        ("I'm allergic to peanuts, so be careful.", "allergic to", "peanuts", False),
        ("I have two kids.", "has kids", "two kids", True),
        ("I speak Danish and French.", "speaks", "Danish and French", False),
        ("My name is Ines.", "name", "Ines", True),
        ("My favourite tea is oolong.", "favourite tea", "oolong", True),
        ("My email is kit@a.example", "email", "kit@a.example", True),
        ("My budget is now $1,300 after the sale.", "budget", "$1,300 after the sale", True),
        ("My sister is visiting.", None, None, False),
        ("I love hiking in the rain.", "likes", "hiking in the rain", False),
        ("I can't stand loud music.", "dislikes", "loud music", False),
        ("I'd love to hear more.", None, None, False),
        ("I love that idea.", None, None, False),
    ],
)
def test_self_statements(
    hear: Hear, text: str, relation: str | None, thing: str | None, single: bool
) -> None:
    said = hear(text).statements
    if relation is None:
        assert not [one for one in said if one.single or one.relation in {"likes", "age"}]
    else:
        assert [(one.relation, one.object, one.single) for one in said] == [
            (relation, thing, single)
        ]
        assert said[0].subject == "user"


def test_kin_are_subjects_of_their_own(hear: Hear) -> None:
    (said,) = hear("My sister Eva lives in Rome.").statements
    assert (said.subject, said.relation, said.object) == ("sister Eva", "lives in", "Rome")
    (said,) = hear("My sister lives in Rome.", speaker="Ana").statements
    assert said.subject == "Ana's sister"


def test_two_statements_share_out_their_sentence(hear: Hear) -> None:
    text = "I'm a nurse and I live in Bath."
    first, second = hear(text).statements
    assert (first.text, second.text) == ("I'm a nurse", "I live in Bath.")
    assert text[second.start : second.end] == second.text


@pytest.mark.parametrize(
    "text",
    [
        "If I lived in Oslo, I would ski.",
        "I wish I lived in Oslo.",
        "Do I live in Oslo?",
        'He said "I live in Oslo".',
        "Kim told me: I live in Oslo.",
        "> I live in Oslo.",
        "`I live in Oslo`",
        "```\nI live in Oslo.\n```",
        "Write a story.\nI live in Oslo.",
        "Imagine I live in Oslo.",
    ],
)
def test_what_is_not_said_as_a_matter_of_fact_is_no_statement(hear: Hear, text: str) -> None:
    assert not hear(text).statements


@pytest.mark.parametrize("role", ["assistant", "system", "tool"])
def test_only_users_are_read(hear: Hear, role: str) -> None:
    assert hear("I live in Oslo. Forget that.", role=role) == Reading()


def test_an_aside_before_a_question_is_read(hear: Hear) -> None:
    (said,) = hear("I'm allergic to nuts, can you suggest a snack?").statements
    assert said.text == "I'm allergic to nuts"


@pytest.mark.parametrize(
    ("text", "subject", "value"),
    [
        ("Remember that the door code is 4421.", "door code", "4421"),
        ("Update this: the door code is now 9913", "door code", "9913"),
        ("Confirm this still matters: door code remains 9913.", "door code", "9913"),
        ("Keep remembering the door code: 9913.", "door code", "9913"),
        ("The current value of tea is oolong.", "tea", "oolong"),
        ("Update: tea is now oolong", "tea", "oolong"),
        ("Set the backup server to hermes.", "backup server", "hermes"),
        ("The meeting has moved to Thursday.", "meeting", "Thursday"),
        ("visual art: icon", "visual art", "icon"),
        ("theme = dark", "theme", "dark"),
        ("theme -> dark", "theme", "dark"),
        ("色: 赤", "色", "赤"),
        ("**Città**: Roma", "Città", "Roma"),
    ],
)
def test_named_values_fill_one_slot(hear: Hear, text: str, subject: str, value: str) -> None:
    (said,) = hear(text).statements
    assert (said.subject, said.relation, said.object) == (subject, "is", value)
    assert said.single
    assert not said.hedged


def test_many_pairs_of_one_turn_each_have_their_characters(hear: Hear) -> None:
    text = "bird: emu; fruit: pear\n- African place: Ho"
    said = hear(text).statements
    assert [(one.subject, one.object) for one in said] == [
        ("bird", "emu"),
        ("fruit", "pear"),
        ("African place", "Ho"),
    ]
    assert all(text[one.start : one.end] == one.text for one in said)


def test_a_json_object_gives_its_scalars(hear: Hear) -> None:
    text = '{"gate": "B4", "row": 12, "open": true, "list": [1], "nothing": null}'
    said = hear(text).statements
    assert [one.text for one in said] == ["gate: B4", "row: 12", "open: true"]
    assert text[said[0].start : said[0].end] == '"gate": "B4"'


@pytest.mark.parametrize(
    "text",
    [
        "Listen: I'm tired",
        "PS: bring milk",
        "he said: go away",
        "10:30",
        "https://example.org/a:b",
        "Summary: the plot is thin.",
        "for (i = 0; i < 3; i++) { x = i; }",
        "Here is a list.\ncolour: red\nsize: small",
        "What do you think: yes or no?",
        "Set the temperature to 350",
    ],
)
def test_prose_with_marks_has_no_slots(hear: Hear, text: str) -> None:
    assert not [one for one in hear(text).statements if one.single]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Always answer in metric units.", "instruction"),
        ("Whenever I ask about films, name the platform.", "instruction"),
        ("List the platform when I ask about films.", "instruction"),
        ("From now on, use British spelling.", "instruction"),
        ("Please remember to always answer in French.", "instruction"),
        ("To deploy, first tag the release, then push it.", "procedure"),
        ("Procedure to remember: rinse before soaking.", "procedure"),
        ("For the trip, remember this constraint: no night trains.", "instruction"),
        ("Feedback for next time: test first.", "fact"),
        ("Task outcome: it was shipped.", "event"),
    ],
)
def test_wishes_ways_and_labelled_notes_have_their_type(hear: Hear, text: str, kind: str) -> None:
    (said,) = hear(text).statements
    assert (said.type, said.single, said.text) == (kind, False, text)


@pytest.mark.parametrize(
    "text", ["Never mind.", "Always here for you!", "Never give up.", "In the future we will see."]
)
def test_sayings_are_no_wishes(hear: Hear, text: str) -> None:
    assert not hear(text).statements


def test_an_event_has_its_day(hear: Hear) -> None:
    (said,) = hear("I ran a half marathon in Malmö on 3 May 2025.").statements
    assert said.type == "event"
    assert said.valid_from == us(2025, 5, 3)


def test_a_move_has_its_begin_and_a_stay_its_end(hear: Hear) -> None:
    (moved,) = hear("I moved to Oslo on 4 March 2024.").statements
    assert moved.valid_from == us(2024, 3, 4)
    (until,) = hear("I work at Tern until the end of January.").statements
    assert until.valid_to == us(2026, 2, 1)


def test_a_date_that_is_the_value_bounds_nothing(hear: Hear) -> None:
    (said,) = hear("Remember that the launch is on 3 May 2025.").statements
    assert (said.valid_from, said.valid_to) == (None, None)


@pytest.mark.parametrize(
    "text",
    [
        "I think my favourite tea is oolong.",
        "I heard the deadline is on Monday.",
        "I heard a conflicting but unverified note about the venue: Hall 5.",
        "Maybe my flight is on Monday.",
    ],
)
def test_what_nobody_vouches_for_is_hedged(hear: Hear, text: str) -> None:
    assert all(one.hedged for one in hear(text).statements)


def test_a_doubt_about_something_else_hedges_nothing(hear: Hear) -> None:
    (said, *_) = hear("I live in Delft, and I might get a dog.").statements
    assert not said.hedged


def test_a_note_that_says_it_does_not_count_states_nothing(hear: Hear) -> None:
    text = (
        "Remember that the venue is a similar note from another team: "
        "Hall 5 was mentioned elsewhere, but it must not override Hall 2."
    )
    assert not hear(text).statements


def test_each_line_of_a_long_list_of_notes_is_read(hear: Hear) -> None:
    lines = [f"Remember that the code of door {n} is {n}{n}." for n in range(40)]
    assert len(hear("\n".join(lines)).statements) == 40
    lines = [f"Update: door {n} is now {n}{n}." for n in range(40)]
    assert len(hear("\n".join(lines)).statements) == 40
