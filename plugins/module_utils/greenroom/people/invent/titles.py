# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Titles of women and men. Faker's contradict the gender, or are no titles: its French ones are parts of last names."""

from __future__ import annotations

_TITLES = """
ar السيدة السيد; bg Г-жа Г-н; bs Gđa G.; cs Paní Pan; da Fru Hr.; de Frau Herr; dk Fru Hr.; el Κυρία Κύριος
es Sra. Sr.
et Pr. Hr.; fi Rouva Herra; fil Gng. G.; fr Mme M.; he גב' מר; hi श्रीमती श्री; hr Gđa G.; hu Hölgy Úr; id Ibu Bapak
is Frú Hr.; it Sig.ra Sig.; ja 様 様; ko 님 님; lb Madame Här; lt Ponia Ponas; lv Kundze Kungs; mk Г-ѓа Г-дин
mt Sinjura Sinjur; nl Mevr. Dhr.; no Fru Herr; pl Pani Pan; pt Sra. Sr.; ro Dna. Dl.; ru Г-жа Г-н; sk Pani Pán
sl Ga. G.; sq Znj. Z.; sr Gđa G.; sv Fru Herr; th นาง นาย; tl Gng. G.; tr Bayan Bay; uk Пані Пан
vi Bà Ông; zh 女士 先生
"""
_OF_LANGUAGE = {
    language: (female, male)
    for language, female, male in (each.split(" ") for each in _TITLES.strip().replace("\n", "; ").split("; "))
}
# English ones are tried last, for schemas that list the titles which they allow.
_ENGLISH = (("Ms.", "Ms", "Mrs.", "Mrs", "Miss"), ("Mr.", "Mr"))


def titles(language: str, female: bool) -> tuple[str, ...]:
    """Return the titles of a woman or a man, the preferred one first."""
    position = 0 if female else 1
    own = _OF_LANGUAGE.get(language, ())[position : position + 1]
    return (*own, *(each.removesuffix(".") for each in own if each.endswith(".")), *_ENGLISH[position])
