"""Licences of checkpoints: checked SPDX expressions, and the names the hub uses for them."""

from __future__ import annotations

from scizoo.errors import CheckpointError, did_you_mean

# The identifiers that the Hugging Face hub accepts in a card's `license` field and that are the
# lower-case form of an SPDX name; any other licence is `other` plus `license_name` there.
_HUB_LIST = """
    apache-2.0 mit bsd-2-clause bsd-3-clause bsd-3-clause-clear bsl-1.0 c-uda cc0-1.0 cc-by-2.0 cc-by-2.5
    cc-by-3.0 cc-by-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nd-4.0
    cc-by-nc-nd-3.0 cc-by-nc-nd-4.0 cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0 cdla-sharing-1.0
    cdla-permissive-1.0 cdla-permissive-2.0 wtfpl ecl-2.0 epl-1.0 epl-2.0 etalab-2.0 eupl-1.1 eupl-1.2
    agpl-3.0 gfdl gpl gpl-2.0 gpl-3.0 lgpl lgpl-2.1 lgpl-3.0 isc lppl-1.3c ms-pl mpl-2.0 odc-by odbl-1.0
    ofl-1.1 osl-3.0 postgresql ncsa unlicense zlib pddl"""
_HUB = frozenset(_HUB_LIST.split())

#: What people usually choose, for the suggestion that goes with a wrong name.
COMMON = (
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "CC-BY-4.0",
    "CC-BY-NC-4.0",
    "CC-BY-NC-SA-4.0",
    "CC-BY-SA-4.0",
    "CC0-1.0",
    "GPL-3.0-only",
    "GPL-3.0-or-later",
    "LGPL-3.0-or-later",
    "MIT",
    "MPL-2.0",
    "ODbL-1.0",
)


def check_licence(name: str) -> str:
    """Check an SPDX licence expression and return it in its canonical spelling.

    Parameters
    ----------
    name : str
        An SPDX identifier or expression, e.g. ``"apache-2.0"`` or ``"MIT OR Apache-2.0"``; terms
        outside the SPDX list are written ``LicenseRef-...``.

    Returns
    -------
    str
        The expression as SPDX spells it.

    Raises
    ------
    CheckpointError
        When it is no SPDX expression.
    """
    from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

    try:
        return str(canonicalize_license_expression(name))
    except InvalidLicenseExpression as error:
        raise CheckpointError(
            f"'{name}' is not an SPDX licence name; {did_you_mean(name, COMMON)}",
            expected="an SPDX identifier or expression, as on https://spdx.org/licenses",
            remedy="terms that SPDX does not list are written LicenseRef-<name>.",
        ) from error


def hub_fields(licence: str) -> dict[str, str]:
    """Return the licence fields of a card's metadata for a canonical SPDX expression.

    Parameters
    ----------
    licence : str
        What :func:`check_licence` returned.

    Returns
    -------
    dict of str to str
        ``license``, and ``license_name`` when the hub has no identifier of its own for it.
    """
    plain = licence.lower().removesuffix("-only").removesuffix("-or-later")
    if licence.lower() in _HUB:
        return {"license": licence.lower()}
    if plain in _HUB:
        return {"license": plain, "license_name": licence}
    return {"license": "other", "license_name": licence}
