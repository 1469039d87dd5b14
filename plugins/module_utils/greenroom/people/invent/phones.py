# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Phone numbers without a subscriber, which countries reserve for films and books. All are valid E.164 numbers."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from itertools import accumulate

from .randomness import Stream

_AREAS = """
201 202 203 205 206 207 208 209 210 212 213 214 215 216 217 218 219 224 225 228 229 231 234 239 240 248 251 252 253 254
256 260 262 267 269 270 276 281 301 302 303 304 305 307 308 309 310 312 313 314 315 316 317 318 319 320 321 323 325 330
331 334 336 337 339 347 351 352 360 361 386 401 402 404 405 406 407 408 409 410 412 413 414 415 417 419 423 424 425 430
432 434 435 440 443 469 478 479 480 484 501 502 503 504 505 507 508 509 510 512 513 515 516 517 518 520 530 540 541 551
559 561 562 563 567 570 571 573 574 575 580 585 586 601 602 603 605 606 607 608 609 610 612 614 615 616 617 618 619 620
623 626 630 631 636 641 646 650 651 660 661 662 678 682 701 702 703 704 706 707 708 712 713 714 715 716 717 718 719 720
724 727 731 732 734 740 754 757 760 763 765 770 772 773 774 775 781 785 786 801 802 803 804 805 806 808 810 812 813 814
815 816 817 818 828 830 831 832 843 845 847 848 850 856 857 858 859 860 862 863 864 865 870 878 901 903 904 906 907 908
909 910 912 913 914 915 916 917 918 919 920 925 928 931 936 937 940 941 947 949 951 952 954 956 970 971 972 973 978 979
980 985 989
"""

# Country → (prefix, number of digits that follow).
_RANGES: dict[str, tuple[tuple[str, int], ...]] = {
    "US": tuple((f"+1{area}55501", 2) for area in _AREAS.split()),
    "FR": tuple((f"+33{start}", 4) for start in ("19900", "26191", "35301", "46571", "53649")),
    "GB": (
        *((f"+44{area}4960", 3) for area in (113, 114, 116, 117, 118, 121, 131, 141, 151, 161)),
        *((f"+44{start}", 3) for start in ("2079460", "1914980", "2896496", "2920180")),
    ),
    "DE": tuple((f"+49{start}", 3) for start in ("3023125", "4066969", "6990009", "8999998", "2214710")),
}


def _all() -> Iterator[tuple[str, int]]:
    for ranges in _RANGES.values():
        yield from ranges


_STARTS = tuple(_all())
ENDS: tuple[int, ...] = tuple(accumulate(10**digits for _, digits in _STARTS))
"""Positions at which one range ends and the next begins."""
CAPACITY: int = ENDS[-1]
"""The number of reserved phone numbers."""


def number(position: int) -> str:
    """Return the phone number at a position from 0 to CAPACITY - 1. No two positions have the same number."""
    place = bisect_right(ENDS, position)
    start, digits = _STARTS[place]
    return f"{start}{ENDS[place] - position - 1:0{digits}}"


def any_number(country: str, stream: Stream) -> str:
    """Return a random number of a country; of the United States if the country reserves none."""
    start, digits = stream.choice(_RANGES.get(country, _RANGES["US"]))
    return f"{start}{stream.randrange(10**digits):0{digits}}"
