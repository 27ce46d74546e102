# The container's targets; the Makefile includes this file.
#   GPUS=0,1   just those cards (all if not given, none for the CPU)
#   ARGS=      goes to the trainer
.PHONY: up down shell trainer tensorboard test-container

up: ## train in the container: looks at the host, picks the image, builds, checks the GPU, trains
	@scripts/preflight
	docker compose up --build --no-log-prefix --abort-on-container-exit --exit-code-from train train

down: ## stop and remove the containers; build tree, data and runs stay
	docker compose --profile '*' down

shell: ## a lasting development container: leave it, and come back with docker start -ai trainyard-dev
	@name=$${COMPOSE_PROJECT_NAME:-trainyard}-dev; \
	clone=$$(docker container inspect --format \
	  '{{index .Config.Labels "com.docker.compose.project.working_dir"}}' $$name 2> /dev/null); \
	if [[ -z $$clone ]]; then \
	  scripts/preflight && docker compose build shell && docker compose run --name $$name shell; \
	elif [[ $$clone == $(CURDIR) ]]; then \
	  docker start --attach --interactive $$name; \
	else \
	  echo "[shell] $$name is of the clone $$clone; COMPOSE_PROJECT_NAME=other make shell makes one for this clone"; exit 2; \
	fi

tensorboard: build/tensorboard ## TensorBoard of runs/ at http://localhost:6006, here or in the dev container
	PYTHONPATH=build/tensorboard python3 -m tensorboard.main --logdir runs

build/tensorboard:
	python3 -m pip install --quiet --target $@.new tensorboard && mv $@.new $@

# What the container runs before the trainer: its binary alone, without the tests.
trainer: build/release/build.ninja
	@$(call compile,release) --target trainyard

test-container: ## test the image and the Compose files on the Docker engine that answers here
	tests/container/run
