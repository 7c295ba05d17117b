"""The version of the package, for records."""


def package_version() -> str:
    """Return the version of the installed package."""
    from importlib.metadata import version  # slow to load, and seldom asked for

    return version("obverse")
