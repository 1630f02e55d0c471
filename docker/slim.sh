#!/bin/sh
# Takes out of an image's virtual environment what a running service never loads, and proves that the rest does.
# For the stages of docker/Dockerfile; `strip` (binutils) has to be there.
set -eu

if [ $# -lt 2 ]; then
    echo "usage: docker/slim.sh VENV PACKAGE...   e.g. docker/slim.sh /opt/stacklens analytics_service dashboard_api" >&2
    exit 2
fi
venv=$(cd "$1" && pwd)
shift
packages=$(echo "$venv"/lib/python3.*/site-packages)
cd "$packages"

# Tests, sources and build tools of the libraries.
find . -type d -name tests -prune -exec rm -rf {} +
find . -type f \( -name '*.pyi' -o -name '*.py[x]' -o -name '*.px[di]' -o -name '*.[ch]' -o -name '*.cc' -o -name '*.cpp' -o -name '*.a' \) -delete
rm -rf numpy/f2py numpy/distutils

# Arrow decodes JSON and casts columns here: its file formats, remote files and calls are more than half of it. Some of
# its libraries ask for each other without using a symbol; those stay (libparquet, libarrow_dataset, libarrow_substrait).
if [ -d pyarrow ]; then
    cd pyarrow
    rm -rf include src includes libarrow_flight.so* libarrow_s3.so* libarrow_python_flight.so* \
        libarrow_python_parquet_encryption.so*
    for format in azurefs csv dataset feather flight gcsfs hdfs orc parquet pyarrow_cpp_tests s3fs substrait; do
        rm -f "_$format".*so "_$format"_*.so
    done
    # One library under three names, as files of their own: the one that is asked for is enough.
    soname=$(echo libarrow_python.so.????)
    [ -f "$soname" ]
    rm -f libarrow_python.so "$soname".*
    cd ..
fi

# Symbol tables are for linking and debugging. *.libs hold libraries that auditwheel has moved about: left as they are.
find . -path './*.libs' -prune -o -type f -name '*.so*' -exec strip --strip-unneeded {} +

# Every module of ours, and with it every library that it wants, all symbols bound at once.
LD_BIND_NOW=1 PYTHONDONTWRITEBYTECODE=1 "$venv/bin/python" - "$@" <<'PYTHON'
import importlib
import pkgutil
import sys

for package in sys.argv[1:]:
    found = pkgutil.walk_packages(importlib.import_module(package).__path__, package + ".")
    names = [module.name for module in found if not module.name.endswith("__main__")]
    for name in names:
        importlib.import_module(name)
    print(f"slim: all {len(names)} modules of {package} can be loaded")
PYTHON
du -sm "$packages"
