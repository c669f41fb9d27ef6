# SPDX-License-Identifier: LGPL-2.1-or-later
# `make try` and `make check` are the whole set-up of a fresh Debian machine: each says what it is about to install,
# installs what is missing, and does its work.
#
# Variables: PYTHON (the interpreter that .venv is made with), VENV (the folder of the virtual environment),
# PACKAGES (Debian packages to look for; "make check PACKAGES=" on another distribution, after installing its own),
# PYTEST_ARGS (arguments of pytest: make check PYTEST_ARGS="-k create").

PYTHON = /usr/bin/python3
VENV = .venv
PYTEST_ARGS =
# To build: gcc libc6-dev pkg-config libdevmapper-dev libssl-dev python3-dev. For the guests: user-mode-linux udev kmod
# mount; qemu-system-x86 ovmf busybox-static.
# Beside dmctl in the tests: dmsetup lvm2 thin-provisioning-tools cryptsetup-bin openssl softhsm2
# libengine-pkcs11-openssl shellcheck mandoc zsh fish time. CMake and ninja come from pip.
PACKAGES = gcc libc6-dev pkg-config libdevmapper-dev libssl-dev python3 python3-dev python3-venv \
           user-mode-linux udev kmod mount qemu-system-x86 ovmf busybox-static dmsetup e2fsprogs thin-provisioning-tools lvm2 shellcheck mandoc \
           cryptsetup-bin openssl softhsm2 libengine-pkcs11-openssl zsh fish time

PIP = PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore $(VENV)/bin/pip --quiet
STAMP = $(VENV)/.dmctl-installed
GUEST_KERNEL = .build/guest-kernel/release
# Folders too: their times change when a file is removed. What Python compiles to is no source.
SOURCES = pyproject.toml README.md LICENSE $(shell find man completions -type f) \
          $(shell find dmctl -name __pycache__ -prune -o -not -name '*.pyc' -print)

# The guests cannot write: without compiled files of the host, each would rewrite the assertions of all tests anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help try check crash guest-kernel bench man completions packages clean
.DELETE_ON_ERROR:

help:
	@echo 'make try          show dmctl at work on a real kernel, in a user-mode Linux guest'
	@echo 'make check        run all tests, those that need a kernel in the guest'
	@echo 'make crash        replay power failures of thin pools and clones, in a guest, for a quarter of an hour'
	@echo 'make bench        measure start-up, commands about 1000 devices, hash trees, parity, thin pools, events, clones'
	@echo 'make man          write man/ anew'
	@echo 'make completions  write completions/ anew'
	@echo 'make clean        remove what was built, and $(VENV)'
	@echo 'try and check install what is missing: Debian packages, and Python packages in $(VENV).'

# Always the guest: the device-mapper of the machine itself is left alone.
try: $(STAMP)
	@PYTHONPATH=tests $(VENV)/bin/python -m guests --timeout 120 -- tests/guests/demo.sh

# On another distribution there may be no apt to fetch that kernel with: its tests are then skipped.
check: $(STAMP) $(if $(strip $(PACKAGES)),$(GUEST_KERNEL))
	$(VENV)/bin/pytest $(PYTEST_ARGS)

# Longer than the replay of `make check`: at least 10,000 states.
crash: $(STAMP)
	@PYTHONPATH=tests $(VENV)/bin/python -m guests --timeout 3600 -- $(VENV)/bin/python -P -m crash

guest-kernel: $(GUEST_KERNEL)

# A newer one only after `make clean`.
$(GUEST_KERNEL): | packages
	@echo 'Unpacking a kernel for the QEMU guest in .build (Debian package linux-image-6.12)'
	@tests/guests/unpack_kernel.sh $(@D)

bench: $(STAMP)
	@$(VENV)/bin/python tests/bench/startup.py
	@PYTHONPATH=tests $(VENV)/bin/python tests/bench/devices.py
	@$(VENV)/bin/python tests/bench/verity.py
	@PYTHONPATH=tests $(VENV)/bin/python tests/bench/verity_commands.py
	@$(VENV)/bin/python tests/bench/fec.py
	@PYTHONPATH=tests $(VENV)/bin/python tests/bench/thin.py
	@PYTHONPATH=tests $(VENV)/bin/python -m guests -- $(VENV)/bin/python -P tests/bench/thin_snapshots.py
	@PYTHONPATH=tests $(VENV)/bin/python -m guests -- $(VENV)/bin/python -P tests/bench/events.py
	@PYTHONPATH=tests $(VENV)/bin/python -m guests -- $(VENV)/bin/python -P tests/bench/clone.py

# The generators read the installed package, typer app and all.
man: $(STAMP)
	$(VENV)/bin/python -P -m dmctl.cli.manual man

completions: $(STAMP)
	$(VENV)/bin/python -P -m dmctl.cli.completion completions

packages:
	@missing=; \
	if [ -n '$(strip $(PACKAGES))' ]; then \
	    command -v dpkg-query >/dev/null || { \
	        echo 'Not a Debian system: install the counterparts of these packages, then run make with PACKAGES= :' >&2; \
	        echo '$(PACKAGES)' >&2; exit 1; }; \
	    for package in $(PACKAGES); do \
	        [ "$$(dpkg-query -W -f '$${db:Status-Status}' $$package 2>/dev/null)" = installed ] \
	            || missing="$$missing $$package"; \
	    done; \
	fi; \
	[ -n "$$missing" ] || exit 0; \
	as_root=; \
	if [ "$$(id -u)" != 0 ]; then \
	    command -v sudo >/dev/null || { \
	        echo "Debian packages are missing, and only root can install them:$$missing" >&2; exit 1; }; \
	    as_root=sudo; \
	fi; \
	echo "Installing Debian packages:$$missing"; \
	$$as_root apt-get update -q=2 && \
	$$as_root env DEBIAN_FRONTEND=noninteractive \
	    apt-get install -q=2 -o Dpkg::Use-Pty=0 --yes --no-install-recommends $$missing >/dev/null

$(VENV)/bin/pip: | packages
	@echo 'Making a virtual environment in $(VENV)'
	@$(PYTHON) -m venv $(VENV)

# A normal installation, not an editable one: what is tested is what users get.
$(STAMP): $(SOURCES) | packages $(VENV)/bin/pip
	@echo 'Installing dmctl in $(VENV), with what it, its build and its tests need from PyPI (see pyproject.toml)'
	@$(PIP) install '.[dev]'
	@touch $@

clean:
	rm -rf $(VENV) .build build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find dmctl tests -name __pycache__ -prune -exec rm -rf {} +
