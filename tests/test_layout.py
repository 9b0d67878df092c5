"""The shape of the project: packages say what they give, shipped files load, versions agree."""

from __future__ import annotations

import ast
import csv
import json
import re
import tomllib
from pathlib import Path

import pytest
import yaml

import pefuse

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "pefuse"


def packages() -> list[Path]:
    """Every `__init__.py` but the top one, which loads its names on demand."""
    return sorted(path for path in SOURCE.rglob("__init__.py") if path.parent != SOURCE)


def shipped(ending: str) -> list[Path]:
    folders = (SOURCE, ROOT / "examples", ROOT / "docs")
    return sorted(path for folder in folders for path in folder.rglob(f"*.{ending}"))


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", packages(), ids=relative)
def test_a_package_imports_what_it_exports_and_does_nothing_else(path: Path) -> None:
    """Readers find a package's whole surface in `__all__`, sorted, and importing it has no side effect."""
    imported: list[str] = []
    exported: list[str] = []
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        match node:
            case ast.Expr(value=ast.Constant(value=str())):
                pass
            case ast.ImportFrom(module="__future__"):
                pass
            case ast.ImportFrom(names=names):
                imported += [name.asname or name.name for name in names]
            case ast.Assign(targets=[ast.Name(id="__all__")], value=ast.List(elts=elements)):
                exported = [element.value for element in elements if isinstance(element, ast.Constant)]
            case _:
                pytest.fail(f"line {node.lineno} is neither an import nor __all__")

    assert sorted(imported) == sorted(exported)
    assert len(set(exported)) == len(exported)


def test_every_folder_of_modules_is_a_package() -> None:
    """Without an `__init__.py` it works here and is missing from what is installed elsewhere."""
    folders = {path.parent for path in SOURCE.rglob("*.py")}

    assert [relative(folder) for folder in sorted(folders) if not (folder / "__init__.py").exists()] == []


def test_every_name_of_the_top_level_package_can_be_had() -> None:
    """The names are loaded on demand, so a wrong one would only show when a user asks for it."""
    assert [name for name in pefuse.__all__ if not hasattr(pefuse, name)] == []
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = pefuse.nonsense  # type: ignore[attr-defined]


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=relative)
def test_a_module_says_what_it_holds_and_its_exports_exist(path: Path) -> None:
    """First a docstring; and nothing in `__all__` that the module does not define."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree)
    defined: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name) | ast.Name(id=name, ctx=ast.Store()):
                defined.add(name)
            case ast.ImportFrom(names=names):
                defined.update(alias.asname or alias.name for alias in names)
    exported = [
        element.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.List)
        for element in node.value.elts
        if isinstance(node.targets[0], ast.Name)
        and node.targets[0].id == "__all__"
        and isinstance(element, ast.Constant)
    ]

    assert path.name == "__init__.py" or set(exported) <= defined


@pytest.mark.parametrize("path", [*shipped("yaml"), *shipped("yml"), ROOT / "CITATION.cff"], ids=relative)
def test_every_yaml_that_we_ship_loads(path: Path) -> None:
    assert isinstance(yaml.safe_load(path.read_text(encoding="utf-8")), dict)


@pytest.mark.parametrize("path", shipped("json"), ids=relative)
def test_every_json_that_we_ship_loads(path: Path) -> None:
    assert json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("preset", sorted(SOURCE.glob("training/presets/*.yaml")), ids=lambda path: path.stem)
def test_every_preset_is_a_whole_config(preset: Path) -> None:
    """Each setting is known and in its range, and writing the config and reading it again changes nothing."""
    training = pytest.importorskip("pefuse.training", exc_type=ImportError)
    config = training.resolve_config(preset.stem)

    assert config.preset == preset.stem
    assert training.RunConfig.model_validate(yaml.safe_load(config.to_yaml())) == config


def test_the_doctor_knows_the_tested_version_of_every_dependency() -> None:
    """One truth, in constraints.txt; the installed package carries the direct dependencies' part of it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = {re.split(r"[<>=~! \[]", line, maxsplit=1)[0] for line in project["dependencies"]}
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").split()
    constrained = {name.lower(): version for name, version in (line.split("==") for line in lines)}
    with (SOURCE / "cli" / "tested_versions.csv").open(encoding="utf-8") as file:
        known = {row["package"]: row["version"] for row in csv.DictReader(file)}

    assert known == {name: constrained[name.lower()] for name in wanted}


def test_the_version_is_the_same_everywhere() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))

    assert pefuse.__version__ == project["version"] == citation["version"]
