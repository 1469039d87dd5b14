"""A release: its file, overrides, and the ID that follows from its content."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.greenroom.controller.catalogue.catalogue import load, normalise
from ansible.module_utils.greenroom.controller.catalogue.release import (
    Image,
    config_sources,
    parse_image,
    read_release,
    release_id,
    variables_of,
)

ROOT = Path(__file__).resolve().parents[3]
DIGEST = "sha256:" + "0123456789abcdef" * 4
FILE = "releases/1.yml"
CONTENT = {"images": {"shop": "demo/shop:1.0"}}
CATALOGUE = {"shop": normalise("shop", {"image": "shop"}, "/srv/shop")}


def problems(content: Any, overrides: Any = None, catalogue: Any = CATALOGUE) -> list[str]:
    found: list[str] = read_release(content, FILE, {} if overrides is None else overrides, catalogue)[1]
    return found


@pytest.mark.parametrize("path", sorted(ROOT.glob("releases/*.yml")), ids=lambda path: path.stem)
def test_the_releases_of_the_project_match_its_services(path: Path) -> None:
    catalogue = load(str(ROOT / "services"), lambda file: yaml.safe_load(Path(file).read_text(encoding="utf-8")))
    assert problems(yaml.safe_load(path.read_text(encoding="utf-8")), catalogue=catalogue) == []


def test_images_are_tags_or_digests() -> None:
    assert str(parse_image("demo/shop:1.0", FILE)) == "demo/shop:1.0"
    assert parse_image(f"shop@{DIGEST}", FILE) == Image("shop", DIGEST, FILE)
    assert str(parse_image(f"shop@{DIGEST}", FILE)) == f"shop@{DIGEST}"


@pytest.mark.parametrize(
    ("text", "image"),
    [
        ("my__app/a-b--c.d:V1.2_x", Image("my__app/a-b--c.d", "V1.2_x", FILE)),
        (f"registry.test/team/app:1.2@{DIGEST}", Image("team/app", DIGEST, FILE, "registry.test")),
        ("registry.test:5000/app:1", Image("app", "1", FILE, "registry.test:5000")),
        ("build:5000/app:1", Image("app", "1", FILE, "build:5000")),
        ("localhost/app:1", Image("app", "1", FILE, "localhost")),
        ("[2001:db8::1]:5000/app:1", Image("app", "1", FILE, "[2001:db8::1]:5000")),
        ("198.18.30.11:5000/greenroom/portal:1", Image("greenroom/portal", "1", FILE, "198.18.30.11:5000")),
    ],
)
def test_any_reference_is_understood(text: str, image: Image) -> None:
    assert parse_image(text, FILE) == image


def test_images_come_from_registries_that_the_inventory_names() -> None:
    content = {"images": {"shop": "registry.test/shop:1", "own": "own.test:5000/a:2", "plain": "a:3"}}
    known = ["own.test:5000", "registry.test"]
    images, errors = read_release(content, FILE, {"shop": DIGEST}, CATALOGUE, known)
    assert errors == []
    assert images == {
        "shop": Image("shop", DIGEST, "release_images", "registry.test"),
        "own": Image("a", "2", FILE),
        "plain": Image("a", "3", FILE),
    }
    line = 'registry "registry.tset" is not in registry_others; did you mean "registry.test"?'
    content = {"images": {"shop": "registry.tset/shop:1"}}
    assert read_release(content, FILE, {}, {}, known)[1] == [f"{FILE}: images.shop: {line}"]
    far = read_release({"images": {"a": "elsewhere.invalid/a:1"}}, FILE, {}, {}, known)[1]
    assert far == [
        f'{FILE}: images.a: registry "elsewhere.invalid" is not in registry_others; add it there to allow it'
    ]
    given = {"shop": "registry.tset/shop:1"}
    assert read_release(CONTENT, FILE, given, {}, known)[1] == [f"release_images.shop: {line}"]


@pytest.mark.parametrize(
    "text",
    [
        *(
            "demo/shop",
            "Demo/shop:1",
            "shop@sha256:12",
            "shop:",
            1.0,
            None,
            "a b:1",
            "a___b:1",
            "a//b:1",
            "a/:1",
            "a:1\n",
        ),
        *("registry.test/app", "registry.test:5000/app", f"app:@{DIGEST}", "https://registry.test/app:1"),
    ],
)
def test_an_invalid_image_is_rejected(text: Any) -> None:
    with pytest.raises(ValueError, match="is neither repository:tag nor"):
        parse_image(text, FILE)


def test_overrides_replace_single_images() -> None:
    images, errors = read_release(CONTENT, FILE, {"shop": DIGEST}, CATALOGUE)
    assert (images, errors) == ({"shop": Image("demo/shop", DIGEST, "release_images")}, [])
    images, errors = read_release(CONTENT, FILE, {"shop": "other/shop:2"}, CATALOGUE)
    assert (images, errors) == ({"shop": Image("other/shop", "2", "release_images")}, [])


@pytest.mark.parametrize(
    ("content", "overrides", "start"),
    [
        (None, {}, f"{FILE}: images: missing"),
        ({"images": []}, {}, f"{FILE}: images: missing"),
        ({**CONTENT, "imges": {}}, {}, f'{FILE}: imges: unknown key; did you mean "images"?'),
        (CONTENT, ["x"], "release_images: expected a mapping"),
        (CONTENT, {"shp": DIGEST}, f'release_images.shp: {FILE} has no such image; did you mean "shop"?'),
        (CONTENT, {"shop": "sha256:12"}, 'release_images.shop: "sha256:12" is neither'),
        (CONTENT, {"shop": 1}, 'release_images.shop: "1" is neither'),
    ],
)
def test_problems_are_reported_with_file_and_key(content: Any, overrides: Any, start: str) -> None:
    assert problems(content, overrides)[0].startswith(start)


def test_missing_and_invalid_images_are_reported() -> None:
    assert problems({"images": {"shp": "demo/shop:1", "x": 5}}) == [
        f'{FILE}: images.x: "5" is neither repository:tag nor repository@sha256:<64 digits>',
        f'{FILE}: image "shop" of service shop is missing; did you mean "shp"?',
    ]


def catalogue_at(folder: Path, template: str = "x", **keys: Any) -> dict[str, Any]:
    (folder / "shop" / "config").mkdir(parents=True, exist_ok=True)
    (folder / "shop" / "config" / "shop.yml.j2").write_text(template, encoding="utf-8")
    return {"shop": normalise("shop", {"image": "shop", **keys}, str(folder / "shop"))}


def identity(catalogue: dict[str, Any], digest: str = DIGEST, **given: Any) -> str:
    """The ID of a release with one image."""
    sources = config_sources({"shop": catalogue["shop"]["folder"] + "/config"})
    changes: dict[str, Any] = {"toggles": {}, "sources": sources, "values": {}, **given}
    return str(release_id({"shop": digest}, catalogue, **changes))


def test_the_release_id_depends_on_the_content(tmp_path: Path) -> None:
    here = catalogue_at(tmp_path / "a")
    first = identity(here)
    assert len(first) == 64
    # Another place, and what no bundle contains.
    assert identity(catalogue_at(tmp_path / "b")) == first
    without: dict[str, Any] = {"canary": {"steps": [5]}, "migrate": ["up"], "seed": ["x"], "heads": "SELECT 1"}
    assert identity(catalogue_at(tmp_path / "a", **without)) == first
    checked = catalogue_at(tmp_path / "a")
    checked["shop"]["checks"] = [{"name": "page"}]
    others = {
        identity(here, "sha256:" + "1" * 64),
        identity(catalogue_at(tmp_path / "a", memory="1G")),
        identity(catalogue_at(tmp_path / "a", environment={"PAGES": "2"})),
        identity(catalogue_at(tmp_path / "a", environment={"PAGES": "3"})),
        identity(checked),
        identity(here, toggles={"dark": False}),
        identity(here, toggles={"dark": True}),
        identity(here, values={"shop_fault": "none"}),
        identity(here, values={"shop_fault": "errors"}),
        identity(catalogue_at(tmp_path / "a", template="y")),
        first,
    }
    assert len(others) == 11


def test_the_variables_of_templates_are_found() -> None:
    sources = {
        "a.yml.j2": "{% for one in many | unknown %}{{ one }}{{ service.name }}{% endfor %}{{ a.b | default(c) }}",
        "b.yml": "{{ no_template }}",
        "c.yml.j2": "{{ damaged",
        "d.secret.j2": "{{ secrets_values['x'] }}",
    }
    assert variables_of(sources) == ["a", "c", "many", "one"]


def test_a_file_that_is_no_text_counts(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/logo.png").write_bytes(b"\xff\x00")
    one = config_sources({"shop": str(tmp_path), "none": str(tmp_path / "missing")})
    (tmp_path / "sub/logo.png").write_bytes(b"\xfe\x00")
    assert list(one) == ["shop/sub/logo.png"]
    assert release_id({}, {}, {}, one, {}) != release_id({}, {}, {}, config_sources({"shop": str(tmp_path)}), {})
