# The targets, each of which builds what it needs:
#
#   make            ./holdfast                        make deps      newer libraries from source, into deps/
#   make check      unit tests and fuzz seeds         make lint      the rules of the house
#   make system     the real program, end to end      make analyze   gcc -fanalyzer and clang-tidy
#   make soak       kills at random, for long         make coverage  which lines the tests reach
#   make model      the protocol's models (spin)      make model-full   … with larger bounds, long
#   make demo       what holdfast is for, shown       make format    clang-format, in place
#   make bench      the figures, measured             make install   to $(DESTDIR)$(PREFIX)/bin
#   make image      the Dockerfile's images, tested   make image-folder   what they get: $(FOLDER)
#   make image-convex   only the stand-in for Convex, left in build/image for ./bootstrap try-cloudflare
#   make image-arm64   holdfast for arm64, cross-compiled and emulated
#   make fuzz TIME=60   each parser, so many seconds (needs clang)
#
# SAN=address,undefined or SAN=thread does any of it with sanitizers, CC=clang with the other compiler, WERROR=1 with
# warnings as errors; each combination has its own folder below build/. A new file needs no change here.

# make's built-in default is "cc"; only a CC that somebody chose counts.
ifeq ($(origin CC),default)
CC := gcc
endif
SAN ?=
WERROR ?=
COVERAGE ?=
PREFIX ?= /usr/local
DESTDIR ?=
TIME ?= 60
JOBS ?= $(shell nproc)
# Tests wait for disks and deadlines half of the time or more; with sanitizers, and the system's, less.
MORE_JOBS := $(shell echo $$(($(JOBS) + ($(JOBS) + 1) / 2)))
TEST_JOBS ?= $(if $(SAN),$(MORE_JOBS),$(shell echo $$((2 * $(JOBS)))))
SYSTEM_JOBS ?= $(MORE_JOBS)
# Only the Dockerfile has another: there it is where the program looks.
FOLDER ?= build/opt/holdfast
# One short line for each step; V=1 shows the commands.
Q := $(if $(V),,@)
SAY = $(if $(V),true,printf '  %-8s %s\n')

comma := ,
BUILD := build/$(notdir $(CC))$(if $(SAN),-$(subst $(comma),-,$(SAN)))$(if $(COVERAGE),-coverage)

# What `make deps` built is found before what the distribution packages; deps/lib holds static archives only.
DEPS := $(wildcard deps/.built)
DEPS_INCLUDE := $(if $(DEPS),-isystem deps/include -isystem deps/include/libxml2) -isystem /usr/include/libxml2
DEPS_LIB := $(if $(DEPS),-Ldeps/lib)

CFLAGS ?= -O2 -g
WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wcast-qual \
            -Wformat=2 -Wundef -Wvla -Wswitch-enum -Wwrite-strings $(if $(WERROR),-Werror)
# Ubuntu's compilers define _FORTIFY_SOURCE themselves. Sanitizers and unoptimised code can't have it.
HARDENING := -fPIE -fstack-protector-strong -U_FORTIFY_SOURCE $(if $(SAN)$(COVERAGE),,-D_FORTIFY_SOURCE=3)
# Undefined behaviour ends the test instead of only being printed.
INSTRUMENTS := $(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer) \
               $(if $(COVERAGE),--coverage -O0)
LANGUAGE := -std=gnu17 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -I. $(DEPS_INCLUDE)
COMPILE = $(CC) $(LANGUAGE) $(WARNINGS) $(HARDENING) $(CFLAGS) $(INSTRUMENTS) $(EXTRA_CFLAGS)

# libs3 runs on our transport: these calls of its static archive are ours (docs/DESIGN.md, Store).
WRAP := curl_easy_setopt curl_easy_getinfo curl_easy_perform curl_multi_add_handle gmtime
LINK = $(CC) $(CFLAGS) $(INSTRUMENTS) -pie -Wl,-z,relro,-z,now,--as-needed $(WRAP:%=-Wl,--wrap=%) $(LDFLAGS)
# libs3 calls back into our library (the wrapped calls), hence the group.
LIBRARIES = -Wl,--start-group $(filter %.a,$^) -l:libs3.a -Wl,--end-group $(DEPS_LIB) \
            -lcurl -lxml2 -lcrypto -lsqlite3 -lzstd -lxxhash -lmicrohttpd -lpthread

