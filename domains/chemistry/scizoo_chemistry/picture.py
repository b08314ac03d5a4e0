"""One molecule drawn for a report, its atoms coloured where a prediction says what each contributed."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from scizoo.data.records import Record
from scizoo.evaluation.colouring import explained, note, signed_colours
from scizoo_chemistry.molecules import parse_text, smiles_of
from scizoo_chemistry.rdkit_log import listening

_MOST_ATOMS = 200  # more cannot be told apart on a picture of this size
_WIDTH, _HEIGHT = 750, 350


def draw(axes: Any, record: Record, prediction: Any = None) -> None:
    """Draw a molecule.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    record : Record
        ``input`` is SMILES or a structure with bonds.
    prediction : Any, optional
        What was predicted, in words or as a number, for the title; or a mapping of which
        ``attributions`` holds a number an atom, in the order of the SMILES, see
        :func:`scizoo.evaluation.colouring.explained`.
    """
    prediction, attributions, output = explained(prediction)
    axes.set_axis_off()
    axes.set_title(_title(record, prediction), fontsize=8)
    mol, reason = parse_text(smiles_of(record.input))
    if mol is None or mol.GetNumAtoms() > _MOST_ATOMS:
        words = f"{mol.GetNumAtoms():,} atoms: too many to draw" if mol is not None else reason or ""
        axes.text(0.5, 0.5, words, ha="center", va="center", fontsize=8, wrap=True, transform=axes.transAxes)
        return
    axes.imshow(_image(mol, attributions), interpolation="bilinear")
    if attributions is not None:
        note(axes, output)


def _title(record: Record, prediction: Any) -> str:
    smiles = smiles_of(record.input)
    title = f"{record.id}   {smiles if len(smiles) <= 55 else smiles[:52] + '...'}"
    said = []
    if record.target is not None:
        said.append(f"true: {_figure(record.target)}")
    if prediction is not None:
        said.append(f"predicted: {_figure(prediction)}")
    return "\n".join([title, "   ".join(said)]) if said else title


def _figure(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _image(mol: Any, attributions: Sequence[float] | None) -> np.ndarray:
    """Draw by RDKit; returns its pixels, shape (height, width, 3 or 4)."""
    from matplotlib import image
    from rdkit.Chem.Draw import rdMolDraw2D

    drawer = rdMolDraw2D.MolDraw2DCairo(_WIDTH, _HEIGHT)
    options = drawer.drawOptions()
    options.padding = 0.04  # type: ignore[assignment]  # rdkit's stubs lack its properties
    colours = {} if attributions is None else atom_colours(attributions, mol.GetNumAtoms())
    with listening():
        rdMolDraw2D.PrepareAndDrawMolecule(
            drawer, mol, highlightAtoms=list(colours), highlightAtomColors=colours, highlightBonds=[]
        )
    drawer.FinishDrawing()
    return np.asarray(image.imread(io.BytesIO(drawer.GetDrawingText()), format="png"))


def atom_colours(attributions: Sequence[float], atoms: int) -> dict[int, tuple[float, float, float]]:
    """Return a colour for each atom that matters: red raised, blue lowered, paler for less, grey not read.

    Parameters
    ----------
    attributions : sequence of float, shape (atoms,)
        Other lengths colour nothing: they are not of this molecule's atoms.
    atoms : int
    """
    values = np.asarray(attributions, dtype=np.float64).ravel()
    if len(values) != atoms or not np.nan_to_num(values).any():
        return {}
    found = {}
    for atom, (*full, opacity) in enumerate(signed_colours(values).tolist()):
        if opacity > 0:
            red, green, blue = (1 - (1 - part) * opacity for part in full)
            found[atom] = (red, green, blue)
    return found
