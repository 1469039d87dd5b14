# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Named people: personas that a CSV or JSON file lists, with the values of their traits."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ...common.names import nearest
from ...people.recipe.personas import Persona, UsersError, personas_of

KEY = "key"
TRAITS = "traits"
TRAIT = f"{TRAITS}."
COLUMNS = (KEY, "like", "state", "verified", "password", "locale", "first", "last", "gender")
"""Columns of a CSV file besides those of traits; only the first is required."""
_SWITCHES = {"true": True, "false": False}


class NamedPeopleError(ValueError):
    """The file can't be used; the message is one line that names the file and the line or person."""


def named_people(path: str) -> list[dict[str, Any]]:
    """Return the people in a file as personas, for the option `personas`; an empty path has none.

    Raises NamedPeopleError.
    """
    if not path:
        return []
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise NamedPeopleError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise NamedPeopleError(f"{path}: not text in UTF-8") from error
    read = {".csv": _of_csv, ".json": _of_json}.get(Path(path).suffix.lower())
    if read is None:
        raise NamedPeopleError(f"{path}: the name must end with .csv or .json")
    places: dict[str, str] = {}
    found = []
    for place, persona in read(path, text):
        name = _checked(place, persona).name
        if name in places:
            raise NamedPeopleError(f"{place}: {name} is also {places[name].removeprefix(f'{path} ')}")
        places[name] = place
        found.append(persona)
    return found


def problems(path: object) -> Iterator[str]:
    """Yield what is wrong with the file of `seed_named_people`; the check of types reports what is not text."""
    try:
        named_people(path if isinstance(path, str) else "")
    except NamedPeopleError as error:
        yield f"seed_named_people: {error}"


def _checked(place: str, persona: Mapping[str, Any]) -> Persona:
    try:
        return personas_of([persona])[0]
    except UsersError as error:
        raise NamedPeopleError(f"{place}: {error}") from error


def _of_csv(path: str, text: str) -> Iterator[tuple[str, dict[str, Any]]]:
    head = text.partition("\n")[0]
    # Spreadsheets in some languages write semicolons.
    rows = csv.reader(text.splitlines(keepends=True), delimiter=";" if head.count(";") > head.count(",") else ",")
    try:
        columns = [name.strip() for name in next(rows, [])]
        _check_columns(f"{path} line 1", columns)
        for row in rows:
            place = f"{path} line {rows.line_num}"
            if not any(row):
                continue
            if len(row) != len(columns):
                raise NamedPeopleError(f"{place}: {len(row)} values for {len(columns)} columns")
            yield place, _persona_of_row(place, dict(zip(columns, row, strict=True)))
    except csv.Error as error:
        raise NamedPeopleError(f"{path} line {rows.line_num}: {error}") from error


def _check_columns(place: str, columns: list[str]) -> None:
    if KEY not in columns:
        raise NamedPeopleError(f"{place}: the column {KEY} is missing")
    for name in columns:
        if columns.count(name) > 1:
            raise NamedPeopleError(f"{place}: the column {name} is there twice")
        if name not in COLUMNS and not name.startswith(TRAIT):
            best = nearest(name, COLUMNS)
            hint = f'did you mean "{best}"?' if best else f"write a trait as {TRAIT}{name or '<path>'}"
            raise NamedPeopleError(f"{place}: unknown column '{name}'; {hint}")


def _persona_of_row(place: str, row: Mapping[str, str]) -> dict[str, Any]:
    """Return a persona; an empty cell leaves the value to the generator."""
    persona: dict[str, Any] = {"name": row[KEY].strip(), TRAITS: {}}
    for name, text in row.items():
        if not text or name == KEY:
            continue
        if name.startswith(TRAIT):
            # Only the schema knows the trait's type.
            persona[TRAITS][name.removeprefix(TRAIT)] = {"text": text}
        elif name in ("verified", "password"):
            if text.strip().lower() not in _SWITCHES:
                raise NamedPeopleError(f"{place}: {name} must be true or false, not '{text}'")
            persona[name] = _SWITCHES[text.strip().lower()]
        else:
            persona[name] = text
    return persona


def _of_json(path: str, text: str) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        listed = json.loads(text)
    except ValueError as error:
        raise NamedPeopleError(f"{path}: {error}") from error
    if not isinstance(listed, list):
        raise NamedPeopleError(f"{path}: expected a list of people")
    for number, given in enumerate(listed, 1):
        place = f"{path} person {number}"
        if not isinstance(given, dict) or KEY not in given or "name" in given:
            raise NamedPeopleError(f"{place}: expected a mapping with a {KEY}, and without a name")
        if not isinstance(given.get(TRAITS, {}), dict):
            raise NamedPeopleError(f"{place}: {TRAITS} must be a mapping")
        persona = {name: value for name, value in given.items() if name != KEY}
        yield place, persona | {"name": given[KEY], TRAITS: dict(_flat(given.get(TRAITS, {}), ""))}


def _flat(traits: Mapping[str, Any], above: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield traits by their dotted paths. Null is a trait that the person doesn't have."""
    for name, value in traits.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", {"share": 0} if value is None else {"value": value}
