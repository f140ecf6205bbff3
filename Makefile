# holdfast: make, make check, make system, make demo, make bench, make lint, make analyze, make format, make install.
# SAN=address,undefined or SAN=thread builds and tests everything again in its own folder; CC=clang likewise.

CC ?= gcc
ifeq ($(origin CC),default)
CC := gcc
endif
SAN ?=
WERROR ?=
PREFIX ?= /usr/local
DESTDIR ?=

comma := ,
BUILD := build/$(notdir $(CC))$(if $(SAN),-$(subst $(comma),-,$(SAN)))

WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wcast-qual \
            -Wformat=2 -Wundef -Wvla -Wswitch-enum -Wwrite-strings $(if $(WERROR),-Werror)
HARDENING := -fstack-protector-strong -fPIE $(if $(SAN),,-D_FORTIFY_SOURCE=3)
CFLAGS ?= -O2 -g
ALL_CFLAGS := -std=gnu17 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -I. $(DEPS_CFLAGS) -I/usr/include/libxml2 $(WARNINGS) $(HARDENING) $(CFLAGS) \
              $(if $(SAN),-fsanitize=$(SAN) -fno-omit-frame-pointer)

# libs3 runs on our transport: these calls of its static archive are ours (facts: docs/DESIGN.md, Store).
WRAP := curl_easy_setopt curl_easy_perform curl_multi_add_handle gmtime
LDFLAGS ?=
ALL_LDFLAGS := -pie -Wl,-z,relro,-z,now $(WRAP:%=-Wl,--wrap=%) $(LDFLAGS) $(if $(SAN),-fsanitize=$(SAN))
LIBRARIES := -l:libs3.a -lcurl -lxml2 -lcrypto -lsqlite3 -lzstd -lxxhash -lmicrohttpd -lpthread

SOURCES := $(wildcard base/*.c snapshot/*.c snapshot/store/*.c proxy/*.c sidecar/*.c)
OBJECTS := $(SOURCES:%.c=$(BUILD)/%.o)
LIBRARY := $(BUILD)/libholdfast.a
UNITS := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/unit/*_test.c))

.PHONY: all check
all: holdfast

holdfast: $(BUILD)/holdfast
	cp $< $@

$(BUILD)/holdfast: $(BUILD)/sidecar/main.o $(LIBRARY)
	$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^ $(LIBRARIES)

$(LIBRARY): $(filter-out $(BUILD)/sidecar/main.o,$(OBJECTS))
	rm -f $@
	ar rcs $@ $^

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/tests/unit/%_test: $(BUILD)/tests/unit/%_test.o $(LIBRARY)
	$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^ $(LIBRARIES)

check: $(UNITS)
	prove $(UNITS)

-include $(OBJECTS:.o=.d)
