"""The ``key=value`` words of a command: quoting, checking, and what was probably meant."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from scizoo import plugins
from scizoo.errors import ConfigError, ScizooError, did_you_mean

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override
    from omegaconf import DictConfig

#: The group that the name of a job selects.
NAME_GROUP = {"pretrain": "recipe"}

# Mappings that take keys by choice of the user; so does everything with a `_target_`.
_OPEN = ("backbone.config", "baselines", "callbacks", "logger", "trainer")

# Keys whose value is text in the user's own language, not in Hydra's.
_TEXTS = ("prompt",)

_PIECE = re.compile(
    r"""(?P<quoted>'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*")"""
    r"|(?P<mark>[\[\]{}(),])"
    r"|(?P<text>(?:\$\{[^}]*\}|[^\[\]{}(),'\"]|['\"])+?(?=$|[\[\]{}(),]))"
)


def group_of(verb: str) -> str:
    """Return the config group that the positional name of `verb` selects."""
    return NAME_GROUP.get(verb, "task")


def quote(word: str) -> str:
    """Quote the values of a word that hold ``=``, which Hydra's grammar reserves.

    Parameters
    ----------
    word : str
        ``key=value`` as it was typed. Lists, mappings, sweeps and function calls stay what they are.

    Returns
    -------
    str
        ``data.path=/a=b/c.fa`` becomes ``data.path='/a=b/c.fa'``.
    """
    key, sign, value = word.partition("=")
    return key + sign + _quote_value(value) if "=" in value else word


def _quote_value(value: str) -> str:
    out: list[str] = []
    open_marks: list[str] = []
    for match in _PIECE.finditer(value):
        piece = match.group()
        if match["mark"]:
            if piece in "[{(":
                call = piece == "(" and out and re.search(r"[A-Za-z_]\w*$", out[-1])
                open_marks.append("call" if call else piece)
            elif piece in "]})" and open_marks:
                open_marks.pop()
        elif match["text"] and "=" in piece:
            inside = open_marks[-1] if open_marks else ""
            prefix = r"\s*[A-Za-z_]\w*\s*=" if inside == "call" else r"[^:]*:" if inside == "{" else ""
            head = re.match(prefix, piece)
            start = head.end() if head else 0
            if "=" in piece[start:]:
                piece = piece[:start] + _quoted(piece[start:])
        out.append(piece)
    return "".join(out)


def _quoted(text: str) -> str:
    escaped = re.sub(r"(\\*)'", r"\1\1\\'", text.strip())
    trailing = len(escaped) - len(escaped.rstrip("\\"))
    return "'" + escaped + "\\" * trailing + "'"


def _free_text(word: str) -> str:
    """Take the value of a key that holds the user's own text as it stands, brackets and commas included."""
    key, sign, value = word.partition("=")
    if key not in _TEXTS or not sign or value in ("", "null") or value[:1] in ("'", '"'):
        return word
    escaped = re.sub(r"(\\*)'", r"\1\1\\'", value.replace("${", "\\${"))
    trailing = len(escaped) - len(escaped.rstrip("\\"))
    return f"{key}='{escaped}{chr(92) * trailing}'"


def _choose(word: str, groups: Sequence[str]) -> str:
    """Let a word that chooses an option be read as one: ``precision=32``, ``logger=null``."""
    key, sign, value = word.partition("=")
    if key.lstrip("+") not in groups or not sign:
        return word
    if value in ("null", "None", ""):
        group = key.lstrip("+")
        return f"{group}=none" if "none" in plugins.options(group) else f"~{group}"
    plain = re.fullmatch(r"[\d.]+", value)
    return f"{key.lstrip('+')}={_quoted(value) if plain else value}"


