# SPDX-License-Identifier: Apache-2.0
"""Values that look real, made by the rules that real ones are made by; none is anybody's.

MAKERS[type](chance) → a value as it may be written. Sources: ISO/IEC 7812 (cards), ISO 13616 (IBAN), the layouts of national ids as
far as they are published, the makers' own descriptions of their keys.
"""
import base64
import json

LOWER, UPPER, HEX = "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "0123456789abcdef"
ALNUM = LOWER + UPPER + "0123456789"
NAMES = ["ahmed", "fatima", "khalid", "noura", "mohammed", "sara", "abdullah", "layla", "omar", "huda", "yousef", "maryam", "faisal",
         "reem", "hassan", "amal", "tariq", "dana", "saud", "lina", "john", "emma", "david", "priya", "rahul", "ali", "zainab"]
FAMILIES = ["alqahtani", "alotaibi", "al-harbi", "alghamdi", "almansoori", "alkaabi", "althani", "alsabah", "albalushi", "hassanein",
            "elsayed", "mahmoud", "smith", "miller", "sharma", "khan", "haddad", "alzahrani", "aldosari"]
HOSTS = ["gmail.com", "hotmail.com", "outlook.com", "outlook.sa", "yahoo.com", "icloud.com", "proton.me", "stc.com.sa", "moh.gov.sa",
         "ksu.edu.sa", "etisalat.ae", "dewa.gov.ae", "qatarenergy.qa", "kfh.com.kw", "batelco.bh", "omantel.om", "cairo.edu.eg",
         "alrajhibank.com.sa", "mail.company.co.uk", "najd-logistics.com", "almaha-clinic.com", "rasd.io", "firm.legal", "uni-ulm.de"]


# ---- checks ----

