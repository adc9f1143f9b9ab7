"""What turns fetched pages into more requests and items: links, robots, sitemaps, extraction."""
