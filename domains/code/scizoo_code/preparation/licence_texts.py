"""Texts of licences, told apart by their wording."""

from __future__ import annotations

import re

_SPACE = re.compile(r"[^a-z0-9.]+")

#: What a licence's text says and what it does not; the first that fits is taken.
_RULES: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    ("AGPL-3.0", ("gnu affero general public license version 3",), ()),
    ("LGPL-3.0", ("gnu lesser general public license version 3",), ()),
    ("LGPL-2.1", ("gnu lesser general public license version 2.1",), ()),
    ("LGPL-2.0", ("gnu library general public license version 2",), ()),
    ("GPL-3.0", ("gnu general public license version 3",), ("gnu lesser general public license version 3",)),
    ("GPL-2.0", ("gnu general public license version 2",), ()),
    ("MPL-2.0", ("mozilla public license version 2.0",), ()),
    ("MPL-1.1", ("mozilla public license version 1.1",), ()),
    ("EPL-2.0", ("eclipse public license v 2.0",), ()),
    ("EPL-1.0", ("eclipse public license v 1.0",), ()),
    ("EUPL-1.2", ("european union public licence v. 1.2",), ()),
    ("CDDL-1.0", ("common development and distribution license", "version 1.0"), ()),
    ("Apache-2.0", ("apache license version 2.0", "terms and conditions"), ()),
    ("Apache-2.0", ("licensed under the apache license version 2.0",), ()),
    ("PSF-2.0", ("python software foundation license version 2",), ()),
    ("BSL-1.0", ("boost software license version 1.0",), ()),
    ("Artistic-2.0", ("the artistic license 2.0",), ()),
    ("CC0-1.0", ("cc0 1.0 universal",), ()),
    ("CC-BY-SA-4.0", ("creative commons attribution sharealike 4.0 international",), ()),
    ("CC-BY-NC-4.0", ("creative commons attribution noncommercial 4.0 international",), ()),
    ("CC-BY-4.0", ("creative commons attribution 4.0 international",), ()),
    ("Unlicense", ("this is free and unencumbered software released into the public domain",), ()),
    ("WTFPL", ("do what the fuck you want to public license",), ()),
    ("UPL-1.0", ("the universal permissive license", "version 1.0"), ()),
    ("BlueOak-1.0.0", ("blue oak model license", "version 1.0.0"), ()),
    (
        "NCSA",
        ("university of illinois ncsa open source license",),
        (),
    ),
    (
        "BSD-4-Clause",
        (
            "redistribution and use in source and binary forms",
            "all advertising materials mentioning features",
        ),
        (),
    ),
    (
        "BSD-3-Clause-Clear",
        (
            "redistribution and use in source and binary forms",
            "no express or implied licenses to any party s patent",
        ),
        (),
    ),
    (
        "BSD-3-Clause",
        ("redistribution and use in source and binary forms", "used to endorse or promote products"),
        (),
    ),
    (
        "BSD-2-Clause",
        ("redistribution and use in source and binary forms", "in binary form must reproduce"),
        ("used to endorse or promote products",),
    ),
    (
        "BSD-1-Clause",
        ("redistribution and use in source and binary forms",),
        ("in binary form must reproduce",),
    ),
    (
        "MIT-0",
        ("permission is hereby granted free of charge to any person obtaining a copy",),
        ("shall be included in all copies",),
    ),
    (
        "X11",
        (
            "permission is hereby granted free of charge to any person obtaining a copy",
            "shall not be used in advertising",
        ),
        (),
    ),
    ("MIT", ("permission is hereby granted free of charge to any person obtaining a copy",), ()),
    (
        "ISC",
        (
            "permission to use copy modify and or distribute this software for any purpose",
            "provided that the above",
        ),
        (),
    ),
    (
        "ISC",
        (
            "permission to use copy modify and distribute this software for any purpose",
            "provided that the above",
        ),
        ("without specific written prior permission",),
    ),
    ("0BSD", ("permission to use copy modify and or distribute this software for any purpose",), ()),
    ("HPND", ("permission to use copy modify and distribute this software and its documentation",), ()),
    (
        "Zlib",
        ("in no event will the authors be held liable", "altered source versions must be plainly marked"),
        (),
    ),
    (
        "PostgreSQL",
        ("postgresql database management system", "in no event shall the university of california"),
        (),
    ),
    ("MIT", ("released under the mit license",), ()),
    ("MIT", ("licensed under the mit license",), ()),
)
_VERSIONED = frozenset({"AGPL-3.0", "LGPL-3.0", "LGPL-2.1", "LGPL-2.0", "GPL-3.0", "GPL-2.0"})
_LATER = re.compile(r"(?:either )?version \d(?:\.\d)? of the license or at your option any later version")
_RESTRICTED = (
    "commons clause",
    "business source license",
    "server side public license",
    "for non commercial use only",
    "elastic license",
)


def identify(text: str) -> str | None:
    """Tell a licence by its text.

    Parameters
    ----------
    text : str
        Of a licence file, or a notice that names one.

    Returns
    -------
    str or None
        An SPDX identifier; ``LicenseRef-restricted`` where a condition is put before a known licence; None
        where it is not recognised.
    """
    words = " ".join(_SPACE.sub(" ", text.lower()).split())
    if any(one in words for one in _RESTRICTED):
        return "LicenseRef-restricted"
    for name, needed, absent in _RULES:
        if all(one in words for one in needed) and not any(one in words for one in absent):
            if name not in _VERSIONED:
                return name
            # The licence's own appendix shows the sentence as an example.
            notice = words.partition("how to apply these terms")[0] if len(words) > 4000 else words
            return f"{name}-{'or-later' if _LATER.search(notice) and len(words) < 4000 else 'only'}"
    return None
