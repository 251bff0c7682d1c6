"""The texts of the demo corpus: messages to an online shop that does not exist, made from a seed.

The grammar (demo_grammar.toml) holds the words. This module draws from it, spoils some messages with typos, and
flips the labels of 3 of 100 shipped rows. The same seed gives the same texts, byte for byte. It trains nothing and
writes no file.
"""

from __future__ import annotations

import dataclasses
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

GRAMMAR_FILE = Path(__file__).with_name("demo_grammar.toml")

SHIPPED_ROWS = 4_000
PLANTED_ROWS = 120  # 3 of 100
TRAINING_ROWS = 20_000

# How messages are built, and how many in 100 of each: see _Writer.
STYLES: Mapping[str, float] = {"short": 18, "plain": 46, "long": 30.5, "mixed": 4, "vague": 1.5}

_CHOICE = re.compile(r"\[([^\[\]]*)\]")
_SLOT = re.compile(r"\{(\w+)\}")


@dataclasses.dataclass(frozen=True, slots=True)
class Message:
    """A message and the class that it was written for."""

    text: str
    label: str


@dataclasses.dataclass(frozen=True, slots=True)
class ShippedRow:
    """A row of the corpus; where a label was flipped, `given_label` differs from `true_label`."""

    id: str
    text: str
    given_label: str
    true_label: str


def class_names() -> tuple[str, ...]:
    """The classes in the order of the classifier's outputs."""
    return tuple(_grammar()["classes"])


def shipped_rows(seed: int) -> list[ShippedRow]:
    """The corpus that is shipped: distinct messages, PLANTED_ROWS of them under a random other class."""
    messages = write_messages(Random(f"{seed}/shipped"), SHIPPED_ROWS, set())
    dice = Random(f"{seed}/planted")
    planted = set(dice.sample(range(len(messages)), PLANTED_ROWS))
    names = class_names()
    rows = []
    for index, message in enumerate(messages):
        given = message.label
        if index in planted:
            given = dice.choice([name for name in names if name != message.label])
        rows.append(ShippedRow(f"msg-{index:05d}", message.text, given, message.label))
    return rows


def training_messages(seed: int, shipped: Sequence[ShippedRow]) -> list[Message]:
    """The messages that the classifier learns from, correctly labelled; none of them is shipped."""
    taken = {fingerprint(row.text) for row in shipped}
    return write_messages(Random(f"{seed}/training"), TRAINING_ROWS, taken)


def write_messages(dice: Random, count: int, taken: set[str]) -> list[Message]:
    """Messages that differ from one another and from those taken.

    Args:
        dice: source of every choice.
        count: how many messages.
        taken: fingerprints that must not come again; those of the new messages are added.
    """
    grammar = _grammar()
    names = list(grammar["classes"])
    weights = [grammar["classes"][name]["weight"] for name in names]
    messages: list[Message] = []
    while len(messages) < count:
        label = dice.choices(names, weights)[0]
        text = _spoil(_Writer(grammar, dice).write(label), dice)
        if (mark := fingerprint(text)) not in taken:
            taken.add(mark)
            messages.append(Message(text, label))
    return messages


def fingerprint(text: str) -> str:
    """What two texts share that differ only in case, spacing or punctuation."""
    return " ".join(re.findall(r"\w+", text.casefold()))


