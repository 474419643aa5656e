"""The training process: one training job of a built-in algorithm, from its data to its artefact."""
