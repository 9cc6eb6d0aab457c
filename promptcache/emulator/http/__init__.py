"""The emulated providers over HTTP, on the loopback interface only."""
