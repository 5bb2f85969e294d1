"""The Faust agents: each takes a batch, calls one plain function, and acknowledges what is durable."""