def luhn(digits):
    """The check digit that follows these."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        n = int(digit) * (2 if place % 2 == 0 else 1)
        total += n - 9 if n > 9 else n
    return str(-total % 10)


def passes_luhn(digits):
    return luhn(digits[:-1]) == digits[-1]


def iban_of(country, bban):
    turned = "".join(str(int(c, 36)) for c in bban + country + "00")
    return f"{country}{98 - int(turned) % 97:02d}{bban}"


KUWAIT = (2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
EGYPT = (2, 7, 6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2)


def weighted(digits, weights):
    return sum(int(d) * w for d, w in zip(digits, weights))


# ---- people ----

def email(chance):
    name, family, host = chance.pick(NAMES), chance.pick(FAMILIES), chance.pick(HOSTS)
    local = chance.pick([
        f"{name}.{family}", f"{name}{chance.between(1, 9999)}", f"{name[0]}.{family}", f"{name}_{family}", f"{name}-{chance.digits(2)}",
        f"{name}.{family}+{chance.pick(['bank', 'news', 'stc', 'test1'])}", f"{name[0]}{family}{chance.between(70, 99)}", f"{family}.{name}",
        f"{name.title()}.{family.title()}", f"{name}.{family[0]}.{chance.digits(3)}", f"x{chance.digits(5)}"])
    return f"{local}@{host.upper() if chance.one_in(30) else host}"


def grouped(digits, sizes, sign):
    parts, at = [], 0
    for size in sizes:
        parts.append(digits[at:at + size])
        at += size
    return sign.join(p for p in parts if p) + digits[at:]


# country code, trunk prefix, beginnings of mobile and other numbers, digits behind those, groups of the whole
PHONES = [
    ("966", "0", ["50", "53", "54", "55", "56", "57", "58", "59"], 7, (2, 3, 4)),
    ("966", "0", ["50", "53", "55", "56"], 7, (2, 3, 4)),
    ("966", "0", ["11", "12", "13", "14", "16", "17"], 7, (2, 3, 4)),
    ("971", "0", ["50", "52", "54", "55", "56", "58"], 7, (2, 3, 4)),
    ("971", "0", ["2", "3", "4", "6", "7"], 7, (1, 3, 4)),
    ("974", "", ["33", "50", "55", "66", "70", "77", "44"], 6, (4, 4)),
    ("965", "", ["50", "55", "60", "66", "69", "90", "97", "99", "22", "24"], 6, (4, 4)),
    ("973", "", ["33", "36", "39", "34", "17"], 6, (4, 4)),
    ("968", "", ["91", "92", "95", "99", "71", "79", "24"], 6, (4, 4)),
    ("20", "0", ["10", "11", "12", "15"], 8, (3, 3, 4)),
]
ABROAD = [("962", ["77", "78", "79"], 7, (1, 4, 4)), ("1", ["212", "310", "415", "646"], 7, (3, 3, 4)), ("44", ["74", "77", "78"], 8, (4, 6)),
          ("91", ["98", "99", "70", "81"], 8, (5, 5)), ("92", ["300", "321", "333"], 7, (3, 7)), ("63", ["917", "928"], 7, (3, 3, 4)),
          ("49", ["151", "160", "176"], 8, (3, 8)), ("33", ["6", "7"], 8, (1, 2, 2, 2, 2)), ("961", ["3", "70", "71"], 6, (2, 3, 3)),
          ("964", ["770", "780", "790"], 7, (3, 3, 4)), ("212", ["61", "66"], 7, (3, 6)), ("90", ["532", "505"], 7, (3, 3, 2, 2))]


def first_free(chance, count):
    """Digits that are no run of one digit."""
    digits = chance.digits(count)
    return digits if len(set(digits)) > 2 else first_free(chance, count)


def phone(chance):
    if chance.one_in(5):
        code, starts, more, groups = chance.pick(ABROAD)
        rest = chance.pick(starts) + ("2" + first_free(chance, more - 1) if code == "1" else first_free(chance, more))
        return chance.pick(["+", "00", "+", "+"]) + code + chance.pick(["", " ", "-", " "]) + grouped(rest, groups, chance.pick(["", " ", "-"]))
    code, trunk, starts, more, groups = chance.pick(PHONES)
    rest = chance.pick(starts) + first_free(chance, more)
    sign = chance.pick(["", "", " ", "-"])
    way = chance.below(6)
    if way < 3 or trunk == "":
        lead = chance.pick(["+", "+", "+", "00", "(+"])
        return f"{lead}{code}{')' if lead == '(+' else ''}{chance.pick(['', ' ', '-', ' '])}{grouped(rest, groups, sign)}"
    if way == 3:
        return f"+{code} ({trunk}){grouped(rest, groups, ' ')}"
    return trunk + grouped(rest, groups, sign)


def local_phone(chance):
    """Eight digits as they are said inside the country; a phone only by what stands around it."""
    code, trunk, starts, more, groups = chance.pick([row for row in PHONES if row[1] == ""])
    return grouped(chance.pick(starts) + first_free(chance, more), groups, chance.pick(["", " ", "-"]))


def year_of_birth(chance):
    return chance.between(1945, 2012)


def date_of_birth(chance):
    year, month, day = year_of_birth(chance), chance.between(1, 12), chance.between(1, 28)
    if chance.one_in(6):
        year -= 579  # near enough: the hijri year
    return chance.pick([f"{day:02d}/{month:02d}/{year}", f"{day}/{month}/{year}", f"{year}-{month:02d}-{day:02d}", f"{day:02d}-{month:02d}-{year}",
                        f"{year}/{month:02d}/{day:02d}", f"{day:02d}.{month:02d}.{year}"])


MONTHS = {"en": ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"],
          "ar": ["يناير", "فبراير", "مارس", "أبريل", "مايو", "يونيو", "يوليو", "أغسطس", "سبتمبر", "أكتوبر", "نوفمبر", "ديسمبر"]}


def date_in_words(chance, lang):
    month, day, year = chance.pick(MONTHS[lang]), chance.between(1, 28), year_of_birth(chance)
    return chance.pick([f"{day} {month} {year}", f"{month} {day}, {year}"]) if lang == "en" else f"{day} {month} {year}"


# ---- ids ----

def saudi(first):
    def make(chance):
        digits = first + chance.digits(8)
        return digits + luhn(digits)
    return make


def emirates_id(chance):
    digits = f"784{year_of_birth(chance)}{chance.digits(7)}"
    digits += luhn(digits)
    return grouped(digits, (3, 4, 7, 1), chance.pick(["-", "-", "-", " ", ""]))


def emirates_unchecked(chance):
    """What the authority issues need not pass Luhn: see docs of the type."""
    digits = f"784{year_of_birth(chance)}{chance.digits(8)}"
    return grouped(digits, (3, 4, 7, 1), "-") if not passes_luhn(digits) else emirates_unchecked(chance)


COUNTRIES = ["634", "356", "586", "818", "050", "524", "608", "682", "400", "826", "840", "144"]


def qatar_id(chance):
    year = year_of_birth(chance)
    return f"{3 if year >= 2000 else 2}{year % 100:02d}{chance.pick(COUNTRIES)}{chance.digits(5)}"


def kuwait_id(chance):
    year = year_of_birth(chance)
    digits = f"{3 if year >= 2000 else 2}{year % 100:02d}{chance.between(1, 12):02d}{chance.between(1, 28):02d}{chance.digits(4)}"
    check = 11 - weighted(digits, KUWAIT) % 11
    return f"{digits}{check}" if check < 10 else kuwait_id(chance)


def bahrain_id(chance):
    return f"{year_of_birth(chance) % 100:02d}{chance.between(1, 12):02d}{chance.digits(5)}"


def oman_id(chance):
    return str(chance.between(1, 9)) + chance.digits(7 if chance.one_in(2) else 6)


GOVERNORATES = ["01", "02", "03", "04", "11", "12", "13", "14", "15", "16", "17", "18", "19", "21", "22", "23", "24", "25", "26", "27", "28",
                "29", "31", "32", "33", "34", "35", "88"]


def egypt_id(chance):
    """Half of them with the check digit that most libraries use; it was never published."""
    year = year_of_birth(chance)
    digits = (f"{3 if year >= 2000 else 2}{year % 100:02d}{chance.between(1, 12):02d}{chance.between(1, 28):02d}"
              f"{chance.pick(GOVERNORATES)}{chance.digits(4)}")
    return digits + (chance.digits(1) if chance.one_in(2) else str((11 - weighted(digits, EGYPT) % 11) % 10))


def passport(chance):
    return chance.pick([
        lambda: chance.pick(UPPER) + chance.digits(8), lambda: chance.pick(UPPER) + chance.digits(7), lambda: chance.some(UPPER, 2) + chance.digits(7),
        lambda: str(chance.between(1, 9)) + chance.digits(8), lambda: "A" + chance.digits(8)])()


# ---- money ----

CARDS = [("4", 16, (4, 4, 4, 4)), ("4", 16, (4, 4, 4, 4)), ("51", 16, (4, 4, 4, 4)), ("54", 16, (4, 4, 4, 4)), ("2221", 16, (4, 4, 4, 4)),
         ("2720", 16, (4, 4, 4, 4)), ("34", 15, (4, 6, 5)), ("37", 15, (4, 6, 5)), ("6011", 16, (4, 4, 4, 4)), ("36", 14, (4, 6, 4)),
         ("446404", 16, (4, 4, 4, 4)), ("588845", 16, (4, 4, 4, 4)), ("968208", 16, (4, 4, 4, 4)), ("62", 16, (4, 4, 4, 4)), ("3528", 16, (4, 4, 4, 4))]
TEST_CARDS = ["4111111111111111", "4242424242424242", "5555555555554444", "378282246310005", "4000056655665556", "6011111111111117"]


def credit_card(chance):
    if chance.one_in(25):
        digits = chance.pick(TEST_CARDS)
        return digits if len(digits) == 15 else grouped(digits, (4, 4, 4, 4), chance.pick(["", " ", "-"]))
    start, length, groups = chance.pick(CARDS)
    digits = start + chance.digits(length - len(start) - 1)
    return grouped(digits + luhn(digits), groups, chance.pick(["", "", " ", " ", "-"]))


IBANS = [("SA", "dd", 18), ("SA", "dd", 18), ("AE", "ddd", 16), ("AE", "ddd", 16), ("QA", "LLLL", 21), ("KW", "LLLL", 22), ("BH", "LLLL", 14),
         ("OM", "ddd", 16), ("EG", "dddddddd", 17), ("JO", "LLLLdddd", 18), ("DE", "dddddddd", 10), ("GB", "LLLL", 14), ("FR", "dddddddddd", 13),
         ("TR", "ddddd0", 16), ("LB", "dddd", 20)]


def iban(chance):
    country, bank, rest = chance.pick(IBANS)
    bban = "".join(chance.pick(UPPER) if c == "L" else chance.digits(1) if c == "d" else c for c in bank) + chance.digits(rest)
    whole = iban_of(country, bban)
    if chance.one_in(20):
        whole = whole.lower()
    return whole if chance.one_in(2) else grouped(whole, (4,) * 9, " ")


# ---- machines ----

def ip_address(chance):
    if chance.below(4) > 0:
        first = chance.pick([10, 172, 192, 5, 37, 46, 51, 78, 85, 94, 188, 212, 213])
        second = {172: chance.between(16, 31), 192: 168}.get(first, chance.below(256))
        return f"{first}.{second}.{chance.below(256)}.{chance.between(1, 254)}"
    start = chance.pick(["2001:16a2", "2a02:cb80", "2001:db9", "fd12:3456", "fe80:0"])
    parts = [f"{chance.below(65535) + 1:x}" for _ in range(6)]
    return chance.pick([f"{start}:{':'.join(parts)}", f"{start}::{parts[0]}:{parts[1]}", f"{start}:{parts[0]}::{parts[1]}"])


def mac_address(chance):
    text = chance.some(HEX, 12)
    text = text.upper() if chance.one_in(2) else text
    if chance.one_in(6):
        return grouped(text.lower(), (4, 4, 4), ".")
    return grouped(text, (2,) * 6, chance.pick([":", ":", "-"]))


def url_credentials(chance):
    """What stands before the value, the value, and what is behind it: a sign, the host, the rest."""
    user = chance.pick(["admin", "root", "svc_backup", "app", "reader", chance.pick(NAMES), "atlas", "deploy"])
    word = chance.pick([chance.some(ALNUM, chance.between(8, 20)), f"{chance.pick(NAMES).title()}{chance.digits(4)}!", f"P%40ss{chance.digits(3)}",
                        f"{chance.some(ALNUM, 6)}-{chance.some(ALNUM, 6)}"])
    scheme, host, rest = chance.pick([
        ("postgres", "db.internal", ":5432/orders"), ("postgresql", f"10.2.{chance.below(256)}.{chance.between(1, 254)}", "/app"),
        ("mysql", "mysql.local", ":3306/crm"), ("mongodb+srv", "cluster0.ab1cd.mongodb.net", "/prod"), ("redis", "cache", ":6379/0"),
        ("amqp", "mq.local", ":5672/"), ("https", "git.company.sa", "/team/app.git"), ("ftp", "files.company.ae", "/in"), ("https", "api.company.com", "/v1")])
    if scheme == "redis" and chance.one_in(2):
        user = ""
    return f"{scheme}://", f"{user}:{word}", "@", host, rest


def jwt(chance):
    def part(data):
        raw = data if isinstance(data, bytes) else json.dumps(data, separators=(",", ":")).encode()
        return base64.urlsafe_b64encode(raw).decode().rstrip("=")
    return ".".join([part({"alg": "HS256", "typ": "JWT"}), part({"sub": chance.digits(10), "exp": 1790000000 + chance.below(9999999)}),
                     part(bytes(chance.below(256) for _ in range(32)))])


def base64_of(chance, count):
    return base64.b64encode(bytes(chance.below(256) for _ in range(count))).decode()


# Keys that say themselves what they are.
TOKENS = [
    lambda c: "AKIA" + c.some(UPPER + "234567", 16), lambda c: "ASIA" + c.some(UPPER + "234567", 16), lambda c: "ghp_" + c.some(ALNUM, 36),
    lambda c: "gho_" + c.some(ALNUM, 36), lambda c: f"github_pat_{c.some(ALNUM, 22)}_{c.some(ALNUM, 59)}", lambda c: "glpat-" + c.some(ALNUM, 20),
    lambda c: f"xoxb-{c.digits(12)}-{c.digits(12)}-{c.some(ALNUM, 24)}", lambda c: "sk_live_" + c.some(ALNUM, 24),
    lambda c: "rk_live_" + c.some(ALNUM, 24), lambda c: "sk-proj-" + c.some(ALNUM, 48), lambda c: f"sk-ant-api03-{c.some(ALNUM + '-_', 93)}AA",
    lambda c: "AIza" + c.some(ALNUM + "-_", 35), lambda c: f"SG.{c.some(ALNUM + '-_', 22)}.{c.some(ALNUM + '-_', 43)}", jwt,
    lambda c: "npm_" + c.some(ALNUM, 36), lambda c: "hf_" + c.some(LOWER + UPPER, 34), lambda c: "dop_v1_" + c.some(HEX, 64),
    lambda c: "pypi-AgEIcHlwaS5vcmc" + c.some(ALNUM + "-_", 70), lambda c: "shpat_" + c.some(HEX, 32), lambda c: "glsa_" + c.some(ALNUM, 32) + "_" + c.some(HEX, 8),
    lambda c: "hvs." + c.some(ALNUM + "-_", 95), lambda c: "sk-" + c.some(ALNUM, 20) + "T3BlbkFJ" + c.some(ALNUM, 20)]

# What is a secret by the word before it: (before, maker)
KEYED = [
    ("aws_secret_access_key = ", lambda c: c.some(ALNUM + "/+", 40)), ("password: ", lambda c: strong(c)), ("password=", lambda c: strong(c)),
    ("api_key=", lambda c: c.some(HEX, 32)), ("API key: ", lambda c: c.some(ALNUM, 40)), ("client_secret: ", lambda c: c.some(ALNUM + "~_-", 40)),
    ("Authorization: Bearer ", lambda c: c.some(ALNUM + "-_", 43)), ("AccountKey=", lambda c: base64_of(c, 64)), ("token: ", lambda c: c.some(HEX, 40)),
    ("كلمة المرور: ", lambda c: strong(c)), ("الرقم السري للدخول: ", lambda c: strong(c)), ("كلمة السر هي ", lambda c: strong(c)),
    ("passwd=", lambda c: strong(c)), ("secret_key: \"", lambda c: c.some(ALNUM, 50)), ("مفتاح الواجهة: ", lambda c: c.some(HEX, 40)),
    ("DB_PASSWORD=", lambda c: strong(c)), ("my password is ", lambda c: strong(c))]


def strong(chance):
    """A password as people make them: letters of both cases, digits, mostly a sign."""
    return chance.pick([
        lambda: chance.pick(NAMES).title() + chance.pick("@#!$") + chance.digits(4), lambda: chance.some(ALNUM, 12) + "7q",
        lambda: chance.some(ALNUM, 5) + chance.pick("@#!$%&") + chance.some(ALNUM, 6) + "9", lambda: f"Riyadh{chance.digits(4)}!{chance.pick(LOWER)}",
        lambda: chance.some(LOWER, 4) + "-" + chance.some(LOWER + "0123456789", 6) + "-" + chance.digits(4)])()


def private_key(chance, line):
    """A PEM block whose lines end with `line`."""
    kind = chance.pick(["RSA PRIVATE KEY", "PRIVATE KEY", "EC PRIVATE KEY", "OPENSSH PRIVATE KEY", "ENCRYPTED PRIVATE KEY"])
    body = base64_of(chance, 48 * chance.between(3, 14))
    rows = [body[i:i + 64] for i in range(0, len(body), 64)]
    return line.join([f"-----BEGIN {kind}-----", *rows, f"-----END {kind}-----"])


MAKERS = {"email": email, "phone": phone, "credit_card": credit_card, "iban": iban, "saudi_id": saudi("1"), "iqama": saudi("2"),
          "emirates_id": emirates_id, "qatar_id": qatar_id, "kuwait_id": kuwait_id, "bahrain_id": bahrain_id, "oman_id": oman_id,
          "egypt_id": egypt_id, "passport": passport, "ip_address": ip_address, "mac_address": mac_address, "date_of_birth": date_of_birth}
