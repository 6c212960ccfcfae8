"""Keyed hashes of every token, phrase and number of a text, computed for all of it at once.

A token is a word or a single other character; a phrase is several tokens in a row, whatever blanks are between them.
The hash of a token is a polynomial over its characters, modulo 2**64, at a secret odd place: sums over prefixes of the
text give those of all tokens in a few passes of numpy. Numbers count as values, to six digits unless they are whole.

Not a cryptographic hash: what must be sure of a phrase compares a keyed hash of its own once this one agrees.
"""

import re
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from lineage.texts.read import LONGEST

Hashes: TypeAlias = npt.NDArray[np.uint64]
_TOKEN = re.compile(r"\w+|[^\w\s]")
_MODULUS = 1 << 64
_DIGITS = 6  # of a number that is not whole: what floats of 32 bits have as well
_WHOLE = 1 << 53  # below that, floats of 64 bits are whole numbers without a gap
_ASCII = 128
_WORD, _OTHER = 1, 2
"""Kinds of characters; blanks are 0."""


def _kind(character: str) -> int:
    if character.isspace():
        return 0
    return _WORD if character.isalnum() or character == "_" else _OTHER


_KINDS = np.array([_kind(chr(code)) for code in range(_ASCII)], np.uint8)


def tokens_of(text: str) -> list[str]:
    """Return the words and the other characters of a text, those that are blank left out."""
    return _TOKEN.findall(text)


class TextHashes:
    """Hashes under one key, a secret number of 128 bits or more."""

    def __init__(self, key: int) -> None:
        base, self._step = (key % _MODULUS) | 1, np.uint64((key >> 64) % _MODULUS | 1)
        self._powers = np.cumprod(np.full(LONGEST, base, np.uint64))
        self._inverses = np.cumprod(np.full(LONGEST, pow(base, -1, _MODULUS), np.uint64))

    def tokens(self, text: str) -> tuple[npt.NDArray[np.int64], Hashes]:
        """Return where the tokens of a text of up to ``LONGEST`` characters begin, and their hashes, (tokens,)."""
        plain = text.isascii()
        data = text.encode("ascii" if plain else "utf-32-le", "replace")
        codes: npt.NDArray[Any] = np.frombuffer(data, np.uint8 if plain else np.uint32)
        kinds = _KINDS[codes if plain else np.minimum(codes, _ASCII - 1)]
        for code in () if plain else np.unique(codes[codes >= _ASCII]).tolist():
            kinds[codes == code] = _kind(chr(code))
        begins = kinds > 0
        begins[1:] &= (kinds[1:] == _OTHER) | (kinds[:-1] != _WORD)
        starts = np.flatnonzero(begins)
        sums = np.zeros(len(codes) + 1, np.uint64)
        np.cumsum((codes + np.uint64(1)) * self._powers[: len(codes)] * (kinds > 0), out=sums[1:])
        sums = sums[np.append(starts, len(codes))]  # blanks add nothing, so that a token ends where the next begins
        return starts, self._mixed((sums[1:] - sums[:-1]) * self._inverses[starts])

    def phrases(self, tokens: Hashes, count: int) -> Hashes:
        """Return the hashes of all phrases of so many tokens, (tokens - count + 1,), by the hashes of the tokens."""
        last = len(tokens) - count + 1
        total = np.zeros(max(last, 0), np.uint64)
        for place in range(count if last > 0 else 0):
            total = total * self._step + tokens[place : place + last]
        return total

    def phrase(self, text: Sequence[str]) -> int:
        """Return the hash of one phrase, given its tokens."""
        return int(self.phrases(self.tokens(" ".join(text))[1], len(text))[0])

    def numbers(self, values: Sequence[float] | npt.NDArray[Any]) -> Hashes:
        """Return the hashes of numbers, (numbers,)."""
        numbers = np.asarray(values, np.float64)
        whole = (np.abs(numbers) < _WHOLE) & (numbers == np.rint(numbers))
        with np.errstate(all="ignore"):
            exponents = np.where(whole, 0.0, np.floor(np.log10(np.abs(numbers))) - (_DIGITS - 1))
            mantissas = np.where(whole, numbers, np.rint(numbers / 10.0**exponents))
        carried = ~whole & (np.abs(mantissas) >= 10**_DIGITS)
        mantissas, exponents = np.where(carried, mantissas / 10, mantissas), np.where(carried, exponents + 1, exponents)
        both = (np.nan_to_num(each, nan=0, posinf=0, neginf=0).astype(np.int64) for each in (mantissas, exponents))
        mantissa, exponent = (each.view(np.uint64) for each in both)
        return self._mixed((mantissa + np.uint64(1)) * self._powers[1] + (exponent + np.uint64(2)) * self._powers[2])

    def _mixed(self, hashes: Hashes) -> Hashes:
        """Return hashes each bit of which depends on all bits: sums of what is left alone would have equal low bits."""
        hashes = (hashes ^ (hashes >> np.uint64(29))) * self._step
        mixed: Hashes = (hashes ^ (hashes >> np.uint64(32))) * self._powers[0]
        return mixed
