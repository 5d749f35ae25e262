"""Every rule of banks has its message."""

import math

import pytest
import yaml

from gaze.errors import UserError
from gaze.prompts.bank import BankError, check_templates, digest, read_banks
from gaze.prompts.building import line_of
from tests.groups import CONF, build, names, node
from tests.prompts.banks import banks

GAZE = {
    "role": "gaze",
    "entries": [{"id": "a", "text": "up", "dir": [0, -2]}, {"id": "b", "text": "at me", "dir": [0, 0]}],
}


def entry(number, **changes):
    """The gaze bank with one entry changed; None takes a key out."""
    bank = banks()["gaze"]
    changed = {**bank["entries"][number], **changes}
    bank["entries"][number] = {key: value for key, value in changed.items() if value is not None}
    return {"gaze": bank}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (entry(2, dir=None), r"banks\.gaze, entry 3 \(n\): it has no dir"),
        (entry(2, dir=[1]), r"entry 3 \(n\): dir is \[1\]; expected two numbers"),
        (entry(2, dir="up"), r"dir is 'up'; expected two numbers"),
        (entry(2, id="e"), r"entry 3 \(e\): entry 1 has this id, too"),
        (entry(2, id=False), r"entry 3 \(False\): id is False; expected a text: put it in quotes"),
        (entry(2, text=" "), r"text is ' '"),
        (entry(2, way=1), r"it has way; expected only id, text, dir"),
        (
            {"gaze": {**GAZE, "entries": [*GAZE["entries"], {"id": "c", "text": "t", "dir": [0, 0]}]}},
            r"entry 3 \(c\): dir is zero",
        ),
        ({"gaze": {**GAZE, "role": "context"}}, r"entry 1 \(a\): dir is \[0, -2\], but the bank is of role context"),
        (
            {"mood": {"role": "moody", "entries": []}},
            r"banks\.mood, the bank: role is 'moody'; expected one of context, gaze",
        ),
        ({"mood": {"role": "context", "entries": []}}, r"banks\.mood, the bank: it has no entries"),
        (
            {"mood": {"role": "context", "entries": ["hello"]}},
            r"entry 1 \(no id\): it is 'hello'; expected id, text, dir",
        ),
        ({"mood": ["hello"]}, r"banks\.mood, the bank: it is \['hello'\]; expected role and entries"),
        ({"mood": {"role": "context", "texts": []}}, r"it has texts; expected only role and entries"),
        ({"Mood!": GAZE}, r"the name is 'Mood!'"),
    ],
)
def test_a_broken_rule_is_named_with_bank_number_and_id(changes, message):
    with pytest.raises(BankError, match=message):
        read_banks(banks(**changes))


def test_what_is_empty_or_has_no_place_is_refused():
    with pytest.raises(UserError, match="prompts.banks is empty"):
        read_banks({})
    for templates in ([], ["a photo"], ["{} and {}"]):
        with pytest.raises(UserError, match="each with one {} for the text"):
            check_templates(templates)


def test_directions_are_of_unit_length_but_for_the_camera():
    (bank,) = read_banks({"gaze": GAZE})
    assert [e.direction for e in bank.entries] == [(0.0, -1.0), (0.0, 0.0)]
    assert bank.entries[0].angle == pytest.approx(math.pi / 2)  # up is positive, as in compass_angle
    assert math.isnan(bank.entries[1].angle)


def test_the_digest_knows_every_text_and_no_way_of_writing():
    found = digest(read_banks(banks()), ["{}"])
    written = [digest(read_banks(banks(**entry(0, text=text))), ["{} e\u0301"]) for text in ("\u00e9", "e\u0301")]
    assert written[0] == written[1] == digest(read_banks(banks(**entry(0, text="\u00e9"))), ["{} \u00e9"])
    longer = entry(0, dir=[3.0, 0.0])
    turned = dict(reversed(banks().items()))
    assert found == digest(read_banks(banks(**longer)), ["{}"]) == digest(read_banks(turned), ["{}"])
    others = [entry(0, text="a face"), entry(0, id="east"), entry(0, dir=[1, 0.1]), {"background": None}]
    assert (
        len({found, digest(read_banks(banks()), ["{}!"]), *(digest(read_banks(banks(**o)), ["{}"]) for o in others)})
        == 6
    )


@pytest.mark.parametrize("name", names("prompts"))
def test_every_config_keeps_the_rules(name):
    made = build(node("prompts", name))(width=8)
    assert [bank.role for bank in made.banks] == ["context"] * 3 + ["gaze"]
    assert [len(bank.entries) for bank in made.banks] == [3, 2, 2, 8]


def test_every_bank_that_can_be_chosen_keeps_the_rules():
    for name in names("prompts/bank"):
        (bank,) = read_banks({name: yaml.safe_load((CONF / "prompts" / "bank" / f"{name}.yaml").read_text())})
        assert not any("his" in e.text.split() or "her" in e.text.split() for e in bank.entries)


def test_an_entry_is_found_in_its_file():
    file = CONF / "prompts" / "bank" / "gaze.yaml"
    for number, name in ((1, "e"), (4, "nw")):
        assert file.read_text().splitlines()[line_of(file, number) - 1] == f"  - id: {name}"
    assert line_of(file, 0) == line_of(file, 99) == 1
