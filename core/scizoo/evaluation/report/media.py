"""Sounds and other media in a report: each within a limit, inside of the page itself."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from scizoo.evaluation.report.markup import Markup, tag

#: Of one medium and of all in one report: a page that is too large opens nowhere.
LARGEST = 2_000_000
LARGEST_PAGE = 16_000_000
_TYPE = re.compile(r"(audio|image|video)/[a-z0-9][a-z0-9.+-]*")
# A vector drawing may hold scripts; as an image it runs none, as a file that is opened it would.
_DATA = re.compile(r"data:((?:audio|image|video)/[a-z0-9][a-z0-9.+-]*);base64,[A-Za-z0-9+/]+=*")
# Sounds that browsers do not play: they are offered as a file.
_SAVED = {"audio/midi": ".mid", "audio/x-midi": ".mid"}


class MediaBudget:
    """Turns media into entries of a report and counts how much of the page they take.

    Parameters
    ----------
    largest, page : int
        Bytes that one medium and that all together may have.
    """

    def __init__(self, largest: int = LARGEST, page: int = LARGEST_PAGE):
        self.largest, self.left = largest, page

    def entries(self, media: Iterable[tuple[str, str, bytes]]) -> list[dict[str, str]]:
        """Encode what a domain gave for one record.

        Parameters
        ----------
        media : iterable of (str, str, bytes)
            Label, MIME type and content.

        Returns
        -------
        list of dict
            ``label`` and ``type`` with ``data``, a data URI, or with ``note``, why it was left out.

        Raises
        ------
        ValueError
            When the MIME type is no sound, picture or film, or the content is no bytes.
        """
        found = []
        for label, kind, content in media:
            if not _TYPE.fullmatch(kind):
                raise ValueError(f"'{label}' is of type '{kind}'; a report holds audio, image and video")
            if not isinstance(content, bytes) or not content:
                raise ValueError(f"'{label}' has no content: {type(content).__name__}")
            entry = {"label": str(label), "type": kind}
            size = f"{len(content) / 1e6:.1f} MB"
            if len(content) > self.largest:
                entry["note"] = f"left out: {size}, more than the {self.largest / 1e6:g} MB that one may have"
            elif len(content) > self.left:
                entry["note"] = f"left out: {size}, and this page is full"
            else:
                self.left -= len(content)
                entry["data"] = f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"
            found.append(entry)
        return found


def players(media: Sequence[Mapping[str, Any]] | None, about: str) -> Markup:
    """Show media: a sound player, a picture, or a file to save.

    Parameters
    ----------
    media : sequence of mapping, optional
        As :meth:`MediaBudget.entries` gives them. An address that is not a data URI is not loaded.
    about : str
        Of what they are, for those who do not see the page.

    Returns
    -------
    Markup
    """
    made = []
    for number, one in enumerate(media or (), start=1):
        label = str(one.get("label") or "medium")
        data = str(one.get("data") or "")
        matched = _DATA.fullmatch(data)
        caption = tag("figcaption", tag("bdi", label), f": {one['note']}" if one.get("note") else None)
        made.append(
            tag("figure", _shown(matched[1], data, label, about, number) if matched else None, caption)
        )
    return tag("div", made, class_="media") if made else Markup("")


def _shown(kind: str, data: str, label: str, about: str, number: int) -> Markup:
    words = f"{about}: {label}"
    if kind in _SAVED:
        name = f"{re.sub(r'[^A-Za-z0-9-]+', '-', about).strip('-') or 'record'}-{number}{_SAVED[kind]}"
        return tag("a", "save the file", href=data, download=name, aria_label=f"Save {words}")
    if kind.startswith("image/"):
        return tag("img", src=data, alt=words)
    name = "audio" if kind.startswith("audio/") else "video"
    return tag(name, src=data, controls=True, preload="metadata", aria_label=words)
