"""E-mail addresses, keys and IP addresses in source code, replaced by placeholders and counted."""

from __future__ import annotations

import ipaddress
import math
import re
from collections import Counter
from collections.abc import Callable

EMAIL, KEY, ADDRESS = "<EMAIL>", "<KEY>", "<IP_ADDRESS>"

_EMAIL = re.compile(
    r"(?<![\w.+/:%-])[A-Za-z0-9](?:[\w.+%-]{0,62}[\w+%-])?@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+"
    r"[A-Za-z]{2,24}(?![\w-])"
)
#: Addresses that name nobody.
_NOBODY = re.compile(
    r"^(?:git|hg|svn|noreply|no-reply|nobody|user|username|me|you|name|root|foo|bar)@|@(?:[\w.-]+\.)?"
    r"(?:example|test|invalid|localhost|foo|bar)(?:\.\w+)*$",
    re.IGNORECASE,
)
#: Keys of services, by the form that these give them.
_KEYS = re.compile(
    r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY(?: BLOCK)?-----[\s\S]{20,10000}?"
    r"-----END (?:[A-Z]+ )*PRIVATE KEY(?: BLOCK)?-----"
    r"|\b(?:AKIA|ASIA|AGPA|AROA|AIPA)[A-Z0-9]{16}\b"
    r"|\bgh[pousr]_[A-Za-z0-9]{36,255}\b"
    r"|\bgithub_pat_[A-Za-z0-9_]{60,}\b"
    r"|\bglpat-[\w-]{20,}\b"
    r"|\bxox[abeoprs]-[A-Za-z0-9-]{10,}\b"
    r"|\bAIza[\w-]{35}\b"
    r"|\b[rs]k_live_[A-Za-z0-9]{16,}\b"
    r"|\bsk-(?:proj-|ant-)?[A-Za-z0-9_-]{32,}\b"
    r"|\bSG\.[\w-]{16,32}\.[\w-]{16,64}\b"
    r"|\bhf_[A-Za-z]{30,}\b"
    r"|\bnpm_[A-Za-z0-9]{36}\b"
    r"|\bpypi-AgE[\w-]{50,}\b"
    r"|\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}\b"
)
#: A long random text that is given to something called a secret.
_NAMED = re.compile(
    r"(?P<before>(?i:api_?key|secret|token|passwd|password|auth|credential|access_?key)\w*[\"']?\s*(?:=|:|=>|:=)\s*"
    r"[\"'])(?P<key>[A-Za-z0-9+/_.=-]{16,256})(?=[\"'])"
)
_IPV4 = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w.]|\.\d)")
_IPV6 = re.compile(r"(?<![\w:.])(?:[0-9A-Fa-f]{1,4}:{1,2}){2,7}(?:[0-9A-Fa-f]{1,4})?(?![\w:.])")
#: What must stand in a text that holds one of these.
_MARKS = (
    *("PRIVATE KEY", "AKIA", "ASIA", "AGPA", "AROA", "AIPA", "ghp_", "gho_", "ghu_", "ghs_", "ghr_"),
    *("github_pat_", "glpat-", "xox", "AIza", "k_live_", "sk-", "SG.", "hf_", "npm_", "pypi-AgE", "eyJ"),
)
_RANDOM = re.compile(r"[\"'][A-Za-z0-9+/_.=-]{16,256}[\"']")
_DOTTED = re.compile(r"\d\.\d{1,3}\.\d{1,3}\.\d")
_COLONS = re.compile(r":[0-9A-Fa-f]{1,4}:[0-9A-Fa-f]{1,4}:")
_VERSION = re.compile(r"(?:\bv|version|release|oid|section|\bsec\.?|rfc\s?\d*)\W{0,3}$", re.IGNORECASE)
#: Public resolvers, which are no private address of anybody.
_KNOWN = frozenset(
    {"8.8.8.8", "8.8.4.4", "1.1.1.1", "1.0.0.1", "9.9.9.9", "208.67.222.222", "208.67.220.220"}
)
_ENTROPY = 3.5  # bits a character, which words do not reach


def redact(text: str) -> tuple[str, Counter[str]]:
    """Replace what may identify a person or open a door.

    As StarCoder's corpus was redacted (Li et al. 2023, arXiv 2305.06161, section 4), by rules alone: e-mail
    addresses, keys and tokens, public IP addresses. Names and user names are not found.

    Parameters
    ----------
    text : str

    Returns
    -------
    text : str
    counts : Counter of str
        How many were replaced: ``email``, ``key``, ``ip``.
    """
    counts: Counter[str] = Counter()

    def replaced(
        kind: str, by: str, wanted: Callable[[re.Match[str]], bool]
    ) -> Callable[[re.Match[str]], str]:
        def change(match: re.Match[str]) -> str:
            if not wanted(match):
                return match[0]
            counts[kind] += 1
            return match.groupdict().get("before", "") + by

        return change

    # Most texts hold none of these, and a look for plain words is many times faster than the patterns.
    if any(mark in text for mark in _MARKS):
        text = _KEYS.sub(replaced("key", KEY, lambda match: True), text)
    if _RANDOM.search(text):
        text = _NAMED.sub(replaced("key", KEY, lambda match: _random(match["key"])), text)
    if "@" in text:
        text = _EMAIL.sub(replaced("email", EMAIL, lambda match: not _NOBODY.search(match[0])), text)
    if _DOTTED.search(text):
        text = _IPV4.sub(replaced("ip", ADDRESS, _public), text)
    if "::" in text or _COLONS.search(text):
        text = _IPV6.sub(replaced("ip", ADDRESS, _public), text)
    return text, counts


def _random(text: str) -> bool:
    """Whether a text is as random as keys are: letters and digits, and no words."""
    if not (re.search(r"\d", text) and re.search(r"[A-Za-z]", text)) or KEY in text:
        return False
    counts = Counter(text)
    entropy = -sum(n / len(text) * math.log2(n / len(text)) for n in counts.values())
    return entropy >= _ENTROPY


def _public(match: re.Match[str]) -> bool:
    """Whether a match is an address on the internet, not a version number or one of a local network."""
    try:
        address = ipaddress.ip_address(match[0])
    except ValueError:
        return False
    start = match.string[max(0, match.start() - 20) : match.start()]
    if not address.is_global or address.is_multicast or match[0] in _KNOWN or _VERSION.search(start):
        return False
    # 1.2.3.4 is a version or an example; hosts seldom have four one-digit parts.
    return address.version == 6 or len(match[0]) > 7
