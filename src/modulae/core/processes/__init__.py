"""Several processes that train one model; nothing else in the core knows how they talk."""
