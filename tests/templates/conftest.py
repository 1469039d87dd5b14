"""All templates, rendered once for each environment."""

from __future__ import annotations

import pytest
from rendering import ENVIRONMENTS, Rendered, render


@pytest.fixture(scope="session")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Rendered]:
    return {name: render(name, tmp_path_factory.mktemp(name)) for name in ENVIRONMENTS}
