"""Files of recorded links: `time Mbit/s` tables, CSV with a heading, mahimahi's packet opportunities."""
