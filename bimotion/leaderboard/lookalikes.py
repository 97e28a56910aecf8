"""Texts that a reader takes for one another: letters of other scripts, full-width and small capital
forms, digits for letters.

Whoever wants to hide a name or to borrow one writes it so. `folded` brings every spelling to the
same letters, `skeleton` further to one text for all names that look alike. What is compared is
folded; what is shown is what was written.
"""

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

_DRAWN_ALIKE = {
    "2": "ƧϨᒿꙄꛯꝚ",
    "3": "ƷȜЗӠⳌꝪ𑣊𖼻",
    "4": "Ꮞ𑢯",
    "5": "Ƽ𑢻",
    "6": "бᏮⳒ𑣕",
    "7": "𐓒𑣆",
    "8": "Ȣȣ৪੪𐌚",
    "9": "৭੧୨൭ⳊꝮ𑢬𑣌𑣖",
    "a": "ɑΑαАаᎪᗅꓮ𐊠𖽀",
    "b": "ƄΒВЬᏏᏴᑲᖯᗷꓐꞴ𐊂𐊡𐌁",
    "c": "ϲϹСсᏟⲤⲥꓚꮯ𐊢𐌂𐐕𐐽𐔜𑣩𑣲",
    "d": "ԁᎠᏧᑯᗞᗪꓒꓓ",
    "e": "ΕЕеҽᎬⴹꓰ𐊆𑢦𑢮",
    "f": "Ϝքᖴꓝ𐊇𐊥𐔥𑢢𑣂",
    "g": "ƍԌցᏀᏳꓖ",
    "h": "ΗНһհᎻᏂᕼⲎꓧ𐋏",
    "i": "ɩͺιіӏᎥιꙇꭵ𑣃",
    "j": "ͿϳЈјᎫᒍꓙ",
    "k": "ΚКᏦᛕⲔꓗ𐔘",
    "l": "ƖǀΙІӀ۱ᏞᒪᛁⲒⳐⵏꓡꓲ𐊊𐌉𐌠𐐛𐔦𑢣𑢲𖼖𖼨",
    "m": "ΜϺМᎷᗰᛖⲘꓟ𐊰𐌑",
    "n": "ΝոռⲚꓠ𐔓",
    "o": "ΟοσОоՕօ۵०০੦૦ଠ୦௦౦೦ഠ൦๐໐ဝ၀ჿዐⲞⲟⵔ〇ꓳ𐊒𐊫𐐄𐐬𐓂𐓪𐔖𑓐𑢵𑣈𑣗𑣠",
    "p": "ΡρϱРрᏢᑭⲢⲣꓑ𐊕",
    "q": "ԛգզⵕ",
    "r": "ƦгᎡᏒᖇᴦⲅꓣꭇꮁ𐒴𖼵",
    "s": "ƽЅѕՏᏕᏚꓢꮪ𐊖𐐠𐑈𑣁𖼺",
    "t": "ΤТᎢⲦꓔ𐊗𐊱𐌕𑢼𖼊",
    "u": "υՍսሀᑌꓴꞟ𐓎𐓶𑢸𑣘𖽂",
    "v": "νѴѵ۷Ꮩᐯⴸꓦꛟꮩ𐔝𑜆𑢠𑣀𖼈",
    "w": "ѡԜԝաᎳᏔꓪꮃ𑜊𑜎𑜏𑣦𑣯",
    "x": "ΧХхᕁᕽᚷⲬⵝꓫꞳ𐊐𐊴𐌗𐌢𐔧𑣬",
    "y": "ɣΥγϒУуҮүყᎩᎽℽⲨꓬ𐊲𑢤𑣜𖽃",
    "z": "ΖᏃꓜꮓ𐋵𑢩𑣄𑣥",
}
"""ASCII letter or digit -> characters of other scripts that are drawn like it.

From Unicode's confusables.txt (UTS 39), those that stand for one ASCII letter or digit. The
packages for it bring 10 000 rows and compare pairs of characters; none gives one form for all. What
normal forms (full-width, bold) or names of characters (small capitals, squared letters) tell is not
listed, nor small letters whose capitals are (Cyrillic м, т).
"""
_DRAWN = {other: letter for letter, drawn in _DRAWN_ALIKE.items() for other in drawn}
_IGNORABLE = "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2065\u2800\u3164\uffa0"
"""Drawn as nothing, but no format characters: fillers, joiners, the empty Braille pattern."""
_MISTAKEN = str.maketrans("01i|_.\u2044\u2215\u2571\u29f8\u3033", "olll--/////")
"""What names are further read for; the last five are other strokes than the one between
organisation and model."""
_LATIN = re.compile(r"(?:LETTER|CAPITAL)(?: [A-Z]+)*? ([A-Z])(?: WITH [A-Z -]+)?$")


def is_plain(text: str) -> bool:
    """Return whether a text holds only what is seen, where it stands: no control, no change of
    direction, nothing invisible.

    >>> is_plain("lab/model"), is_plain("lab/mo\u202edel"), is_plain("lab/mo\u3164del")
    (True, False, False)
    """
    return text.isprintable() and not any(map(_is_invisible, () if text.isascii() else text))


def folded(text: str) -> str:
    """Small letters without accents; letters that are drawn alike, of any script, as the Latin
    ones; nothing invisible.

    >>> folded("іемосар"), folded("ＣＲＥＭＡ-Ｄ"), folded("ÉSD"), folded("ᴛess")
    ('iemocap', 'crema-d', 'esd', 'tess')
    """
    return text.casefold() if text.isascii() else "".join(map(_fold, text)).casefold()


def skeleton(name: str) -> str:
    """The text that all names share that look alike, as the Hub takes them: 0 and o, 1 and i and
    l, rn and m, - and _ and .

    >>> skeleton("Lab/Mode1_0") == skeleton("lab/model-o")
    True
    """
    letters = folded(name).translate(_MISTAKEN)
    return letters.replace("rn", "m").replace("vv", "w")


def mistaken(names: Iterable[str]) -> dict[str, list[str]]:
    """Name -> the other names that it can be mistaken for, sorted; only of names that have such.

    >>> mistaken(["lab/x", "Lab/X", "lab/y"])
    {'Lab/X': ['lab/x'], 'lab/x': ['Lab/X']}
    """
    alike: dict[str, set[str]] = {}
    for name in names:
        alike.setdefault(skeleton(name), set()).add(name)
    return {
        name: sorted(same - {name})
        for same in alike.values()
        if len(same) > 1
        for name in sorted(same)
    }


def _is_invisible(letter: str) -> bool:
    return letter in _IGNORABLE or "VARIATION SELECTOR" in unicodedata.name(letter, "")


@lru_cache(maxsize=10_000)
def _fold(letter: str) -> str:
    if letter.isascii() or letter in _DRAWN:
        return _DRAWN.get(letter, letter)
    parts = [
        part for part in unicodedata.normalize("NFKD", letter) if not unicodedata.combining(part)
    ]
    return "".join(
        _drawn(part)
        for part in parts
        if not _is_invisible(part) and unicodedata.category(part) != "Cf"
    )


def _drawn(letter: str) -> str:
    """One character as the ASCII letter that it is drawn like, as a small letter or as a capital;
    else itself."""
    for form in (letter, letter.upper(), letter.lower()):
        if form in _DRAWN:
            return _DRAWN[form]
    name = unicodedata.name(letter, "")
    is_latin = not letter.isascii() and ("LATIN" in name or "SYMBOL LETTER" in name)
    match = _LATIN.search(name) if is_latin else None
    return match[1] if match else letter
