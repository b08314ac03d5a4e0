"""A few easy problems of our own: where a benchmark has no training part, and for tests."""

from __future__ import annotations

from scizoo_code.sources import Problem

_EASY = (
    ("add", "a, b", "Return the sum of two numbers.", "return a + b", ("add(1, 2) == 3", "add(-1, 1) == 0")),
    ("is_even", "n", "Say whether a number is even.", "return n % 2 == 0", ("is_even(4)", "not is_even(7)")),
    ("square", "x", "Return x times x.", "return x * x", ("square(3) == 9", "square(-2) == 4")),
    (
        "first",
        "items",
        "Return the first item.",
        "return items[0]",
        ("first([5, 6]) == 5", "first('ab') == 'a'"),
    ),
    (
        "last",
        "items",
        "Return the last item.",
        "return items[-1]",
        ("last([5, 6]) == 6", "last('ab') == 'b'"),
    ),
    ("double", "text", "Return the text twice.", "return text + text", ("double('ab') == 'abab'",)),
    (
        "total",
        "numbers",
        "Add numbers up.",
        "return sum(numbers)",
        ("total([1, 2, 3]) == 6", "total([]) == 0"),
    ),
    ("largest", "numbers", "Return the largest.", "return max(numbers)", ("largest([3, 9, 2]) == 9",)),
    ("backwards", "text", "Turn a text round.", "return text[::-1]", ("backwards('abc') == 'cba'",)),
    ("count", "text, letter", "Count a letter.", "return text.count(letter)", ("count('aba', 'a') == 2",)),
    (
        "negate",
        "value",
        "Return the opposite truth.",
        "return not value",
        ("negate(False)", "not negate(True)"),
    ),
    ("shout", "text", "Write in capitals.", "return text.upper()", ("shout('abc') == 'ABC'",)),
)


def easy_problems() -> list[Problem]:
    """Return twelve problems with solutions that pass."""
    return [
        Problem(
            f'def {name}({given}):\n    """{words}"""\n',
            f"    {body}\n",
            "\n".join(f"assert {test}" for test in tests) + "\n",
            name,
        )
        for name, given, words, body, tests in _EASY
    ]
