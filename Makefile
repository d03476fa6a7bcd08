# make           build build/release/bettong
# make demo      watch this machine for 30 s (DEMO_SECONDS=0: until Ctrl-C)
# make test      everything that must pass before a commit
# make sim       whole nodes under a simulated disk, network and clock: SCHEDULES=N SEED=S
# make crash     kill -9 under load, again and again, and an oracle: KILLS=N SEED=S; goes on after Ctrl-C
# make format    rewrite the sources as the formatters like them
# make clean     remove build/ (the virtual environment .venv stays)
#
# make dev, make tsan: build only, with sanitizers, into build/dev and build/tsan.

SHELL := /bin/bash
.DEFAULT_GOAL := release
.PHONY: setup release dev tsan demo test sim crash format clean
.NOTPARALLEL:

setup:
	@tools/setup.sh

# The program only; tests and benches are built by `make test`.
release: setup
	@tools/build.sh release $(if $(wildcard server/main.cc),bettong)

dev tsan: setup
	@tools/build.sh $@

demo: release
	@build/release/bettong demo

test: setup
	@tools/test.sh

SCHEDULES ?= 2000
SEED ?= 1
sim: setup
	@tools/build.sh release sim
	@build/release/test/sim --schedules=$(SCHEDULES) --seed=$(SEED)

KILLS ?= 100
crash: release
	@.venv/bin/python tests/crash/driver.py --kills $(KILLS) --seed $(SEED)

format: setup
	@tools/check_format.sh --fix

clean:
	rm -rf build
