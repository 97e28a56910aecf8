"""What pyproject.toml cannot say: the top-level folder `loaders/` is installed as a part of
`bimotion/loaders/`.

A mapping of package folders would say it too, but then an editable install needs an import finder,
which comes after the folders on sys.path: any folder called `bimotion` in the working directory
would hide the package.
"""

from pathlib import Path
from shutil import copy2

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithLoaders(build_py):
    """Copies the builders and their cards; an editable install reads them where they are."""

    def run(self):
        super().run()
        if not self.editable_mode:
            for path in (
                path for path in Path("loaders").iterdir() if path.suffix in {".py", ".md"}
            ):
                copy2(path, Path(self.build_lib, "bimotion", "loaders"))


setup(cmdclass={"build_py": BuildWithLoaders})
