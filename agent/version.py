"""The version of this software, from the installed distribution."""

from importlib.metadata import PackageNotFoundError, version

try:
    VERSION = version("tieng-lang")
except PackageNotFoundError:  # run from a bare tree
    VERSION = "0+unknown"
