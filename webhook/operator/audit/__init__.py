"""The background audit: a process of its own beside the leader, which judges what is there already."""
