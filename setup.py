"""Builds the two compiled libraries; everything else stands in setup.cfg.

They are plain shared libraries, loaded by ctypes: the kernel, whose sources are compiled once for
each level of instructions, one of which is chosen at run time, and what packs events for it. They
are optional: without a compiler the installation succeeds, and Python does the work.
"""

import os
import platform
from concurrent.futures import ThreadPoolExecutor
from glob import glob

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.modified import newer_group

KERNEL = "srnn.neurons.kernels._cpu"
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
    """Compiles the kernel's sources for each level, side by side; setuptools would do so once."""

    def build_extension(self, ext: Extension) -> None:
        """Build a library, unless an earlier installation has."""
        target = self.get_ext_fullpath(ext.name)
        # An editable installation leaves the library beside its sources.
        package = self.get_finalized_command("build_py").get_package_dir(
            ext.name.rpartition(".")[0]
        )
        kept = os.path.join(package, os.path.basename(target))
        if not self.force and not newer_group([*ext.sources, *ext.depends, __file__], kept):
            self.mkpath(os.path.dirname(target))
            self.copy_file(kept, target)
        elif ext.name == KERNEL:
            self.build_kernel(target)
        else:
            super().build_extension(ext)

    def build_kernel(self, target: str) -> None:
        """Compile and link the kernel."""
        objects = self.compiler.compile(
            [f"{FOLDER}/{source}.cpp" for source in INTERFACE],
            output_dir=self.build_temp,
            extra_postargs=FLAGS,
        )
        # The longest first, so that none is left to wait for at the end.
        sources = sorted(CONTRACT, key=lambda s: os.path.getsize(f"{FOLDER}/{s}.cpp"), reverse=True)
        units = [(source, level) for source in sources for level in LEVELS]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for made in pool.map(self.compile_unit, *zip(*units, strict=True)):
                objects += made
        self.compiler.link_shared_object(objects, target, target_lang="c++")

    def compile_unit(self, source: str, level: str) -> list[str]:
        """Compile one source of the kernel for one level; return the path of its object file."""
        return self.compiler.compile(
            [f"{FOLDER}/{source}.cpp"],
            output_dir=os.path.join(self.build_temp, level),
            macros=[("LEVEL", level)],
            extra_postargs=[*FLAGS, f"-ffp-contract={CONTRACT[source]}", *LEVELS[level]],
        )

    def get_ext_filename(self, fullname: str) -> str:
        """Name the library without the version of Python, which it knows nothing of."""
        return os.path.join(*fullname.split(".")) + ".so"


setup(
    ext_modules=[
        Extension(KERNEL, sources=[], depends=glob(f"{FOLDER}/*"), optional=True),
        # Rounds as NumPy does, number by number.
        Extension(
            "srnn.datasets._packing",
            sources=["datasets/packing.cpp"],
            extra_compile_args=[*FLAGS, "-ffp-contract=off"],
            language="c++",
            optional=True,
        ),
    ],
    cmdclass={"build_ext": BuildKernel},
)
