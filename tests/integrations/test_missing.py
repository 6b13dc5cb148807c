"""Without its framework, a module says what to install."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

import pytest

from mneme.core.errors import MissingDependencyError

FRAMEWORKS = {
    "langchain": ("langchain_core", "langchain-core"),
    "langgraph": ("langgraph", "langgraph"),
    "llama_index": ("llama_index", "llama-index-core"),
    "openai_agents": ("agents", "openai-agents"),
}


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_a_module_names_the_package_that_it_misses(name: str) -> None:
    library, package = FRAMEWORKS[name]
    if find_spec(library) is not None:
        pytest.skip(f"{library} is installed")
    with pytest.raises(MissingDependencyError, match=f"pip install {package}$"):
        import_module(f"mneme.integrations.{name}")
