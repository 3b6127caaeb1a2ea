# SPDX-License-Identifier: Apache-2.0
"""What looks like a value and is none: MAKERS[kind](chance) → the text and tags; the sentence (sentences.HARD) says what it is."""
from chance import Chance
from values import HEX, MONTHS, UPPER, luhn, passes_luhn


def order(chance):
    """Numbers as shops and ministries give them. Those that happen to pass for an id or a card say so in a tag: there the words around
    are all that tells."""
    digits = chance.pick([
        lambda: chance.digits(10), lambda: chance.pick("12") + chance.digits(9), lambda: chance.digits(8), lambda: chance.digits(12),
        lambda: chance.digits(7), lambda: chance.digits(16), lambda: chance.digits(14), lambda: chance.digits(6), lambda: chance.digits(9)])()
    if len(digits) == 10 and digits[0] in "12" and chance.one_in(4):
        digits = digits[:9] + luhn(digits[:9])
    looks = len(digits) in (10, 14, 15, 16) and passes_luhn(digits) and digits[0] in ("12" if len(digits) == 10 else "23456")
    tags = ["passes-luhn"] if looks else []
    if chance.one_in(4):
        return chance.pick(["ORD-", "INV-", "SR", "#", "2025-"]) + digits[:8], []
    return digits, tags


def tracking(chance):
    return chance.pick([f"1Z{chance.some(UPPER + '0123456789', 16)}", f"{chance.some(UPPER, 2)}{chance.digits(9)}{chance.pick(['SA', 'AE', 'EG', 'GB'])}", chance.digits(12),
                        f"{chance.digits(4)} {chance.digits(4)} {chance.digits(4)}", f"SMSA{chance.digits(9)}", f"{chance.digits(3)}-{chance.digits(8)}"]), []


def version(chance):
    n = lambda most: chance.below(most)  # noqa: E731
    return chance.pick([f"{n(20)}.{n(30)}.{n(20)}", f"{n(12)}.{n(20)}.{n(20)}.{n(200)}", f"10.0.{19041 + n(7000)}.{n(4000)}", f"{n(9)}.{n(20)}.{n(9)}-rc{n(5)}",
                        f"v{n(9)}.{n(9)}.{n(90)}+{chance.some(HEX, 7)}", f"{2000 + n(27)}.{n(12)}.{n(30)}", f"{n(200)}.0.{n(7000)}.{n(200)}"]), []


def verse(chance):
    return chance.pick([f"{chance.between(1, 114)}:{chance.between(1, 286)}", str(chance.between(1, 286)), f"{chance.between(1, 100)}-{chance.between(101, 286)}",
                        f"{chance.between(1, 114)}:{chance.between(1, 99)}-{chance.between(100, 200)}"]), []


def price(chance):
    whole = chance.between(1, 9_999_999_999 if chance.one_in(5) else 9_999_999)
    return chance.pick([f"{whole:,}", str(whole), f"{whole:,}.{chance.digits(2)}", f"{whole}.{chance.digits(2)}", f"{whole:,}".replace(",", "٬") + "٫" + chance.digits(2)]), []


def isbn(chance):
    digits = chance.pick(["978", "979"]) + chance.digits(9)
    digits += str(-sum(int(d) * (3 if i % 2 else 1) for i, d in enumerate(digits)) % 10)
    return chance.pick([digits, f"{digits[:3]}-{digits[3]}-{digits[4:8]}-{digits[8:12]}-{digits[12]}", f"{chance.digits(9)}X"]), []


def digest(chance):
    return chance.some(HEX, chance.pick([7, 8, 32, 40, 64])), []


def uuid(chance):
    text = "-".join(chance.some(HEX, n) for n in (8, 4, 4, 4, 12))
    return text.upper() if chance.one_in(4) else text, []


def place(chance):
    north, east = f"{chance.between(15, 32)}.{chance.digits(6)}", f"{chance.between(34, 59)}.{chance.digits(6)}"
    return chance.pick([f"{north}, {east}", f"{north},{east}", f"{north[:2]}°{chance.digits(2)}'{chance.digits(2)}\"N {east[:2]}°{chance.digits(2)}'E"]), []


def moment(chance):
    year, month, day = chance.between(2019, 2027), chance.between(1, 12), chance.between(1, 28)
    clock = f"{chance.below(24):02d}:{chance.below(60):02d}:{chance.below(60):02d}"
    return chance.pick([f"{year}-{month:02d}-{day:02d}T{clock}Z", f"{year}-{month:02d}-{day:02d} {clock}.{chance.digits(3)}", f"{year}{month:02d}{day:02d}{clock.replace(':', '')}", clock,
                        f"{year}-{month:02d}-{day:02d}T{clock}+03:00"]), []


def epoch(chance):
    """Seconds or thousandths since 1970: ten digits that begin with 1, as an id has; one in ten passes for one."""
    if chance.one_in(3):
        return str(1500000000000 + chance.below(300000000000)), []
    digits = str(1500000000 + chance.below(300000000))
    return digits, ["passes-luhn"] if passes_luhn(digits) else []


def code(chance):
    return chance.pick([chance.digits(4), chance.digits(6), f"SV{chance.digits(3)}", f"{chance.some(UPPER, 3)}-{chance.digits(5)}",
                        chance.digits(5), f"19{chance.digits(3)}", f"{chance.digits(5)}-{chance.digits(4)}", f"{chance.digits(3)}-{chance.digits(2)}-{chance.digits(2)}"]), []


def handle(chance):
    word = chance.pick(["saudi_news", "ahmed.sa", "dev", "channel", "dataclass", "here", "riyadh", "almarai"])
    return chance.pick([f"@{word}", f"@{word}{chance.digits(2)}", f"@types/node@{chance.below(20)}.{chance.below(9)}.{chance.below(9)}", f"lodash@4.17.{chance.below(30)}", f"@{word}/core",
                        f"git@v{chance.below(9)}", f"{word}@", f"user@host:{chance.below(90)}"]), []


def date(chance):
    day, month, year = chance.between(1, 28), chance.between(1, 12), chance.between(1990, 2030)
    return chance.pick([f"{day:02d}/{month:02d}/{year}", f"{year}-{month:02d}-{day:02d}", f"{day} {MONTHS['en'][month - 1]} {year}", f"{day:02d}.{month:02d}.{year}", f"{day} {MONTHS['ar'][month - 1]} {year}"]), []


MAKERS = {"order": order, "tracking": tracking, "version": version, "verse": verse, "price": price, "isbn": isbn, "hash": digest, "uuid": uuid,
          "place": place, "time": moment, "epoch": epoch, "code": code, "handle": handle, "date": date, "secret_talk": lambda chance: ("", [])}

if __name__ == "__main__":
    for _kind, _make in MAKERS.items():
        print(_kind, [_make(Chance(n))[0] for n in range(6)])
