# A project of your own, and what it takes from this one later; the Makefile includes this file.
#   NAME=defect_detector        the project's name, in snake_case
#   DEST=../defect_detector     the folder of a new project
#   UPSTREAM=https://...        the address that adopt fetches from; that of the remote origin if not given
.PHONY: new rename adopt

# template-only: begin
new rename: export NEW_NAME := $(NAME)
new: export NEW_PLACE := $(DEST)
rename: export NEW_PLACE := $(UPSTREAM)

new: ## make a clean project of your own: make new NAME=defect_detector DEST=../defect_detector
	@scripts/project new "$$NEW_NAME" "$$NEW_PLACE"

rename: ## make this clone a project of your own: make rename NAME=defect_detector
	@scripts/project rename "$$NEW_NAME" "$$NEW_PLACE"

# template-only: end
adopt: ## show and merge what changed in the project that this one was made from
	@scripts/project adopt
