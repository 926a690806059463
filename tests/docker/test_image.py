"""The image, its lock files, compose.yml and the workflows agree with the project and with each other.

None of this builds anything: docker/rehearse and docker/smoke do.
"""

import json
import re
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import xpgrad
from xpgrad.cli import COMMANDS

ROOT = Path(__file__).resolve().parents[2]
DOCKER = ROOT / "docker"
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
LOCKS = sorted(DOCKER.glob("requirements*.txt"))
SCRIPTS = [ROOT / ".ci" / "gpu", ROOT / ".ci" / "run", DOCKER / "lock", DOCKER / "rehearse", DOCKER / "smoke"]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
# What a Python package index is reached by, in a file that pip reads.
INDEX = re.compile(r"https?:|--(?:extra-)?index-url|--find-links|--trusted-host", re.I)


def dockerfile():
    """Its instructions, one a line, without comments."""
    text = "\n".join(
        line for line in (DOCKER / "Dockerfile").read_text().splitlines() if not line.startswith("#")
    )
    return text.replace("\\\n", " ").splitlines()


def locked(path):
    """Name to version and the number of hashes."""
    found = {}
    for entry in re.split(r"\n(?=\S)", path.read_text().replace("\\\n", " ")):
        if entry.startswith("#"):
            continue
        pin, *hashes = entry.split()
        name, version = pin.split("==")
        assert all(re.fullmatch("--hash=sha256:[0-9a-f]{64}", text) for text in hashes), entry
        found[name] = Version(version), len(hashes)
    return found


def requirements(*extras):
    needs = list(PROJECT["project"]["dependencies"])
    for extra in extras:
        needs += PROJECT["project"]["optional-dependencies"][extra]
    linux = {"sys_platform": "linux", "platform_system": "Linux"}
    return [need for need in map(Requirement, needs) if not need.marker or need.marker.evaluate(linux)]


def installed_extras():
    """The extras that the image has, as its Dockerfile names them."""
    (extras,) = [found[1] for line in dockerfile() if (found := re.search(r'"xpgrad\[(gpu[^]]*)\]"', line))]
    return extras.split(",")


def stages():
    return {found[1] for line in dockerfile() if (found := re.match(r"FROM \S+ AS (\S+)", line))}


# ── what is in it ────────────────────────────────────────────────────────────────────────────
def test_the_image_has_the_extras_that_race_needs_on_the_gpu():
    assert {"gpu", "cpu", "demo"} <= set(installed_extras())


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_every_locked_package_has_the_hash_of_what_may_be_installed(lock):
    assert all(hashes for _, hashes in locked(lock).values())


@pytest.mark.parametrize("path", [*LOCKS, DOCKER / "Dockerfile", *WORKFLOWS], ids=lambda path: path.name)
def test_no_package_index_is_named(path):
    without_comments = re.sub(r"^\s*#.*$", "", path.read_text(), flags=re.M)
    text = without_comments.replace("--no-index --find-links /wheels", "")
    assert not INDEX.search(text)


def test_the_locked_versions_are_what_the_extras_ask_for():
    versions = locked(DOCKER / "requirements.txt")
    for need in requirements(*installed_extras()):
        assert versions[canonicalize_name(need.name)][0] in need.specifier, need


def test_the_locked_test_packages_are_what_the_extra_asks_for():
    versions = locked(DOCKER / "requirements.txt")
    added = locked(DOCKER / "requirements-test.txt")
    assert not versions.keys() & added.keys()
    for need in requirements("test"):
        assert (versions | added)[canonicalize_name(need.name)][0] in need.specifier, need


def test_the_locked_build_packages_are_what_the_build_system_asks_for():
    versions = locked(DOCKER / "requirements-build.txt")
    for need in map(Requirement, PROJECT["build-system"]["requires"]):
        assert versions[need.name][0] in need.specifier, need


def test_the_cuda_of_the_base_image_is_that_of_the_wheels():
    (base,) = [
        found[1] for line in dockerfile() if (found := re.match("ARG BASE=nvidia/cuda:([0-9.]+)-", line))
    ]
    versions = locked(DOCKER / "requirements.txt")
    assert Version(base).release[:2] == versions["cuda-toolkit"][0].release[:2]
    assert f"cupy-cuda{Version(base).major}x" in versions


def test_the_label_has_the_version_of_the_package():
    text = "\n".join(dockerfile())
    assert re.search(r'image\.version="([^"]*)"', text)[1] == xpgrad.__version__
    assert re.search(r'image\.licenses="([^"]*)"', text)[1] == PROJECT["project"]["license"]


# ── what it is made from ─────────────────────────────────────────────────────────────────────
def test_what_is_copied_is_there_and_reaches_the_build():
    allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    for line in dockerfile():
        if not line.startswith("COPY") or "--from" in line:
            continue
        for source in [word for word in line.split()[1:-1] if not word.startswith("--")]:
            path = ROOT / source
            assert path.exists(), line
            assert source == "." or any(path in ROOT.glob(pattern) for pattern in allowed), line


