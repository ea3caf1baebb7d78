# Tiếng Làng. `make` alone lists the targets.
.DEFAULT_GOAL := help
help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16
