//! What Redis does in one step: publish a frame and remember its room's head; renew a lease and tell all of them.

use std::{sync::LazyLock, time::Duration};

use redis::{Cmd, Script, cmd};

/// `KEYS[1]` is the head's key, `ARGV[1]` the head, `ARGV[2]` the channel and `ARGV[3]` the payload; without the last
/// two nothing is published. It always writes, so that a server that takes no writes refuses it before it publishes
/// to nobody. A head is forgotten a day after its last frame: by then every node has asked the store.
const LUA: &str = "
local head = redis.call('GET', KEYS[1])
if (tonumber(head or '') or -1) < tonumber(ARGV[1]) then head = ARGV[1] end
redis.call('SET', KEYS[1], head, 'EX', 86400)
if #ARGV < 3 then return 0 end
return redis.call('PUBLISH', ARGV[2], ARGV[3])
";

/// `KEYS` are a lease and the set of all nodes that ever wrote one, `ARGV` the text, the milliseconds that it lasts, the
/// node, and what every lease's key begins with; all of them live in one slot. Answers with texts and the milliseconds
/// that are left of each. Nodes whose lease has run out are forgotten on the way.
const RENEW: &str = "
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
redis.call('SADD', KEYS[2], ARGV[3])
redis.call('EXPIRE', KEYS[2], 86400)
local held = {}
for _, node in ipairs(redis.call('SMEMBERS', KEYS[2])) do
  local key = ARGV[4] .. node
  local lease = redis.call('GET', key)
  if lease then
    held[#held + 1] = lease
    held[#held + 1] = redis.call('PTTL', key)
  else
    redis.call('SREM', KEYS[2], node)
  end
end
return held
";

static RENEWAL: LazyLock<Script> = LazyLock::new(|| Script::new(RENEW));
static PLAIN: LazyLock<Script> = LazyLock::new(|| Script::new(LUA));
static SHARDED: LazyLock<Script> = LazyLock::new(|| Script::new(&LUA.replace("'PUBLISH'", "'SPUBLISH'")));

fn script(cluster: bool) -> &'static Script {
    if cluster { &SHARDED } else { &PLAIN }
}

/// Remembers a head and, if there is a frame, publishes it.
pub(super) fn publish_with_head(cluster: bool, key: &str, head: u64, frame: Option<(&str, &[u8])>) -> Cmd {
    let mut command = cmd("EVALSHA");
    command.arg(script(cluster).get_hash()).arg(1).arg(key).arg(head);
    if let Some((channel, payload)) = frame {
        command.arg(channel).arg(payload);
    }
    command
}

/// Publishes a frame that has no head.
pub(super) fn publish(cluster: bool, channel: &str, payload: &[u8]) -> Cmd {
    let mut command = cmd(if cluster { "SPUBLISH" } else { "PUBLISH" });
    command.arg(channel).arg(payload);
    command
}

/// Makes the script known to a server.
pub(super) fn load(cluster: bool) -> Cmd {
    let mut command = cmd("SCRIPT");
    command.arg("LOAD").arg(if cluster {
        LUA.replace("'PUBLISH'", "'SPUBLISH'")
    } else {
        LUA.to_owned()
    });
    command
}

/// Renews the lease of `node`, whose key is `prefix` and its name, in the set `index`.
pub(super) fn renew_lease(prefix: &str, index: &str, node: &str, text: &[u8], lasts: Duration) -> Cmd {
    let mut command = cmd("EVALSHA");
    let lasts_ms = u64::try_from(lasts.as_millis()).unwrap_or(u64::MAX).max(1);
    command.arg(RENEWAL.get_hash()).arg(2);
    command.arg(format!("{prefix}{node}")).arg(index);
    command.arg(text).arg(lasts_ms).arg(node).arg(prefix);
    command
}

/// Makes the script of [`renew_lease`] known to a server.
pub(super) fn load_renewal() -> Cmd {
    let mut command = cmd("SCRIPT");
    command.arg("LOAD").arg(RENEW);
    command
}
