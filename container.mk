# The container's targets; the Makefile includes this file.
#   GPUS=0,1   just those cards (all if not given, none for the CPU)
#   ARGS=      goes to the trainer
.PHONY: up down shell trainer test-container

up: ## train in the container: looks at the host, picks the image, builds, checks the GPU, trains
	@scripts/preflight
	docker compose up --build --abort-on-container-exit --exit-code-from train train

down: ## stop and remove the containers; build tree, data and runs stay
	docker compose --profile '*' down

shell: ## a lasting development container: leave it, and come back with docker start -ai trainyard-dev
	@if docker container inspect trainyard-dev > /dev/null 2>&1; then \
	  docker start --attach --interactive trainyard-dev; \
	else \
	  scripts/preflight && docker compose build shell && docker compose run --name trainyard-dev shell; \
	fi

# What the container runs before the trainer: its binary alone, without the tests.
trainer: build/release/build.ninja
	@$(call compile,release) --target trainyard

test-container: ## test the image and the Compose files on the Docker engine that answers here
	tests/container/run
