"""One module per feed; each declares its `PIPELINE`, and being here is all it takes."""

from __future__ import annotations

import importlib
import pkgutil

from app.domain import Pipeline


def all_pipelines() -> tuple[Pipeline, ...]:
    """Gives the pipeline of every module of this package, by module name."""
    modules = sorted(module.name for module in pkgutil.iter_modules(__path__))
    return tuple(importlib.import_module(f"{__name__}.{name}").PIPELINE for name in modules)