# ThreadSanitizer can't place its shadow where the kernel randomises addresses with more than 28 bits.
PROVE := $(if $(findstring thread,$(SAN)),$(shell setarch -R true 2>/dev/null && echo setarch -R)) prove --failures --comments

SOURCES := $(wildcard base/*.c snapshot/*.c snapshot/store/*.c proxy/*.c sidecar/*.c)
HEADERS := $(wildcard base/*.h snapshot/*.h snapshot/store/*.h proxy/*.h sidecar/*.h)
TEST_SOURCES := $(wildcard tests/*/*.c)
OBJECTS := $(SOURCES:%.c=$(BUILD)/%.o)
TEST_OBJECTS := $(TEST_SOURCES:%.c=$(BUILD)/%.o)
MAIN := $(BUILD)/sidecar/main.o
LIBRARY := $(BUILD)/libholdfast.a
DOUBLES := $(BUILD)/libdoubles.a
UNITS := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/*/*_test.c))
STORE_TOOL := $(BUILD)/tests/s3/store_tool
FUZZ_TARGETS := $(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
REPLAYS := $(FUZZ_TARGETS:%=$(BUILD)/replay/%)
FUZZERS := $(FUZZ_TARGETS:%=$(BUILD)/fuzzer/%)

.PHONY: all product objects units check model model-full system soak demo bench fuzz fuzzers coverage lint analyze analyze-gcc tidy format install image-folder image-parts image image-convex image-arm64 deps clean FORCE
.DELETE_ON_ERROR:
.SECONDARY:
all: holdfast

# Always compared, since builds with other flags write the same ./holdfast.
holdfast: $(BUILD)/holdfast FORCE
	@cmp -s $< $@ || install -m 755 $< $@

$(BUILD)/holdfast: $(MAIN) $(LIBRARY)
	@$(SAY) link $@
	$(Q)$(LINK) -o $@ $(MAIN) $(LIBRARIES)

# The program of the image has its dynamic linker and libraries in a folder of its own, so that it runs in any image. RPATH,
# and not RUNPATH, holds for the libraries of libraries too.
IMAGE_LIB := /opt/holdfast/lib
$(BUILD)/image/holdfast: LDFLAGS += -Wl,--dynamic-linker=$(IMAGE_LIB)/ld.so -Wl,--disable-new-dtags -Wl,-rpath,$(IMAGE_LIB)
$(BUILD)/image/holdfast: $(MAIN) $(LIBRARY)
	@mkdir -p $(@D)
	@$(SAY) link $@
	$(Q)$(LINK) -o $@ $(MAIN) $(LIBRARIES)

image-folder: $(BUILD)/image/holdfast
	$(Q)CC=$(CC) image/folder.sh $< $(FOLDER)

# Removed first: ar would keep the members of files that are gone.
$(LIBRARY): $(filter-out $(MAIN),$(OBJECTS))
$(DOUBLES): $(filter $(BUILD)/tests/double/%,$(TEST_OBJECTS))
$(LIBRARY) $(DOUBLES):
	@mkdir -p $(@D)
	@$(SAY) archive $@
	$(Q)rm -f $@ && $(AR) rcs $@ $^

# Different flags and newly built libraries rebuild everything.
$(BUILD)/%.o: %.c Makefile $(DEPS)
	@mkdir -p $(@D)
	@$(SAY) compile $@
	$(Q)$(COMPILE) -MMD -MP -c -o $@ $<

# tests/tap.h counts the threads that a test starts.
$(UNITS): LDFLAGS += -Wl,--wrap=pthread_create
$(UNITS) $(STORE_TOOL): %: %.o $(DOUBLES) $(LIBRARY)
	@$(SAY) link $@
	$(Q)$(LINK) -o $@ $< $(LIBRARIES)

$(BUILD)/backend: $(filter $(BUILD)/tests/backend/%,$(TEST_OBJECTS)) $(LIBRARY)
	@$(SAY) link $@
	$(Q)$(LINK) -o $@ $^ -lsqlite3 -lcrypto -lpthread

# The same with the SQLite that Convex carries, newer than the one that holdfast links. It comes through npm.
NEW_SQLITE := $(BUILD)/newsqlite/sqlite3.o
$(NEW_SQLITE): tests/newsqlite/build.sh tests/newsqlite/sqlite.lock
	@$(SAY) compile $@
	$(Q)CC=$(CC) $< $(@D)

$(BUILD)/backend-new: $(filter $(BUILD)/tests/backend/%,$(TEST_OBJECTS)) $(LIBRARY) $(NEW_SQLITE)
	@$(SAY) link $@
	$(Q)$(LINK) -o $@ $^ -lcrypto -lpthread -ldl -lm

# The application of the database tests, with that SQLite too.
$(BUILD)/writer-new: $(BUILD)/tests/writer/writer_main.o $(BUILD)/tests/double/writer.o $(LIBRARY) $(NEW_SQLITE)
	@$(SAY) link $@
	$(Q)$(LINK) -o $@ $^ -lpthread -ldl -lm

DATABASE_UNITS := $(filter %/database_test %/database_convert_test %/database_freeze_test %/database_mark_test \
                  %/database_tend_test %/database_collect_test,$(UNITS))

$(REPLAYS): $(BUILD)/replay/%: $(BUILD)/tests/fuzz/%.o $(BUILD)/tests/fuzz/replay.o $(DOUBLES) $(LIBRARY)
	@mkdir -p $(@D)
	@$(SAY) link $@
	$(Q)$(LINK) -o $@ $(filter %.o,$^) $(LIBRARIES)

$(FUZZERS): $(BUILD)/fuzzer/%: $(BUILD)/tests/fuzz/%.o $(DOUBLES) $(LIBRARY)
	@mkdir -p $(@D)
	@$(SAY) link $@
	$(Q)$(LINK) -fsanitize=fuzzer -o $@ $< $(LIBRARIES)

product: $(OBJECTS)
objects: product $(TEST_OBJECTS)
units: $(UNITS) $(REPLAYS)

# ThreadSanitizer only has to see what starts threads: the plain run notes which tests do. No fuzz target does.
THREAD_NOTES := build/threads
ifeq ($(findstring thread,$(SAN)),)
check: units
	@mkdir -p $(THREAD_NOTES)
	@$(if $(SAN)$(COVERAGE),,TAP_THREADS=$(THREAD_NOTES)) $(PROVE) -j $(TEST_JOBS) $(UNITS) $(REPLAYS)
else
check: $(UNITS)
	@NOTES=$(THREAD_NOTES) $(PROVE) -j $(TEST_JOBS) --exec tests/threads.sh $(UNITS)
endif

# Every interleaving within small bounds; MODELS="log/reader …" checks only those. Each is one search on one core.
model model-full:
	@prove --failures --comments -j $(JOBS) --exec tests/model/check.sh \
	    $(or $(MODELS),$(shell tests/model/check.sh --names $(if $(filter model-full,$@),full,quick)))

# The tests find the programs by these names.
system soak: export HOLDFAST_BIN = $(CURDIR)/$(BUILD)/holdfast
system soak demo: export BACKEND_BIN = $(CURDIR)/$(BUILD)/backend
system soak: export BACKEND_NEW_BIN = $(CURDIR)/$(BUILD)/backend-new
system: export TEST_STORE_TOOL = $(CURDIR)/$(STORE_TOOL)
system: export TEST_WRITER_NEW = $(CURDIR)/$(BUILD)/writer-new
system: export TEST_DATABASE_UNITS = $(DATABASE_UNITS:%=$(CURDIR)/%)
system: holdfast $(BUILD)/backend $(BUILD)/backend-new $(STORE_TOOL) $(BUILD)/writer-new $(DATABASE_UNITS)
	@$(PROVE) -j $(SYSTEM_JOBS) --exec '' $(or $(TESTS),$(sort $(wildcard tests/system/*.t)))

# What doesn't take root to make.
image-parts: product $(LIBRARY) $(BUILD)/backend

# The Dockerfile's images, built and run without a Docker engine, alone and behind the Worker. As root; needs buildah, debootstrap,
# and node with cloudflare/node_modules.
image: image-parts
	@tests/image/build.sh $(CURDIR)/build/image
	@$(PROVE) --exec '' tests/image/image.t :: $(CURDIR)/build/image
	@cloudflare/try/try.sh build/image
	@node --test cloudflare/try/try.test.mjs
	@rm -rf build/image

image-convex: image-parts
	@tests/image/build.sh $(CURDIR)/build/image convex

image-arm64: holdfast $(BUILD)/backend
	@tests/image/arm64.sh

# Units that draw lives at random: check takes a few.
LIVES_UNITS := $(addprefix $(BUILD)/tests/unit/,engine_owners_test engine_points_test)

soak: export TEST_LIVES ?= 700
soak: holdfast $(BUILD)/backend $(BUILD)/backend-new $(LIVES_UNITS)
	@$(PROVE) --exec '' -j 2 $(LIVES_UNITS)
	@$(PROVE) --exec '' --verbose $(sort $(wildcard tests/soak/*.t))

demo: holdfast $(BUILD)/backend
	@sh tests/demo/demo.sh

bench: holdfast $(BUILD)/backend
	bench/run.sh

# Finds go to build/fuzz/; what is worth keeping is copied into tests/fuzz/corpus/ by hand.
fuzz:
	$(MAKE) CC=clang SAN=fuzzer-no-link,address,undefined fuzzers
fuzzers: $(FUZZERS)
	@mkdir -p build/fuzz
	@set -e; for target in $(FUZZ_TARGETS); do \
	    echo "== $$target, $(TIME) s"; log=build/fuzz/$$target.log; mkdir -p build/fuzz/$$target; \
	    $(BUILD)/fuzzer/$$target -max_total_time=$(TIME) -timeout=10 -rss_limit_mb=1024 \
	        -artifact_prefix=build/fuzz/$$target- build/fuzz/$$target tests/fuzz/corpus/$${target#fuzz_} \
	        >$$log 2>&1 || { tail -n 40 $$log; exit 1; }; \
	    tail -n 1 $$log; \
	done

coverage:
	find build/gcc-coverage -name '*.gcda' -delete 2>/dev/null || true
	$(MAKE) CC=gcc COVERAGE=1 check system
	@tests/coverage.sh build/gcc-coverage

# First whether the rules still bite, then whether anything breaks them.
lint:
	@prove --quiet --exec sh tests/lint_test.sh
	@tests/lint.sh

# Two analysers that see different things; with -k the second one runs although the first found something.
analyze: tidy analyze-gcc
analyze-gcc:
	$(MAKE) CC=gcc WERROR=1 BUILD=build/analyze CFLAGS='-O1 -fanalyzer' product
tidy:
	@$(SAY) tidy '$(words $(SOURCES)) files'
	$(Q)printf '%s\n' $(SOURCES) | xargs -P $(JOBS) -I{} \
	    clang-tidy --quiet --header-filter='(^|/)(base|snapshot|proxy|sidecar)/[^/]*h$$' {} -- $(LANGUAGE) $(WARNINGS) \
	    2>/dev/null

format:
	@clang-format -i $(SOURCES) $(HEADERS) $(TEST_SOURCES) $(wildcard tests/*.h tests/*/*.h)

install: holdfast
	install -D -m 755 holdfast $(DESTDIR)$(PREFIX)/bin/holdfast

deps:
	@tools/deps.sh

clean:
	rm -rf build holdfast

-include $(OBJECTS:.o=.d) $(TEST_OBJECTS:.o=.d)