def _parse(word: str) -> Override:
    """Parse one word by Hydra's grammar; a value it cannot read is taken as it stands."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    if "=" not in word and not word.startswith("~"):
        raise ConfigError(
            f"'{word}' is not a setting.",
            expected="key=value, after at most one NAME",
            remedy=f"write {word}=VALUE, or see --help.",
        )
    parser = OverridesParser.create()
    key, _, value = word.partition("=")
    attempts = [word, quote(word)]
    if value[:1] not in ("[", "{", "'", '"'):
        attempts.append(f"{key}={_quoted(value)}")
    for attempt in dict.fromkeys(attempts):
        try:
            return parser.parse_override(attempt)
        except HydraException as error:
            first = str(error).splitlines()[0]
    raise ConfigError(
        f"'{word}' cannot be read: {first}",
        expected="key=value; a value with brackets, quotes or commas in quotes of its own",
        remedy=f"""try "{key}='VALUE'".""",
    )


@dataclass
class Overrides:
    """What a command asks of one verb's config.

    Parameters
    ----------
    verb : str
    name : str or None
        The task or recipe.
    parsed : list of Override
        In the order they were typed.
    sweep : bool
        Whether a value may name several choices (``-m``).
    """

    verb: str
    name: str | None
    parsed: list[Override]
    sweep: bool = False

    @classmethod
    def parse(cls, verb: str, name: str | None, words: Sequence[str], *, sweep: bool = False) -> Overrides:
        """Parse the words and check what can be checked without composing.

        Raises
        ------
        ConfigError
            For a word that cannot be read, an unknown name or option, or several values without ``-m``.
        """
        group = group_of(verb)
        if name is not None:
            _check_option(group, name)
        groups = plugins.groups()
        words = [word if sweep else _free_text(word) for word in words]
        parsed = [_parse(_choose(word, groups)) for word in words]
        if name is None:  # the long form, task=NAME
            for override in [o for o in parsed if o.key_or_group == group and not o.is_sweep_override()]:
                name = str(override.value())
                parsed.remove(override)
                _check_option(group, name)
        for override in parsed:
            key = override.key_or_group
            if key == group and name is not None:
                raise ConfigError(f"the {group} is named twice: '{name}' and '{override.input_line}'.")
            if override.is_sweep_override() and not sweep:
                raise ConfigError(
                    f"{override.input_line}: {key} is given several values.",
                    remedy="add -m to run one job for each, or put the value in quotes of its own: "
                    f"\"{key}='...'\".",
                )
            if not sweep and _is_hydra(key):
                raise ConfigError(
                    f"{override.input_line}: hydra settings steer sweeps.",
                    remedy="add -m for a sweep; the folder of a single run is run_dir=FOLDER.",
                )
            if key in groups:
                for choice in _choices(override):
                    _check_option(key, choice)
        return cls(verb, name, parsed, sweep)

    def sweep_words(self, without: str) -> list[str]:
        """Return the words for Hydra's sweeper, but for the key `without`.

        Hydra first composes a sweep without its choices. A key that only the chosen tasks or options
        have would then be unknown, so it is made a choice of one.
        """
        groups = plugins.groups()
        chosen = any(o.is_sweep_override() and o.key_or_group in groups for o in self.parsed)
        words = [] if self.name is None else [f"{group_of(self.verb)}={self.name}"]
        for override in self.parsed:
            key, word = override.key_or_group, override.input_line or ""
            alone = override.is_sweep_override() or override.is_delete() or _is_hydra(key) or key in groups
            if chosen and not alone:
                word = f"{override.get_key_element()}=choice({override.get_value_string()})"
            if key != without:
                words.append(word)
        return words

    def compose(self) -> DictConfig:
        """Compose the config (of the first combination, in a sweep).

        Raises
        ------
        ConfigError
            When a key is unknown, with the nearest ones, or a config file is wrong.
        """
        words = [] if self.name is None else [f"{group_of(self.verb)}={self.name}"]
        words += [word for override in self.parsed if (word := _first(override)) is not None]
        if any(o.is_add() or o.is_force_add() for o in self.parsed):
            self._check_keys()
        try:
            cfg = _hydra_compose(self.verb, words)
        except ScizooError:
            self._check_keys()
            raise
        clear_groups(cfg, words)
        return cfg

    @cached_property
    def _base(self) -> DictConfig:
        """The config with the chosen options but none of the values."""
        groups = plugins.groups()
        words = [_first(o) for o in self.parsed if o.key_or_group in groups and not o.is_delete()]
        named = [] if self.name is None else [f"{group_of(self.verb)}={self.name}"]
        return _hydra_compose(self.verb, named + [word for word in words if word is not None])

    def _check_keys(self) -> None:
        groups = plugins.groups()
        for override in self.parsed:
            key = override.key_or_group
            if key in groups or _is_hydra(key) or _has(self._base, key):
                continue
            added = override.is_add() or override.is_force_add()
            if added and _is_open(self._base, key):
                continue
            raise ConfigError(
                f"{override.input_line}: there is no key '{key}' here: {_nearest(self._base, key, groups)}",
                remedy=f"`scizoo config show {self.name}` lists all keys." if self.name else None,
            )


def clear_groups(cfg: DictConfig, words: Sequence[str]) -> None:
    """Empty what a word such as ``backbone=null`` (``~backbone`` to Hydra) asks for no option of.

    Hydra leaves out the option alone: the settings that a task adds to it would stay, and be no whole option.

    Parameters
    ----------
    cfg : DictConfig
        As Hydra composed it; it is changed.
    words : sequence of str
        In Hydra's own form.
    """
    groups = plugins.groups()
    for word in words:
        key, _, value = word.removeprefix("~").partition("=")
        if word.startswith("~") and value in ("", "null") and key in groups and key in cfg:
            cfg[key] = None


def _check_option(group: str, name: str) -> None:
    if name in ("null", "None"):
        return
    choices = plugins.options(group)
    if name in choices:
        return
    domain = name.partition("/")[0]
    bad = plugins.broken().get(domain)
    raise ConfigError(
        f"there is no {group} '{name}': {did_you_mean(name, choices)}",
        remedy=f"{bad.problem}; {bad.remedy}" if bad else _where_listed(group),
    )


def _where_listed(group: str) -> str | None:
    if group in ("task", "recipe", "tokenizer"):
        return f"`scizoo list {group}s` shows all; a missing domain must be installed."
    return None


def _choices(override: Override) -> Iterator[str]:
    """Yield the options that an override of a group names."""
    if override.is_delete():
        return
    if override.is_sweep_override():
        values = _enumerated(override)
    else:
        value: Any = override.value()
        values = value if isinstance(value, list) else [value]
    for value in values:
        yield "null" if value is None else str(getattr(value, "text", value))


def _enumerated(override: Override) -> list[Any]:
    """Return the choices of a sweep; those of an interval or a pattern are left to Hydra."""
    from hydra.errors import HydraException

    try:
        return list(override.sweep_iterator()) if override.is_discrete_sweep() else []
    except HydraException:
        return []


def _first(override: Override) -> str | None:
    """Return the override with one value, for a trial composition; None where there is none."""
    if _is_hydra(override.key_or_group):
        return None
    if not override.is_sweep_override():
        return override.input_line
    if override.is_interval_sweep():
        return f"{override.get_key_element()}={override.value().start}"  # type: ignore[union-attr]
    choices = _enumerated(override)
    if not choices:
        return None
    return f"{override.get_key_element()}={type(override)._get_value_element_as_str(choices[0])}"


def _is_hydra(key: str) -> bool:
    return key == "hydra" or key.startswith(("hydra.", "hydra/"))


def _hydra_compose(verb: str, words: list[str]) -> DictConfig:
    import yaml
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    # Inside a sweep Hydra is in use already; it gets its own state back.
    outer = GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(plugins.core_conf_dir()), job_name=verb, version_base="1.3"):
            return compose(verb, overrides=words)
    except (HydraException, OmegaConfBaseException) as error:
        text = " ".join(re.split(r"\n(?:To append|Set the env)", str(error))[0].split())
        raise ConfigError(f"the config of {verb} cannot be composed: {text}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"a config file is not valid YAML: {' '.join(str(error).split())}") from error
    finally:
        GlobalHydra.instance().hydra = outer


def _has(cfg: DictConfig, key: str) -> bool:
    return _descend(cfg, key)[1] == ""


def _descend(cfg: Any, key: str) -> tuple[Any, str, str]:
    """Follow a dotted key as far as it exists: the last node, the rest, the part that exists."""
    from omegaconf import OmegaConf

    node, parts = cfg, re.split(r"\.|\[(?=\d+\])", key.replace("]", ""))
    for index, part in enumerate(parts):
        if OmegaConf.is_list(node) and part.isdigit() and int(part) < len(node):
            child = node._get_node(int(part))
        elif OmegaConf.is_dict(node) and part in node.keys():  # noqa: SIM118 - missing values count
            child = node._get_node(part)
        else:
            return node, ".".join(parts[index:]), ".".join(parts[:index])
        node = child
        if node is not None and OmegaConf.is_interpolation(node.__dict__.get("_parent"), part):
            node = OmegaConf.select(cfg, ".".join(parts[: index + 1]))
    return node, "", key


def _is_open(cfg: DictConfig, key: str) -> bool:
    from omegaconf import OmegaConf

    node, rest, path = _descend(cfg, key)
    if any(path == name or path.startswith(name + ".") for name in _OPEN):
        return OmegaConf.is_dict(node) or "." in rest or bool(path)
    while path:
        here = _descend(cfg, path)[0]
        if OmegaConf.is_dict(here) and "_target_" in here:
            return True
        path = path.rpartition(".")[0]
    return False


def _keys(node: Any, prefix: str = "") -> Iterator[str]:
    from omegaconf import OmegaConf

    if OmegaConf.is_dict(node) and not node._is_none() and not node._is_missing():
        for name in node.keys():  # noqa: SIM118 - items() would raise on missing values
            path = f"{prefix}{name}"
            yield path
            yield from _keys(node._get_node(name), f"{path}.")


def _nearest(cfg: DictConfig, key: str, groups: list[str]) -> str:
    known = list(_keys(cfg))
    last = key.rpartition(".")[2]
    elsewhere = [path for path in known if path.rpartition(".")[2] == last]
    if elsewhere and elsewhere != [key]:
        return "did you mean " + " or ".join(f"'{path}'" for path in elsewhere[:3]) + "?"
    _, rest, path = _descend(cfg, key)
    prefix = f"{path}." if path else ""
    beside = [name for name in known if name.startswith(prefix) and "." not in name[len(prefix) :]]
    wrong = prefix + rest.partition(".")[0]
    if path:
        return did_you_mean(wrong, beside)
    top = did_you_mean(wrong, {*beside, *groups})
    return top if top.startswith("did") else did_you_mean(key, known)
