"""``bettong test``: pytest with this package's plugin, by the interpreter that was chosen."""

from __future__ import annotations

import sys

USAGE_ERROR = 2  # as pytest's own


def main() -> int:
    try:
        import pytest
    except ModuleNotFoundError as error:
        if error.name != "pytest":
            raise
        print(
            f"bettong: test: {sys.executable} has no pytest: install it there "
            f"({sys.executable} -m pip install pytest), or choose another interpreter with "
            "--python or VIRTUAL_ENV",
            file=sys.stderr,
        )
        return USAGE_ERROR
    # By the name of the entry point, so that an installed package is not loaded twice.
    return int(pytest.main(["-p", "bettong.testing.plugin", *sys.argv[1:]]))


if __name__ == "__main__":
    sys.exit(main())
