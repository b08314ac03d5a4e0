"""Where an image lies in the plane that a model sees: maps of its pixels follow it there and back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Box = tuple[int, int, int, int]
Shape = tuple[int, int]


@dataclass(frozen=True)
class Placement:
    """One box of an image, scaled onto one box of a plane.

    A tokenizer of images that serves segmentation has a method ``placement(input) -> Placement`` which says
    what it does to the image, so that label maps are brought to the model and predictions back to the image.

    Parameters
    ----------
    shape : (int, int)
        Height and width of the image.
    plane : (int, int)
        Height and width of what the model sees.
    source, target : (int, int, int, int), optional
        Top, left, height and width of the box in the image and in the plane; all of it by default.

    Raises
    ------
    ValueError
        When a box is empty or passes an edge.
    """

    shape: Shape
    plane: Shape
    source: Box | None = None
    target: Box | None = None

    def __post_init__(self) -> None:
        for name in ("shape", "plane"):  # they may come as a list, or as numpy's numbers
            height, width = getattr(self, name)
            object.__setattr__(self, name, (int(height), int(width)))
        for name, whole in (("source", self.shape), ("target", self.plane)):
            box = getattr(self, name)
            box = (0, 0, *whole) if box is None else tuple(int(edge) for edge in box)
            top, left, height, width = box
            inside = top >= 0 and left >= 0 and top + height <= whole[0] and left + width <= whole[1]
            if not inside or height < 1 or width < 1:
                raise ValueError(f"the {name} box {box} does not lie within {tuple(whole)}")
            object.__setattr__(self, name, box)

    @classmethod
    def stretched(cls, shape: Shape, plane: Shape) -> Placement:
        """Give the whole image on the whole plane, whatever becomes of its proportions."""
        return cls(shape, plane)

    @classmethod
    def padded(cls, shape: Shape, plane: Shape) -> Placement:
        """Give the whole image as large as it fits, its proportions kept, in the middle of the plane."""
        scale = min(plane[0] / shape[0], plane[1] / shape[1])
        height, width = (max(1, min(p, round(s * scale))) for s, p in zip(shape, plane, strict=True))
        top, left = (plane[0] - height) // 2, (plane[1] - width) // 2
        return cls(shape, plane, target=(top, left, height, width))

    @classmethod
    def cropped(cls, shape: Shape, plane: Shape, side: int | None = None) -> Placement:
        """Give the central square of the image, as large as fits or ``side`` wide, on the whole plane."""
        edge = min(shape) if side is None else min(int(side), *shape)
        source = ((shape[0] - edge) // 2, (shape[1] - edge) // 2, edge, edge)
        return cls(shape, plane, source=source)

    def map_to_plane(self, labels: np.ndarray, outside: int) -> np.ndarray:
        """Bring a label map (H, W) to the plane by nearest neighbours; ``outside`` where it shows none."""
        assert self.source is not None
        assert self.target is not None
        top, left, height, width = self.target
        plane = np.full(self.plane, outside, dtype=labels.dtype)
        rows, columns = (
            start + _nearest(size, count)
            for start, size, count in zip(self.source[:2], self.source[2:], (height, width), strict=True)
        )
        plane[top : top + height, left : left + width] = labels[rows[:, None], columns[None, :]]
        return plane

    def to_record(self, planes: np.ndarray) -> np.ndarray:
        """Bring values of the plane (C, h, w) to the box of the image that it shows, bilinearly.

        Returns
        -------
        ndarray of float32, shape (C, source height, source width)
        """
        assert self.source is not None
        assert self.target is not None
        top, left, height, width = self.target
        return scaled(planes[:, top : top + height, left : left + width], self.source[2:])

    def labels_of(self, planes: np.ndarray, outside: int = 0) -> np.ndarray:
        """Give the likeliest class of every pixel of the image from probabilities (C, h, w) of the plane.

        Pixels of the image that the model did not see are of the class ``outside``.

        Returns
        -------
        ndarray of int16, shape (H, W)
        """
        assert self.source is not None
        top, left, height, width = self.source
        found = np.full(self.shape, outside, dtype=np.int16)
        found[top : top + height, left : left + width] = self.to_record(planes).argmax(axis=0)
        return found

    def fit_image(self, image: np.ndarray, fill: float = 0.0) -> np.ndarray:
        """Bring an image (H, W) or (H, W, C) to the plane: each pixel averages over what it covers.

        Parameters
        ----------
        image : ndarray
        fill : float
            What stands where the plane shows no image.

        Returns
        -------
        ndarray of float32, shape (h, w) or (h, w, C)
        """
        assert self.source is not None
        assert self.target is not None
        stack = image[..., None] if image.ndim == 2 else image
        top, left, height, width = self.source
        box = stack[top : top + height, left : left + width].astype(np.float32)
        small = scaled(np.moveaxis(box, -1, 0), self.target[2:])
        plane = np.full((*self.plane, stack.shape[-1]), fill, dtype=np.float32)
        top, left, height, width = self.target
        plane[top : top + height, left : left + width] = np.moveaxis(small, 0, -1)
        return plane[..., 0] if image.ndim == 2 else plane


def _nearest(size: int, count: int) -> np.ndarray:
    """Places of ``count`` pixel centres spread over ``size`` pixels."""
    return np.minimum(((np.arange(count) + 0.5) * size / count).astype(np.int64), size - 1)


def scaled(planes: np.ndarray, shape: Shape) -> np.ndarray:
    """Scale (C, h, w) to (C, *shape): bilinear, averaging where it becomes smaller."""
    from PIL import Image

    planes = np.ascontiguousarray(planes, dtype=np.float32)
    height, width = (int(edge) for edge in shape)
    if planes.shape[1:] == (height, width):
        return planes
    made = [
        np.asarray(Image.fromarray(plane).resize((width, height), Image.Resampling.BILINEAR))
        for plane in planes
    ]
    return np.stack(made)


def nearest_map(labels: np.ndarray, shape: Shape) -> np.ndarray:
    """Scale a label map to another size by nearest neighbours."""
    if labels.shape == tuple(shape):
        return labels
    return labels[_nearest(labels.shape[0], shape[0])[:, None], _nearest(labels.shape[1], shape[1])[None, :]]
