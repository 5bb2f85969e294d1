"""How Sightline sees and reads: the vision model, the words, and the space that both share."""
