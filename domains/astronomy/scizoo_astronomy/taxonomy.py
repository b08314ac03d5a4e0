"""Classes in a tree: nodes, their leaves and the way from the root to each."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from scizoo.errors import ConfigError


class ClassTree:
    """A tree whose leaves are classes.

    Parameters
    ----------
    tree : mapping or sequence
        Names of nodes to their children: mappings, or lists of classes.
    classes : sequence of str, optional
        The classes in their order; by default the leaves, sorted. A class that is no leaf hangs at the root,
        and leaves that are no class are left out.

    Raises
    ------
    ConfigError
        When a name stands in the tree twice.
    """

    def __init__(self, tree: Mapping[str, Any] | Sequence[str], classes: Sequence[str] | None = None):
        self.plain = _plain(tree)
        walk = list(_walk(self.plain, ()))
        names = [name for name, _, _ in walk]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ConfigError(f"head.tree: '{twice[0]}' stands in the tree twice.", expected="each name once")
        above = {name: path for name, path, leaf in walk if leaf}
        self.classes = [str(name) for name in (sorted(above) if classes is None else classes)]
        #: The inner nodes on the way from the root to each class.
        self.paths = {name: above.get(name, ()) for name in self.classes}
        used = dict.fromkeys(node for path in self.paths.values() for node in path)
        clash = [name for name in self.classes if name in used]
        if clash:
            raise ConfigError(
                f"head.tree: '{clash[0]}' is a class and a node with children.",
                expected="classes as leaves",
                remedy=f"name the node otherwise, or give it a leaf for the rest of '{clash[0]}'.",
            )
        #: Every node but the root: the classes, then the inner nodes.
        self.nodes = [*self.classes, *used]

    def leaves(self, node: str) -> list[str]:
        """Return the classes below a node, or the class itself."""
        return [name for name in self.classes if name == node or node in self.paths[name]]

    def matrices(self, alpha: float) -> tuple[list[list[bool]], list[list[float]]]:
        """Return what the loss and the sums over leaves need.

        Parameters
        ----------
        alpha : float
            The step to a node counts ``exp(-alpha * height)``; a class has the height 0.

        Returns
        -------
        members : list of list of bool, shape (nodes, classes)
            Which classes lie below each node.
        paths : list of list of float, shape (classes, nodes)
            Weights w so that the loss of a class is -sum of w times the log probabilities of the nodes.
        """
        number = {name: place for place, name in enumerate(self.nodes)}
        members = [[name in set(self.leaves(node)) for name in self.classes] for node in self.nodes]
        paths = []
        for name in self.classes:
            row = [0.0] * len(self.nodes)
            steps = [*self.paths[name], name]
            for place, node in enumerate(steps):
                weight = math.exp(-alpha * (len(steps) - 1 - place))
                row[number[node]] += weight
                if place:  # the step is conditional on the node before it
                    row[number[steps[place - 1]]] -= weight
            paths.append(row)
        return members, paths


def _plain(tree: Any) -> Any:
    if isinstance(tree, Mapping):
        return {str(name): _plain(below) for name, below in tree.items()}
    if isinstance(tree, Sequence) and not isinstance(tree, str):
        return [str(name) for name in tree]
    raise ConfigError(f"head.tree: {tree!r} is neither a mapping nor a list of classes.")


def _walk(tree: Any, path: tuple[str, ...]) -> Iterator[tuple[str, tuple[str, ...], bool]]:
    if isinstance(tree, list):
        yield from ((name, path, True) for name in tree)
        return
    for name, below in tree.items():
        yield name, path, False
        yield from _walk(below, (*path, name))
