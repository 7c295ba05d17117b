"""The version of the package, for records."""

from importlib.metadata import version


def package_version() -> str:
    """Return the version of the installed package."""
    return version("obverse")
