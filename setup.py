"""Builds the compiled kernel; everything else stands in setup.cfg.

The kernel is a plain shared library, loaded by ctypes: the same sources compiled once for each
level of instructions, one of which is chosen at run time. It is optional: without a compiler the
installation succeeds, and the other kernels do the work.
"""

import os
import platform

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

FOLDER = "neurons/kernels/cpu"
LEVELS: dict[str, list[str]] = {"base": []}
if platform.machine() in ("x86_64", "AMD64"):
    avx2 = ["-mavx2", "-mfma", "-mbmi", "-mbmi2", "-mpopcnt"]
    LEVELS["avx2"] = avx2
    LEVELS["avx512"] = [*avx2, "-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl"]
FLAGS = [
    *("-std=c++17", "-O3", "-g0", "-fvisibility=hidden", "-Wno-psabi"),
    *("-fno-math-errno", "-fno-trapping-math"),
]
# Compiled once.
INTERFACE = ("api", "hebbian_api")
# Compiled for each level. step.cpp must round as often as the reference does; see there.
CONTRACT = {
    "step": "off",
    **dict.fromkeys(("forward", "backward", "scan", "count", "hebbian"), "fast"),
}


class BuildKernel(build_ext):
    """Compiles each source for each level; setuptools would compile it once."""

    def build_extension(self, ext: Extension) -> None:
        """Compile and link the one extension that there is."""
        compiler = self.compiler
        objects = compiler.compile(
            [f"{FOLDER}/{source}.cpp" for source in INTERFACE],
            output_dir=self.build_temp,
            extra_postargs=FLAGS,
        )
        for level, instructions in LEVELS.items():
            for source, contract in CONTRACT.items():
                objects += compiler.compile(
                    [f"{FOLDER}/{source}.cpp"],
                    output_dir=os.path.join(self.build_temp, level),
                    macros=[("LEVEL", level)],
                    extra_postargs=[*FLAGS, f"-ffp-contract={contract}", *instructions],
                )
        compiler.link_shared_object(objects, self.get_ext_fullpath(ext.name), target_lang="c++")

    def get_ext_filename(self, fullname: str) -> str:
        """Name the library without the version of Python, which it knows nothing of."""
        return os.path.join(*fullname.split(".")) + ".so"


setup(
    ext_modules=[Extension("srnn.neurons.kernels._cpu", sources=[], optional=True)],
    cmdclass={"build_ext": BuildKernel},
)
