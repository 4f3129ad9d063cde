# The front door.  CMake, Ninja and ctest do the work, in build/<preset> (CMakePresets.json).
PREFIX  ?= /usr/local
SECONDS ?= 60
VERSION  = $(shell sed -n 's/^project.pixl VERSION \([0-9.]*\).*/\1/p' CMakeLists.txt)
TESTS    = 'unit|contract|fault|cases'
# Those and the ones that start servers of their own.
ALL_TESTS = 'unit|contract|fault|cases|servers'
# build PRESET ARGUMENTS: on a terminal ninja's status line shows the way; in a log only what went wrong is worth a line.
build    = cmake --build build/$(1) $(2) $(if $(MAKE_TERMOUT),,-- --quiet >build/$(1)/build.log || \
    { cat build/$(1)/build.log; exit 1; })
# ThreadSanitizer cannot place its shadow memory where the kernel randomises addresses too far.
NO_ASLR  = $(shell setarch -R true 2>/dev/null && echo setarch -R)

INSTALLED = bin/pixl lib/pixl/libduckdb.so share/man/man1/pixl.1 share/bash-completion/completions/pixl \
    $(addprefix share/doc/pixl/,README.md SECURITY.md operations.md destinations.md env.sample LICENSE.duckdb) \
    $(addprefix share/doc/pixl/reference/,commands.md outcomes.md settings.md) \
    $(addprefix lib/systemd/system/,$(notdir $(wildcard packaging/systemd/*)))

.PHONY: all demo test check check-all soak check-asan check-tsan check-fault fuzz bench lint format docs install uninstall dist clean help
.PHONY: setup-build setup-test release asan tsan clang fuzzers
.NOTPARALLEL:

all: release            ## build the program: build/release/pixl

demo: release           ## a made-up hospital and a whole extraction of it
	@build/release/pixl demo

test: setup-test release asan fuzzers   ## every kind of test; what CI runs
	@tools/run-tests tools/lint --basic + build/asan -L $(ALL_TESTS) + build/release -L system + tools/run-fuzz 10

check: release          ## unit, contract, fault and case tests, in under a minute
	@tools/run-tests build/release -L $(TESTS)

check-all: setup-test release clang asan tsan fuzzers   ## the long form: both compilers, all sanitizers, soak
	@PIXL_TEST_LONG=1 tools/run-tests tools/lint + build/release -L $(ALL_TESTS) + build/clang -L $(ALL_TESTS) \
	    + build/asan -L $(ALL_TESTS) + $(NO_ASLR) tools/run-tests build/tsan -L unit + build/release -L system \
	    + tools/run-fuzz 60

soak: setup-test release ## faults at random while studies go through, for PIXL_SOAK_S=600 seconds; PIXL_CHAOS_SEED=N draws the same again
	@PIXL_SOAK_S=$(or $(PIXL_SOAK_S),600) tools/run-tests tests/support/with-postgres tests/support/run-pytest tests/system/test_chaos*.py

check-asan: asan        ## the tests of check under AddressSanitizer and UBSan
	@tools/run-tests build/asan -L $(TESTS)

check-tsan: tsan        ## the unit tests under ThreadSanitizer
	@$(NO_ASLR) tools/run-tests build/tsan -L unit

check-fault: asan       ## each allocation fails in turn, under AddressSanitizer
	@tools/run-tests build/asan -L fault

fuzz: fuzzers           ## each fuzz target for SECONDS=60
	@tools/run-fuzz $(SECONDS)

bench: release          ## measure, side by side with the thing compared
	@bench/run

lint: setup-test release ## layers, headers, sizes, words, shell syntax, clang-tidy
	@tools/lint

format:                 ## clang-format over the lines changed since the last commit
	@tools/format

docs: release           ## the reference pages and .env.sample, from the program's own tables
	@mkdir -p docs/reference
	@build/release/pixl reference commands >docs/reference/commands.md
	@build/release/pixl reference settings >docs/reference/settings.md
	@build/release/pixl reference outcomes >docs/reference/outcomes.md
	@build/release/pixl reference env >.env.sample

install: release        ## the program and what belongs to it, under PREFIX=/usr/local (DESTDIR is honoured)
	@DESTDIR=$(DESTDIR) cmake --install build/release --prefix $(PREFIX) >build/install.log || { cat build/install.log; exit 1; }
	@echo $(DESTDIR)$(PREFIX)/bin/pixl
	@case "$(DESTDIR):$$PATH:" in :*:$(PREFIX)/bin:* | :$(PREFIX)/bin:* | [!:]*) ;; \
	    *) echo "$(PREFIX)/bin is not in PATH: log in anew, or add it" >&2 ;; esac

uninstall:              ## what install has put there; state and configurations stay
	@cd $(DESTDIR)$(PREFIX) && rm -f $(INSTALLED)
	@cd $(DESTDIR)$(PREFIX) && for d in lib/pixl share/doc/pixl/reference share/doc/pixl; do \
	    test ! -d $$d || rmdir --ignore-fail-on-non-empty $$d; done

dist:                   ## build/pixl-VERSION.tar.gz of the last commit
	@mkdir -p build
	@git archive --prefix=pixl-$(VERSION)/ -o build/pixl-$(VERSION).tar.gz HEAD
	@echo build/pixl-$(VERSION).tar.gz

clean:                  ## remove everything that was built
	@rm -rf build

help:                   ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' Makefile

setup-build:
	@tools/setup build
setup-test:
	@tools/setup test

release clang asan tsan: %: build/%/build.ninja
	@$(call build,$@)
fuzzers: build/fuzz/build.ninja
	@$(call build,fuzz,--target fuzzers)

# Once; afterwards ninja itself asks CMake when a CMakeLists.txt or the list of sources has changed.
build/%/build.ninja:
	@cmake --preset $* >/dev/null
build/release/build.ninja: | setup-build
build/clang/build.ninja build/asan/build.ninja build/tsan/build.ninja build/fuzz/build.ninja: | setup-test
.PRECIOUS: build/%/build.ninja
