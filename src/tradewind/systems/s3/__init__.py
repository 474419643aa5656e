"""Amazon S3 and servers like it: a store, and a server on this machine."""
