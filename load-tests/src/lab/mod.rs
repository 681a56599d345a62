//! Private servers on free ports of this machine, in temporary folders, removed when they are dropped.

mod certificates;
mod redis;
mod redis_cluster;
mod run;

pub use redis::{Redis, RedisOptions, TestRedis, redis_for_tests};
pub use redis_cluster::RedisCluster;
pub use run::run;