def test_all_that_the_wheel_is_made_of_is_copied():
    text = " ".join(line for line in dockerfile() if line.startswith("COPY"))
    project = PROJECT["project"]
    for name in ["pyproject.toml", "src", project["readme"], *project["license-files"]]:
        assert name in text.split()


def test_what_the_ignore_file_lets_in_is_there():
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        assert not line.startswith("!") or list(ROOT.glob(line[1:])), line


# ── what starts ──────────────────────────────────────────────────────────────────────────────
def test_the_entry_point_and_its_commands_are_there():
    assert 'ENTRYPOINT ["xpgrad"]' in dockerfile()
    assert "xpgrad" in PROJECT["project"]["scripts"]
    assert 'CMD ["info"]' in dockerfile()
    assert "info" in COMMANDS


def test_each_service_starts_what_is_there():
    for command in re.findall(r"^    command: (\[.*\])$", (DOCKER / "compose.yml").read_text(), re.M):
        first = json.loads(command)[0]
        assert first in COMMANDS or find_spec(first), command


def test_each_service_builds_a_stage_of_the_dockerfile():
    found = set(re.findall(r"^ +target: (\S+)$", (DOCKER / "compose.yml").read_text(), re.M))
    assert found == {"image", "test"}
    assert found <= stages()


def test_what_compose_names_by_path_is_there():
    text = (DOCKER / "compose.yml").read_text()
    (context,) = re.findall(r"^ +context: (\S+)$", text, re.M)
    assert (DOCKER / context).resolve() == ROOT
    (file,) = re.findall(r"^ +dockerfile: (\S+)$", text, re.M)
    assert (ROOT / file).is_file()
    for source in re.findall(r"^ +- (\.\S*):/", text, re.M):
        # What is not there, the engine makes, as root's.
        assert (DOCKER / source).is_dir()


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_the_scripts_can_be_started(path):
    assert path.stat().st_mode & 0o111
    assert path.read_text().startswith("#!/usr/bin/env ")


# They start commands of installed packages, and no script of the repository.
OF_PACKAGES_ALONE = {"array-api.yml", "docs.yml", "release.yml"}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_the_workflows_start_what_is_there(path):
    scripts = re.findall(r"run: ((?:\.ci|docker)/\S+)", path.read_text())
    assert bool(scripts) != (path.name in OF_PACKAGES_ALONE)
    for script in scripts:
        assert ROOT / script in SCRIPTS


# ── who may start it ─────────────────────────────────────────────────────────────────────────
# What publishes says who it is by a token of its own run, which gives it nothing of the repository.
SIGNS = {"release.yml": ["      id-token: write\n"]}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_reads_the_repository_and_no_more(path):
    text = path.read_text()
    given = re.findall(r"permissions:\n((?: +[a-z-]+: (?:read|write|none)\n)+)", text)
    assert given == ["  contents: read\n", *SIGNS.get(path.name, [])]
    assert text.count("permissions:") == len(given)
    assert "pull_request_target" not in text
    assert "secrets." not in text


def test_a_pull_request_reaches_the_gpu_by_label_and_from_this_repository_alone():
    text = (ROOT / ".github" / "workflows" / "gpu.yml").read_text()
    assert "  pull_request:\n    types: [labeled]\n" in text
    condition = re.search(r"    if: >-\n((?:      .*\n)+)", text)[1]
    branches = [branch for branch in condition.split("||") if "pull_request" in branch]
    assert len(branches) == 1
    assert "github.event.label.name == 'gpu'" in branches[0]
    assert "github.event.pull_request.head.repo.full_name == github.repository" in branches[0]


# ── the checks of a built image ──────────────────────────────────────────────────────────────
GOOD = {
    "User": "10001:10001",
    "Entrypoint": ["xpgrad"],
    "Cmd": ["info"],
    "WorkingDir": "/home/xpgrad",
    "StopSignal": "SIGINT",
    "Healthcheck": {"Test": ["CMD", "xpgrad", "info"]},
    "Labels": {
        f"org.opencontainers.image.{name}": "x"
        for name in ("title", "description", "version", "licenses", "base.name", "revision")
    },
}


def check_config(config):
    command = [sys.executable, str(DOCKER / "check_config.py")]
    return subprocess.run(command, input=json.dumps(config), capture_output=True, text=True)


def test_a_configuration_as_it_should_be_passes():
    assert check_config(GOOD).returncode == 0


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"User": ""}, "the user is ''"),
        ({"User": "0:0"}, "the user is '0:0'"),
        ({"User": "xpgrad"}, "the user is 'xpgrad'"),
        ({"Entrypoint": None}, "Entrypoint is None"),
        ({"Cmd": ["race"]}, "Cmd is ['race']"),
        ({"Healthcheck": None}, "the health check is None"),
        ({"Labels": {}}, "no label org.opencontainers.image.revision"),
    ],
)
def test_a_fault_in_the_configuration_is_told(change, says):
    done = check_config(GOOD | change)
    assert done.returncode == 1
    assert says in done.stdout
