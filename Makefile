# SPDX-License-Identifier: MIT
# The front door: each target names the scripts behind it, which do the work.

.PHONY: help run check test test-long test-debug fuzz bench vm modules install lint clean \
	packages setup user

help:
	@echo 'make run         sets up, builds, and runs four networks on the NPU in a VM'
	@echo 'make check       tests on this machine alone: no QEMU, no kernel (minutes)'
	@echo 'make test        everything that CI runs, the VM included'
	@echo 'make test-long   the same with the long sweeps'
	@echo 'make test-debug  the VM tests on a self-built kernel with KASAN and lockdep'
	@echo 'make fuzz        libFuzzer: T=onnx, tensor, program or asm; SECONDS=600'
	@echo 'make bench       measures'
	@echo 'make vm          a shell in the guest'
	@echo 'make modules     npu.ko for the guest (make modules KDIR=... for another kernel)'
	@echo 'make install     libnpu, the tools, a udev rule; PREFIX and DESTDIR as usual'
	@echo 'make lint        checkpatch, sparse, clang-tidy, shellcheck'
	@echo 'make setup       packages, QEMU, guest kernel: what the others call first'
	@echo 'make clean       removes build/; the cache (~/.cache/npu) stays'

packages:
	@scripts/setup --packages

setup:
	@scripts/setup

user: packages
	@scripts/build

run: setup user modules
	@scripts/run

check: user
	@scripts/test check

test: setup user modules
	@scripts/test all

test-long: setup user modules
	@scripts/test long

test-debug: user
	@scripts/setup --debug-kernel
	@scripts/modules debug
	@scripts/test debug

fuzz: packages
	@scripts/setup --fuzz
	@scripts/fuzz $(or $(T),onnx) $(or $(SECONDS),600)

bench: setup user modules
	@scripts/bench

vm: setup user modules
	@scripts/vm

ifdef KDIR
modules:
	$(MAKE) -C $(KDIR) M=$(CURDIR) modules
else
modules: setup
	@scripts/modules
endif

install: user
	@$(if $(PREFIX),meson configure build -Dprefix=$(PREFIX) && scripts/build)
	meson install -C build --no-rebuild

lint:
	@scripts/setup --lint
	@scripts/lint

clean:
	rm -rf build
