# The container's targets; the Makefile includes this file.
#   GPUS=0,1   only these GPUs (by default all; none for the CPU)
#   ARGS=      arguments for the trainer
.PHONY: up down shell trainer tensorboard test-container

up: export ARGS := $(ARGS)
up: ## train in a container: check the host, select the image, build, check the GPUs, train
	@scripts/preflight
	docker compose up --build --no-log-prefix --abort-on-container-exit --exit-code-from train train

down: ## stop and remove the containers; the build tree, data and runs stay
	docker compose --profile '*' down

shell: ## open a development container that keeps its state; return with docker start -ai trainyard-dev
	@name=$${COMPOSE_PROJECT_NAME:-trainyard}-dev; \
	clone=$$(docker container inspect --format \
	  '{{index .Config.Labels "com.docker.compose.project.working_dir"}}' $$name 2> /dev/null); \
	if [[ -z $$clone ]]; then \
	  scripts/preflight && docker compose build shell && docker compose run --name $$name shell; \
	elif [[ $$clone == "$(CURDIR)" ]]; then \
	  docker start --attach --interactive $$name; \
	else \
	  echo "[shell] $$name belongs to the clone $$clone; COMPOSE_PROJECT_NAME=other make shell makes one for this clone"; exit 2; \
	fi

tensorboard: bootstrap ## serve TensorBoard of runs/ at http://localhost:6006, here or in the development container
	@scripts/bootstrap tensorboard
	build/bin/tensorboard-python -m tensorboard.main --logdir runs

# The container runs this before the trainer: it builds the program without the tests.
trainer: build/release/build.ninja
	@$(call compile,release) --target trainyard

test-container: ## test the image and the Compose files with the Docker engine of this machine
	tests/container/run
