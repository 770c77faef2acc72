"""Mask what identifies a person: numbers of phones, documents, accounts, keys, addresses, mentions.

Prices, dates, times, years, scores and other numbers that anybody may write stay.
"""

import re

# Stands for what is masked. A gap would teach that "amanhã" follows "no" in "me liga no 99999-1234
# amanhã". This sign is a token of its own that prose does not have; it is no word, and so it is
# never suggested.
MASK = "█"

_GAP = r"(?:[^\S\n\t]|[‐‑–-])"
_DOT = r"(?:[^\S\n\t]|[.‐‑–-])"
_DASH = r"[‐‑–-]"
# Numbers in the form of a phone number: years (2023-2024), prices (2500-3000).
_RANGE = rf"(?:(?:1\d|20)\d\d{_DOT}?(?:1\d|20)\d\d|\d\d00{_DOT}?\d\d00)(?!\d)"
_COUNTED = (
    r"[^\S\n\t]?(?:€|(?:habitantes|pessoas|eleitores|euros|reais|dólares|metros|toneladas)\b)"
)
_LETTERS = r"[\w/=&#%~+-]"  # that may end an address
_DOMAIN = r"(?<![\w.@-])[a-z0-9-]+(?:\.[a-z0-9-]+)*"

_ADDRESSES = (
    r"000201[^\n]{20,600}?6304[\da-f]{4}",  # Pix copied and pasted; it holds an address
    rf"(?:https?://|www\.)[^\s\"<>—…{MASK}]*{_LETTERS}",
    r"(?<![\w.+%-])[\w.+%-]+@[\w-]+(?:\.[\w-]+)*\.[a-z]{2,}",
    rf"{_DOMAIN}\.(?-i:(?:com|net|org|gov|edu)(?:\.(?:br|pt))?|br|pt)\b"
    rf"(?:/(?:[^\s\"<>—…]*{_LETTERS})?)?",
    rf"{_DOMAIN}\.[a-z]{{2,6}}/(?:[^\s\"<>—…]*{_LETTERS})",  # wa.me/5511…
    r"@\u2068[^\u2069\n]*\u2069",  # a mention in WhatsApp
    r"(?<![\w.])@\w*\d{6,}\b",
)
_NUMBERS = (
    # Phones: of any country, of Brazil with and without area, of Portugal, free of charge.
    rf"(?:\+|00(?=[1-9]))(?=(?:\D{{0,2}}\d){{8}})\d{{1,3}}(?:{_DOT}?(?:\d{{2,5}}|\(\d{{1,5}}\))){{2,4}}(?![h:/%])",
    rf"\(0?\d\d\){_DOT}?9?{_DOT}?\d{{4}}{_DOT}?\d{{4}}",
    rf"0?[1-9]\d{_DOT}?9{_DOT}?(?!{_RANGE})\d{{4}}{_DOT}?\d{{4}}",
    rf"0?[1-9]\d{_DOT}?(?!{_RANGE})[2-9]\d{{3}}{_DASH}\d{{4}}",
    rf"9{_DOT}?(?!{_RANGE})\d{{4}}{_DOT}\d{{4}}",
    rf"(?!{_RANGE})[2-9]\d{{3}}{_DASH}\d{{4}}",
    rf"(?:9[1236]\d|2\d\d|[78]0[078]){_GAP}\d{{3}}{_GAP}?\d{{3}}(?!\d|{_COUNTED})",
    rf"2[12]{_GAP}\d{{3}}{_GAP}?\d\d{_GAP}?\d\d",
    rf"0[38]00{_GAP}?\d{{3}}{_GAP}?\d{{4}}",
    # Papers of Brazil: CPF, CNPJ, RG; the postal code.
    r"\d{3}\.?\d{3}\.?\d{3}[‐‑–/-]\d\d",
    r"\d\d\.?\d{3}\.?\d{3}/\d{4}-?\d\d",
    r"\d{1,2}\.\d{3}\.\d{3}-[\dx]\b",
    r"\d\d\.?\d{3}-\d{3}",
    # Accounts: cards, IBAN, a payment slip, the keys and codes of Pix.
    rf"(?!{_RANGE})\d{{4}}(?:{_GAP}\d{{4}}){{2}}{_GAP}\d{{1,4}}",
    rf"3\d{{3}}{_GAP}\d{{6}}{_GAP}\d{{5}}",
    r"\d{5}\.?\d{5}(?:[^\S\n\t]\d{5}\.?\d{6}){2}[^\S\n\t]\d[^\S\n\t]\d{14}",
    r"[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}",
    # Any long run of digits but round numbers and dates (20240312).
    r"(?!\d{1,4}0{4,}(?!\d))(?!(?:19|20)\d\d(?:0\d|1[0-2])[0-3]\d(?!\d))\d{8,}",
)
_ADDRESS = re.compile("|".join(_ADDRESSES), re.IGNORECASE)
_ADDRESS_HINT = re.compile(r"[@/]|www\.|\.(?:com|net|org|gov|edu|br|pt)\b", re.IGNORECASE)
# The first look-behind tells decimals (3,14159265) from a list of numbers.
_NUMBER = re.compile(
    r"(?<!\b\d[.,])(?<!\b\d\d[.,])(?<![\d+])@?(?:" + "|".join(_NUMBERS) + r")(?!\d)"
    r"|\b[a-z]{2}\d\d(?:[^\S\n\t]?\d{4}){3,}(?:[^\S\n\t]?\d{1,4})?(?!\d)"  # IBAN
    r"|(?<![\w#@])(?=(?:[a-z]*+\d++[a-z]++){3})[a-z\d]{24,}\b"  # other keys
    r"|(?P<name>\b(?:cpf|cnpj|rg|nif|nib|tel|telefone|telemóvel|celular|cel|fone|whatsapp|zap)\b"
    rf"[.:]?[^\S\n\t]?)\d(?:(?:{_DOT}|/)?\d){{6,}}",
    re.IGNORECASE,
)
_NUMBER_HINT = re.compile(r"\d\d\d|\d[a-zA-Z]+\d")


def mask_private(text: str) -> str:
    """Return a text with `MASK` in place of what identifies a person."""
    if _ADDRESS_HINT.search(text):
        text = _ADDRESS.sub(MASK, text)
    if _NUMBER_HINT.search(text):
        text = _NUMBER.sub(lambda found: (found["name"] or "") + MASK, text)
    return text
