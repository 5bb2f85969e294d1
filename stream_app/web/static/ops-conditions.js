// What an operator should know before any number, as sentences: what is wrong, and what to do.

const BEHIND = 1000;
const LATE_MS = 250;

export function conditions(numbers, state) {
  const found = [];
  const say = (kind, what, then = "") => found.push({ kind, what, then });
  if (!state.ready) say("warning", `Not ready: ${state.reason}.`, "Searches are answered from Redis meanwhile; this usually takes seconds.");
  if (!state.redis.reachable && state.redis.problem !== "not asked yet") {
    say("danger", "Redis does not answer.", `Writes wait and nothing is lost; check the server and SIGHTLINE_REDIS_URL. Received: ${state.redis.problem}`);
  }
  if (numbers["encoder.away"]) say("danger", "The encoder does not answer.", "Photos wait, and none is lost; look at TF Serving and SIGHTLINE_ENCODER.");
  if (state.broker_problem) say("danger", state.broker_problem, "Lag is not known meanwhile.");
  const lag = ["activity", "embeddings", "collections"].reduce((sum, stream) => sum + (numbers[`lag.${stream}`] ?? 0), 0);
  if (lag > BEHIND) say("warning", `${lag.toLocaleString()} messages wait.`, "The worker catches up if its rates are above those of what comes in; otherwise add workers.");
  if (numbers["loop.late_ms"] > LATE_MS) say("warning", "The event loop is late.", "Something computes where it should not, or the machine is too busy: answers are slow.");
  if (state.ready && state.since_start.accepted === 0 && numbers["index.photos"] === 0) {
    say("", "No photo has come in yet.", "Publish a folder with: sightline publish FOLDER, or add photos on the album's page.");
  }
  return found;
}
