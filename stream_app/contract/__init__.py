"""The contract: what can be asked of Sightline and what it answers, the same over HTTP, over Kafka and in Python."""
