# The front door. `make help` is the manual.
BUILD ?= build
.DEFAULT_GOAL := build

.PHONY: build unit fmt help
build: ## build/atlas, optimised, with symbols
	@test -d $(BUILD) || meson setup $(BUILD) >/dev/null
	@meson compile -C $(BUILD)

unit: build ## unit tests
	@meson test -C $(BUILD) --suite unit --print-errorlogs

fmt: ## format the C sources
	@git ls-files -co --exclude-standard '*.c' '*.h' | xargs clang-format-14 -i

help:
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12
