"""Models: what one is (``spec``), which have a name (``registry``), where weights lie, and how they are loaded."""
