//! The one step that publishes a frame and remembers its room's head.

use std::sync::LazyLock;

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
