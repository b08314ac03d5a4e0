"""Makes the configs of the user, the core and every installed domain visible to Hydra."""

from __future__ import annotations

from hydra.core.config_search_path import ConfigSearchPath
from hydra.plugins.search_path_plugin import SearchPathPlugin

from scizoo import plugins


class ScizooSearchPath(SearchPathPlugin):
    """Adds config folders as ``file://`` paths, so that no plugin is imported to read its YAML."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Put the user's folders first, then what is there, then the core and the domains."""
        known = {(element.path or "").removeprefix("file://") for element in search_path.get_path()}
        for folder in reversed(plugins.user_conf_dirs):
            search_path.prepend("scizoo-user", f"file://{folder}")
        for folder in plugins.conf_dirs():
            if folder not in plugins.user_conf_dirs and str(folder) not in known:
                search_path.append("scizoo", f"file://{folder}")
