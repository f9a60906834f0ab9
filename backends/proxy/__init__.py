"""The live proxy: HTTP/1.1 on sockets, with decisions from the core."""