class _Writer:
    """Writes one message. A slot is drawn once, so that a message speaks of the same product throughout."""

    def __init__(self, grammar: Mapping[str, Any], dice: Random) -> None:
        self._grammar = grammar
        self._dice = dice
        self._values: dict[str, str] = {}

    def write(self, label: str) -> str:
        style = self._dice.choices(list(STYLES), list(STYLES.values()))[0]
        topic = self._grammar["classes"][label]
        match style:
            case "short":
                return self._fill(self._dice.choice(topic["short"]))
            case "plain":
                return self._framed(self._plain(topic))
            case "long":
                return self._framed(self._long(topic))
            case "vague":
                return self._framed([*self._backgrounds(topic, 0, 1), self._dice.choice(topic["vague"])])
            case _:
                return self._framed(self._mixed(label))

    def _plain(self, topic: Mapping[str, Any]) -> list[str]:
        issue = self._dice.choice(topic["issues"])
        asks = self._some(issue["ask"], 0, 1)
        return [self._dice.choice(issue["say"]), *self._some(issue["tell"], 0, 2), *asks]

    def _long(self, topic: Mapping[str, Any]) -> list[str]:
        issue = self._dice.choice(topic["issues"])
        tells = self._some(issue["tell"], 2, 4)
        backgrounds = self._backgrounds(topic, 1, 3)
        parts = [*backgrounds[:2], self._dice.choice(issue["say"]), *tells, *self._some(issue["ask"], 1, 2)]
        if self._dice.random() < 0.2:  # a second matter of the same class
            parts.append(self._connected(self._dice.choice(self._dice.choice(topic["issues"])["say"])))
        return parts + backgrounds[2:]

    def _mixed(self, label: str) -> list[str]:
        """The message's own matter and one of another class; mostly, but not always, its own comes first."""
        others = [name for name in self._grammar["classes"] if name != label]
        other = self._dice.choice(self._grammar["classes"][self._dice.choice(others)]["issues"])
        own = self._plain(self._grammar["classes"][label])
        if self._dice.random() < 0.12:
            return [self._dice.choice(other["say"]), self._connected(own[0]), *own[1:]]
        return [*own, self._connected(self._dice.choice(other["say"])), *self._some(other["tell"], 0, 1)]

    def _backgrounds(self, topic: Mapping[str, Any], fewest: int, most: int) -> list[str]:
        return self._some(topic.get("backgrounds", self._grammar["backgrounds"]), fewest, most)

    def _some(self, patterns: Sequence[str], fewest: int, most: int) -> list[str]:
        count = min(self._dice.randint(fewest, most), len(patterns))
        return self._dice.sample(patterns, count)

    def _connected(self, pattern: str) -> str:
        """A sentence behind a connective, its first letter small unless it begins with a name or with I."""
        pattern = self._choose(pattern)
        if not re.match(r"\{|I\b|Fernhollow", pattern):
            pattern = pattern[:1].lower() + pattern[1:]
        return str(self._dice.choice(self._grammar["connectives"])) + pattern

    def _framed(self, patterns: Sequence[str]) -> str:
        """The sentences with an opening before and a closing behind, either of which may be absent."""
        opening = [self._dice.choice(self._grammar["openings"])] if self._dice.random() < 0.5 else []
        closing = [self._dice.choice(self._grammar["closings"])] if self._dice.random() < 0.5 else []
        sentences = [self._fill(pattern) for pattern in (*opening, *patterns, *closing)]
        return ("\n" if self._dice.random() < 0.15 else " ").join(sentences)

    def _fill(self, pattern: str) -> str:
        filled = _SLOT.sub(lambda slot: self._value(slot[1]), self._choose(pattern))
        return filled[:1].upper() + filled[1:]

    def _choose(self, pattern: str) -> str:
        """The pattern with one alternative taken of each choice, innermost first."""
        while found := _CHOICE.search(pattern):
            chosen = self._dice.choice(found[1].split("|"))
            pattern = pattern[: found.start()] + chosen + pattern[found.end() :]
        return re.sub(r" +(?=[ .,!?]|$)", "", pattern)

    def _value(self, name: str) -> str:
        if name not in self._values:
            words = self._grammar["words"].get(name)
            self._values[name] = self._dice.choice(words) if words else _MADE[name](self._dice)
        return self._values[name]


def _order(dice: Random) -> str:
    return dice.choice(["FH-{}", "{}", "#{}", "no. {}"]).format(dice.randint(40_000, 99_999))


def _amount(dice: Random, least: int, most: int) -> str:
    whole = dice.randint(least, most)
    cents = dice.choice(["00", "50", "90", "95", "99"])
    form = dice.choice(["€{0}.{1}", "{0}.{1} euros", "€{0}", "{0} euros", "{0},{1} €"])
    return form.format(whole, cents)


def _date(dice: Random) -> str:
    form = dice.choice(["{0} {2}", "{2} {0}", "{0}/{1}", "{0} {2}"])
    number = dice.randint(1, 12)
    return form.format(dice.randint(1, 28), number, _grammar()["words"]["month"][number - 1])


_MADE: Mapping[str, Callable[[Random], str]] = {
    "order": _order,
    "amount": lambda dice: _amount(dice, 40, 480),
    "amount2": lambda dice: _amount(dice, 4, 39),  # the smaller of the two
    "date": _date,
    "days": lambda dice: str(dice.randint(4, 30)),
    "minutes": lambda dice: str(dice.choice([5, 10, 15, 20, 25, 30, 40, 45])),
    "hour": lambda dice: str(dice.randint(1, 9)),
    "percent": lambda dice: str(dice.randint(3, 99)),
    "points": lambda dice: str(dice.randrange(150, 9_000, 50)),
    "customer": lambda dice: f"C-{dice.randint(10_000, 99_999)}",
    "code": lambda dice: dice.choice(["SPRING", "HOME", "WELCOME", "GARDEN", "FERN"]) + str(dice.randrange(5, 35, 5)),
    "error": lambda dice: dice.choice(["E-{}", "{}", "ERR_{}"]).format(dice.randint(100, 799)),
    "version": lambda dice: f"{dice.randint(1, 9)}.{dice.randint(0, 20)}.{dice.randint(0, 9)}",
    "nth": lambda dice: dice.choice(["second", "third", "fourth", "fifth"]),
}


def _spoil(text: str, dice: Random) -> str:
    """What hasty people do to a text: typos, no capitals, no full stop, or all capitals."""
    if dice.random() < 0.28:
        for _ in range(dice.randint(1, 3)):
            text = _mistype(text, dice)
    if dice.random() < 0.09:
        text = text.lower()
    elif dice.random() < 0.02:
        text = text.upper()
    if dice.random() < 0.08:
        text = text.rstrip(".!")
    return text


def _mistype(text: str, dice: Random) -> str:
    """One letter inside a word doubled, dropped, or swapped with the next."""
    places = [place.start() for place in re.finditer(r"(?<=[a-z])[a-z](?=[a-z])", text)]
    if not places:
        return text
    at = dice.choice(places)
    letter, following = text[at], text[at + 1]
    changed = dice.choice([letter + letter + following, following, following + letter])
    return text[:at] + changed + text[at + 2 :]


_loaded: dict[str, Any] = {}


def _grammar() -> Mapping[str, Any]:
    if not _loaded:
        _loaded.update(tomllib.loads(GRAMMAR_FILE.read_text(encoding="utf-8")))
    return _loaded
